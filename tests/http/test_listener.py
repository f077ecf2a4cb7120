"""Listeners on loopback: accepting, capping, stopping, and clients that leave."""

from __future__ import annotations

import errno
import gc
import json
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import structlog
import trio
import trio.testing

from edged.errors import ListenError, TlsError
from edged.http.bind import bind
from edged.http.exchange import Exchange, Handler
from edged.http.listener import Listener, ListenerStatistics, ListenOptions, serve
from edged.http.tls import TlsFiles
from edged.limits import REFUSAL_COUNT_MAX, SHUTDOWN_GRACE_S, TLS_HANDSHAKE_TIMEOUT_S
from tests.http.wire import GET, echo, hello, stream_back


@asynccontextmanager
async def listening(handler: Handler = hello, **options: object) -> AsyncIterator[Listener]:
    async with trio.open_nursery() as nursery:
        listener: Listener = await nursery.start(serve, handler, ListenOptions(**options))  # type: ignore[arg-type]
        yield listener
        nursery.cancel_scope.cancel()


async def connect(listener: Listener) -> trio.SocketStream:
    return await trio.open_tcp_stream(*listener.addresses[0])


async def read_to_end(stream: trio.SocketStream) -> bytes:
    received = b""
    with suppress(trio.BrokenResourceError):
        async for piece in stream:
            received += piece
    return received


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(120):
        while not condition():
            await trio.lowlevel.checkpoint()


async def test_a_request() -> None:
    async with listening() as listener, httpx.AsyncClient() as client:
        assert listener.urls == [f"http://127.0.0.1:{listener.addresses[0][1]}"]
        answer = await client.get(listener.urls[0])
        assert (answer.status_code, answer.text) == (200, "hello")


async def test_many_requests_on_many_connections() -> None:
    async with listening(echo) as listener, httpx.AsyncClient() as client, trio.open_nursery() as nursery:

        async def ask(number: int) -> None:
            for size in (0, 10, 100_000):
                body = bytes([number]) * size
                assert (await client.post(listener.urls[0], content=body)).content == body

        for number in range(20):
            nursery.start_soon(ask, number)


async def test_the_client_is_told() -> None:
    clients: list[tuple[str, int]] = []

    async def handler(exchange: Exchange) -> None:
        clients.append(exchange.request.client)
        await hello(exchange)

    async with listening(handler, host="::") as listener:
        for address in ("127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])):
            stream = await trio.open_tcp_stream(address, listener.addresses[0][1])
            await stream.send_all(GET)
            await stream.receive_some()
            assert clients[-1] == stream.socket.getsockname()[:2]
            await stream.aclose()


async def test_64_mib_in_and_out() -> None:
    async with listening(stream_back) as listener:
        stream = await connect(listener)
        piece, count = bytes(range(256)) * 256, 1024
        await stream.send_all(b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (len(piece) * count))
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                for _ in range(count):
                    await stream.send_all(piece)

            nursery.start_soon(send)
            received = bytearray()
            async for data in stream:
                received += data
        body = received.partition(b"\r\n\r\n")[2]
        assert body == piece * count
        await stream.aclose()


async def test_half_close() -> None:
    async with listening(echo) as listener:
        stream = await connect(listener)
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + GET)
        await stream.send_eof()
        received = await read_to_end(stream)
        assert received.count(b"HTTP/1.1 200 OK") == 2
        assert b"hello" in received
        await stream.aclose()


