"""Connections for libraries that block: what they may read, and how they are interrupted."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
import trio
import trustme

from edged.host.postgres.blocking import BlockingWire
from edged.host.rdbms.failure import ConnectionLost, ResultTooLarge
from edged.limits import SQL_RESULT_BYTES_MAX
from tests.host.rdbms.grants import trusting


async def pair() -> tuple[BlockingWire, trio.SocketStream]:
    listener = trio.socket.socket()
    await listener.bind(("127.0.0.1", 0))
    listener.listen()
    client = trio.socket.socket()
    await client.connect(listener.getsockname())
    served, _ = await listener.accept()
    listener.close()
    return BlockingWire(trio.SocketStream(client)), trio.SocketStream(served)


async def read(wire: BlockingWire, size: int) -> bytes:
    return await trio.to_thread.run_sync(wire.use, lambda: wire.read(size), abandon_on_cancel=True)


async def test_as_a_file() -> None:
    wire, server = await pair()
    assert wire.makefile("rwb") is wire
    wire.write(b"to ")
    wire.write(b"you")
    wire.flush()
    assert await server.receive_some() == b"to you"
    await server.send_all(b"from me")
    assert [await read(wire, size) for size in (4, 1, 0, 2)] == [b"from", b" ", b"", b"me"]
    await server.aclose()
    with pytest.raises(ConnectionLost):
        await read(wire, 1)
    wire.close()


async def test_sizes_at_the_limit_and_over(nursery) -> None:
    wire, server = await pair()
    nursery.start_soon(server.send_all, bytes(SQL_RESULT_BYTES_MAX))
    assert len(await read(wire, SQL_RESULT_BYTES_MAX)) == SQL_RESULT_BYTES_MAX
    with pytest.raises(ResultTooLarge):
        await read(wire, SQL_RESULT_BYTES_MAX + 1)
    with pytest.raises(ConnectionLost):
        await read(wire, -1)
    wire.close()
    await server.aclose()


async def test_closing_ends_a_thread_that_reads() -> None:
    wire, server = await pair()
    reading = trio.Event()

    def work() -> bytes:
        trio.from_thread.run_sync(reading.set)
        return wire.read(1)

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def interrupted() -> None:
            with pytest.raises(ConnectionLost):
                await trio.to_thread.run_sync(wire.use, work)

        await reading.wait()
        wire.close()
    assert not wire.is_quiet()
    assert await server.receive_some() == b""
    with pytest.raises(ConnectionLost, match="closed"):
        wire.use(lambda: wire.read(1))
    wire.close()
    await server.aclose()


async def test_quiet_until_something_comes() -> None:
    wire, server = await pair()
    assert wire.is_quiet()
    await server.send_all(b"ab")
    assert await read(wire, 1) == b"a"
    assert not wire.is_quiet()  # what was read ahead
    await read(wire, 1)
    assert wire.is_quiet()
    await server.aclose()
    while wire.is_quiet():
        await trio.lowlevel.checkpoint()
    wire.close()


@pytest.mark.parametrize(("name", "reason"), [("localhost", None), ("other.example", "certificate")])
async def test_tls_for_the_name(name, reason) -> None:
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)
    wire, server = await pair()

    def work() -> bytes:
        wire.start_tls(trusting(authority)(name), name)
        return wire.read(5)

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            stream = trio.SSLStream(server, serving, server_side=True)
            with suppress(trio.BrokenResourceError):  # whoever does not trust it hangs up
                await stream.send_all(b"hello")

        if reason is None:
            assert await trio.to_thread.run_sync(wire.use, work) == b"hello"
            assert wire.tls is not None
        else:
            with pytest.raises(ConnectionLost, match=reason):
                await trio.to_thread.run_sync(wire.use, work)
        wire.close()
    await server.aclose()


async def test_bytes_before_tls_are_not_taken_for_the_server_s() -> None:
    wire, server = await pair()
    await server.send_all(b"ab")
    await read(wire, 1)
    with pytest.raises(ConnectionLost, match="before TLS"):
        wire.start_tls(trusting(trustme.CA())("localhost"), "localhost")
    wire.close()
    await server.aclose()
