"""Real sockets: what the kernel does to a connection, and how long we wait for it."""

from __future__ import annotations

import socket
import struct

import pytest
import trio
import trio.testing

from edged.http.exchange import ClientGone
from edged.http.transport import SocketTransport
from edged.limits import WRITE_TIMEOUT_S


@pytest.fixture
def pair() -> tuple[SocketTransport, socket.socket]:
    """A transport and the client's blocking socket, over TCP: a Unix socket knows no reset."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        connected, _ = listening.accept()
    connected.setblocking(False)
    client.settimeout(5)
    return SocketTransport(connected), client


async def test_bytes_both_ways(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, client = pair
    client.sendall(b"hello")
    assert await transport.receive_some(3) == b"hel"
    assert await transport.receive_some(100) == b"lo"
    await transport.send_all(b"world")
    assert client.recv(100) == b"world"
    client.close()
    assert await transport.receive_some(100) == b""
    await transport.aclose()


async def test_more_than_the_kernel_takes_at_once(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, client = pair
    data = bytes(range(256)) * 40_000
    received = bytearray()

    def drain() -> None:
        while piece := client.recv(65536):
            received.extend(piece)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, drain)
        await transport.send_all(data)
        await transport.send_eof()
    assert received == data
    client.close()
    await transport.aclose()


async def test_a_client_that_takes_nothing(
    pair: tuple[SocketTransport, socket.socket], autojump_clock: trio.testing.MockClock
) -> None:
    transport, client = pair
    with pytest.raises(ClientGone):
        await transport.send_all(b"x" * 50_000_000)
    assert trio.current_time() == WRITE_TIMEOUT_S
    client.close()
    await transport.aclose()


async def test_a_client_that_takes_a_little_now_and_then(
    pair: tuple[SocketTransport, socket.socket], autojump_clock: trio.testing.MockClock
) -> None:
    transport, client = pair
    client.setblocking(False)

    async def sip() -> None:
        while True:
            await trio.sleep(WRITE_TIMEOUT_S - 1)
            try:
                while client.recv(1_000_000):
                    pass
            except BlockingIOError:
                continue
            return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sip)
        await transport.send_all(b"x" * 20_000_000)
        await transport.aclose()
    assert trio.current_time() > WRITE_TIMEOUT_S
    client.close()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def test_a_reset_while_reading(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, client = pair
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(ClientGone):
                await transport.receive_some(100)

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        reset(client)
    await transport.aclose()


async def test_a_reset_while_writing(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, client = pair
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            with pytest.raises(ClientGone):
                await transport.send_all(b"x" * 50_000_000)

        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        reset(client)
    with pytest.raises(ClientGone):
        await transport.send_all(b"x")
    await transport.send_eof()
    await transport.aclose()


@pytest.mark.parametrize("hard", [False, True])
async def test_cut(pair: tuple[SocketTransport, socket.socket], hard: bool) -> None:
    transport, client = pair
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(ClientGone):
                await transport.receive_some(100)

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        transport.cut(reset=hard)
    if hard:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    else:
        assert client.recv(1) == b""
    with pytest.raises(ClientGone):
        await transport.send_all(b"x")
    transport.cut(reset=hard)  # once more is nothing
    await transport.aclose()
    client.close()


async def test_a_cut_transport_is_gone_for_everybody(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Twice: trio would remember the first that waits for a closed descriptor, and call it busy to the second."""
    transport, client = pair
    transport.cut(reset=True)
    for _ in range(2):
        with pytest.raises(ClientGone):
            await transport.receive_some(100)
        with pytest.raises(ClientGone):
            await transport.send_all(b"late")
    client.close()