async def test_the_client_reads_the_error_although_it_sends_on() -> None:
    """Closing on unread bytes would make the kernel reset the connection, and the answer would be lost."""
    async with listening() as listener:
        stream = await connect(listener)
        await stream.send_all(b"GET /../ HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 200_000)
        received = b""
        while b"}" not in received:
            received += await stream.receive_some()
        assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        await stream.send_all(b"x" * 1000)
        await stream.aclose()


def abandon(stream: trio.SocketStream) -> None:
    """Close with a reset."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def test_a_reset_cancels_a_handler_that_does_not_look(autojump_clock: trio.testing.MockClock) -> None:
    started, cancelled = trio.Event(), trio.Event()

    async def handler(exchange: Exchange) -> None:
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with listening(handler) as listener:
        stream = await connect(listener)
        await stream.send_all(GET)
        await started.wait()
        abandon(stream)
        with trio.fail_after(120):
            await cancelled.wait()
        await until(lambda: listener.statistics().connections_open == 0)


async def test_clients_that_disconnect_at_random_points_leave_nothing_behind() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        while data := await exchange.receive(1000):
            exchange.write(data)
            await exchange.flush()
        await exchange.finish()

    seeded = random.Random(7)
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000
    gc.collect()
    async with listening(handler) as listener:
        limit = trio.CapacityLimiter(50)

        async def ask(cut_at: int, read: int, hard: bool) -> None:
            async with limit:
                stream = await connect(listener)
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(request[:cut_at])
                    if read:
                        await stream.receive_some(read)
                if hard:
                    abandon(stream)
                else:
                    await stream.aclose()

        async with trio.open_nursery() as nursery:
            for _ in range(1000):
                cut_at = seeded.randint(1, len(request))
                read = seeded.choice([0, 100, 10_000]) if cut_at > 100 else 0
                nursery.start_soon(ask, cut_at, read, seeded.random() < 0.5)
        await until(lambda: listener.statistics().connections_open == 0)
        statistics = listener.statistics()
        assert (statistics.connections_open, statistics.exchanges_active) == (0, 0)
        assert 0 < statistics.exchanges_served <= 1000


# --- caps ---


async def test_the_most_connections() -> None:
    async with listening(connection_count_max=2) as listener:
        streams = [await connect(listener) for _ in range(3)]
        for stream in streams[:2]:
            await stream.send_all(GET)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 OK")
        await streams[2].send_all(GET)
        head, _, body = (await read_to_end(streams[2])).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"retry-after: 1\r\n" in head
        assert b"connection: close" in head
        assert json.loads(body)["code"] == "http.too-many-connections"
        assert listener.statistics() == ListenerStatistics(2, 1, 0, 2, 0)

        await streams[0].aclose()
        await until(lambda: listener.statistics().connections_open == 1)
        again = await connect(listener)
        await again.send_all(GET)
        assert (await again.receive_some()).startswith(b"HTTP/1.1 200 OK")
        for stream in (*streams, again):
            await stream.aclose()


async def test_the_most_connections_of_one_address() -> None:
    async with listening(connection_per_address_max=1) as listener:
        first, second = await connect(listener), await connect(listener)
        other = await trio.open_tcp_stream(*listener.addresses[0], local_address="127.0.0.2")
        for stream, status in ((first, b"200"), (second, b"503"), (other, b"200")):
            await stream.send_all(GET)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 " + status)
            await stream.aclose()


async def test_over_the_cap_and_over_again() -> None:
    """Those who are told to come back are bounded too."""
    async with listening(connection_count_max=0) as listener:
        streams = [await connect(listener) for _ in range(REFUSAL_COUNT_MAX + 1)]
        await until(lambda: listener.statistics().connections_refused == len(streams))
        answered = 0
        for stream in streams:
            with suppress(trio.BrokenResourceError):
                answered += (await stream.receive_some()).startswith(b"HTTP/1.1 503")
        assert answered == REFUSAL_COUNT_MAX
        for stream in streams:
            await stream.aclose()


class Refusing:
    """A listening socket whose accept fails a few times."""

    def __init__(self, real: socket.socket, failures: list[int]) -> None:
        self._real = real
        self._failures = failures

    def accept(self) -> tuple[socket.socket, object]:
        if self._failures:
            number = self._failures.pop(0)
            raise OSError(number, errno.errorcode[number])
        return self._real.accept()

    def fileno(self) -> int:
        return self._real.fileno()


async def test_accept_survives(autojump_clock: trio.testing.MockClock) -> None:
    listener = Listener(hello, ListenOptions())
    real = listener._sockets[0]
    failures = [errno.EMFILE, errno.EMFILE, errno.ECONNABORTED, errno.ENFILE]
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener._accept_forever, Refusing(real, failures), nursery)
            stream = await connect(listener)
            await stream.send_all(GET)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 OK")
            nursery.cancel_scope.cancel()
    await stream.aclose()
    listener.close()
    assert failures == []
    assert [entry["event"] for entry in logs] == ["accept.paused"]  # once, not ten times a second


# --- stopping ---


async def test_shutdown_without_connections() -> None:
    async with trio.open_nursery() as nursery:
        listener: Listener = await nursery.start(serve, hello, ListenOptions())
        listener.shutdown()
    with pytest.raises(OSError, match="all attempts to connect"):
        await connect(listener)


async def test_shutdown_lets_requests_end() -> None:
    go = trio.Event()

    async def handler(exchange: Exchange) -> None:
        await go.wait()
        await hello(exchange)

    async with trio.open_nursery() as nursery:
        listener: Listener = await nursery.start(serve, handler, ListenOptions())
        idle, busy = await connect(listener), await connect(listener)
        await busy.send_all(GET)
        await until(lambda: listener.statistics().exchanges_active == 1)
        listener.shutdown()
        assert await idle.receive_some() == b""
        with pytest.raises(OSError, match="all attempts to connect"):
            await connect(listener)
        go.set()
        answer = await read_to_end(busy)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close\r\n" in answer
    assert listener.statistics().connections_open == 0
    for stream in (idle, busy):
        await stream.aclose()


async def test_shutdown_cuts_what_takes_too_long(autojump_clock: trio.testing.MockClock) -> None:
    async def handler(exchange: Exchange) -> None:
        await trio.sleep_forever()

    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            listener: Listener = await nursery.start(serve, handler, ListenOptions())
            stream = await connect(listener)
            await stream.send_all(GET)
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(1)
            listener.shutdown()
        assert trio.current_time() == pytest.approx(1 + SHUTDOWN_GRACE_S, abs=0.5)
    assert await read_to_end(stream) == b""
    await stream.aclose()
    assert [entry["event"] for entry in logs] == ["listener.cut"]


# --- refusing to start ---


async def test_a_taken_port() -> None:
    async with listening() as listener:
        with pytest.raises(ListenError):
            await serve(hello, ListenOptions(port=listener.addresses[0][1]))


async def test_sockets_that_were_bound_by_others() -> None:
    """Bound only, they refuse; a listener makes them listen. A second one with the same ones changes nothing."""
    bound = bind("127.0.0.1", 0, reuse_port=True, listen=False)
    address = bound[0].getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    listener = Listener(hello, ListenOptions(sockets=[sock.dup() for sock in bound]))
    assert listener.addresses == [address]
    waiting = socket.create_connection(address)
    waiting.sendall(GET)
    listener.close()  # as a process that dies: the other copy is open, and the connection waits in it
    async with listening(sockets=bound) as successor:
        assert successor.addresses == [address]
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(waiting))
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
        await stream.aclose()


async def test_bad_tls_files(tls_files: TlsFiles) -> None:
    with pytest.raises(TlsError):
        await serve(hello, ListenOptions(tls=TlsFiles(tls_files.key, tls_files.certificate)))


# --- TLS ---


async def test_https_in_http_1_1(tls_files: TlsFiles, client_context: Callable[..., ssl.SSLContext]) -> None:
    seen: list[str] = []

    async def handler(exchange: Exchange) -> None:
        seen.append(exchange.request.scheme)
        await echo(exchange)

    async with (
        listening(handler, tls=tls_files) as listener,
        httpx.AsyncClient(verify=client_context()) as client,
    ):
        assert listener.urls[0].startswith("https://127.0.0.1:")
        for body in (b"", b"x" * 1_000_000):
            answer = await client.post(listener.urls[0], content=body)
            assert (answer.http_version, answer.content) == ("HTTP/1.1", body)
        assert seen == ["https", "https"]


async def test_a_client_that_does_not_shake_hands(tls_files: TlsFiles, autojump_clock: trio.testing.MockClock) -> None:
    async with listening(tls=tls_files) as listener:
        stream = await connect(listener)
        assert await stream.receive_some() == b""
        assert trio.current_time() == pytest.approx(TLS_HANDSHAKE_TIMEOUT_S, abs=0.5)
        await stream.aclose()


async def test_a_client_that_speaks_no_tls(tls_files: TlsFiles) -> None:
    async with listening(tls=tls_files) as listener:
        stream = await connect(listener)
        await stream.send_all(GET)
        received = await read_to_end(stream)
        assert not received.startswith(b"HTTP")
        await stream.aclose()
        await until(lambda: listener.statistics().connections_open == 0)


async def test_over_the_cap_with_tls(tls_files: TlsFiles) -> None:
    async with listening(tls=tls_files, connection_count_max=0) as listener:
        stream = await connect(listener)
        assert await read_to_end(stream) == b""
        await stream.aclose()


async def test_abort_with_an_unread_body() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        await exchange.flush()
        exchange.abort()

    with structlog.testing.capture_logs() as logs:
        async with listening(handler) as listener:
            stream = await connect(listener)
            await stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
            assert (await read_to_end(stream)).startswith(b"HTTP/1.1 200 OK")
            await stream.aclose()
            await until(lambda: listener.statistics().connections_open == 0)
    assert logs == []
