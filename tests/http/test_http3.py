"""HTTP/3 over loopback, with aioquic's own client state machine."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import trio
import trio.testing
import trustme
from aioquic.h3.connection import ErrorCode
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StopSendingReceived, StreamReset
from aioquic.quic.packet import QuicPacketType, pull_quic_header

from edged.errors import GuestTrap, ListenError
from edged.http import http3 as http3_module
from edged.http.bind import bind_udp
from edged.http.connection_set import ConnectionSet
from edged.http.exchange import ClientGone, Exchange, Handler, Header
from edged.http.http3 import Http3Connection
from edged.http.listener import Listener, ListenOptions, serve
from edged.http.tls import Certificate, Certificates, TlsFiles
from edged.limits import (
    BODY_TIMEOUT_S,
    HTTP2_RESET_COUNT_MAX,
    HTTP3_INBOX_COUNT_MAX,
    READ_CHUNK_BYTES,
    WRITE_BUFFER_BYTES,
)
from tests.http.http3_client import GET, POST, Client
from tests.http.wire import echo, hello, read_all, stream_back


@pytest.fixture
def connected(authority: trustme.CA, tls_files: TlsFiles) -> Callable[..., Any]:
    """A client of a listener with HTTP/3, both running until the block ends."""

    @asynccontextmanager
    async def connect(handler: Handler, **options: Any) -> AsyncIterator[tuple[Client, Listener]]:
        async with trio.open_nursery() as nursery:
            listener: Listener = await nursery.start(
                serve, handler, ListenOptions(tls=tls_files, http3=True, **options)
            )
            client = Client(listener.addresses[0], authority)
            nursery.start_soon(client.run)
            yield client, listener
            nursery.cancel_scope.cancel()

    return connect


# --- requests and responses ---


async def test_hello(connected: Callable[..., Any]) -> None:
    async with connected(hello) as (client, listener):
        for _ in range(3):
            stream = await client.request()
            assert await client.answer(stream) == (200, b"hello")
            assert client.headers(stream)[b"content-length"] == b"5"
            assert b"date" in client.headers(stream)
        assert listener.statistics().connections_open == 1
        while listener.statistics().exchanges_active:
            await trio.lowlevel.checkpoint()
        assert listener.statistics().exchanges_served == 3


async def test_the_handler_sees_who_asks(connected: Callable[..., Any]) -> None:
    seen: list[Exchange] = []

    async def handler(exchange: Exchange) -> None:
        seen.append(exchange)
        await hello(exchange)

    async with connected(handler) as (client, _):
        fields = [*GET[:3], (b":path", b"/a%20b?c"), (b"spin-x", b"1"), (b"x", b"y")]
        await client.answer(await client.request(fields))
    request = seen[0].request
    assert (request.scheme, request.authority, request.target) == ("https", "localhost", "/a%20b?c")
    assert (request.http_version, request.client[0]) == ("3", "127.0.0.1")
    assert request.headers == [(b"host", b"localhost"), (b"x", b"y")]


async def test_bodies_and_trailers_both_ways(connected: Callable[..., Any]) -> None:
    async with connected(stream_back) as (client, _):
        stream = await client.request(POST, b"hello", end=False)
        client.h3.send_headers(stream, [(b"x-sum", b"1")], end_stream=True)
        client.flush()
        assert await client.answer(stream) == (200, b"hello")
        assert client.of(stream, HeadersReceived)[-1].headers == [(b"x-sum", b"1")]
        assert await client.answer(await client.request()) == (200, b"")


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204)])
async def test_responses_without_a_body(connected: Callable[..., Any], method: bytes, status: int) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(status, [])
        exchange.write(b"hello")
        await exchange.finish()

    async with connected(handler) as (client, _):
        assert await client.answer(await client.request([(b":method", method), *GET[1:]])) == (status, b"")


async def test_many_requests_at_once(connected: Callable[..., Any]) -> None:
    async with connected(echo) as (client, _):
        streams = [await client.request(POST, bytes([number]) * 10_000) for number in range(20)]
        for number, stream in enumerate(streams):
            assert await client.answer(stream) == (200, bytes([number]) * 10_000)


async def test_a_large_body_both_ways_at_once(connected: Callable[..., Any]) -> None:
    async with connected(stream_back) as (client, _):
        body = bytes(range(256)) * 4096
        status, received = await client.answer(await client.request(POST, body))
        assert (status, received == body) == (200, True)


async def test_expect_continue(connected: Callable[..., Any]) -> None:
    async with connected(echo) as (client, _):
        stream = await client.request([*POST, (b"expect", b"100-continue"), (b"content-length", b"2")], end=False)
        await client.until(lambda: bool(client.of(stream, HeadersReceived)))
        assert client.headers(stream) == {b":status": b"100"}
        client.h3.send_data(stream, b"ok", True)
        client.flush()
        await client.until(lambda: client.body(stream) == b"ok")


async def test_http_1_1_and_2_say_where_to_find_it(
    connected: Callable[..., Any], client_context: Callable[..., Any]
) -> None:
    async with connected(hello) as (_, listener):
        for http2 in (False, True):
            async with httpx.AsyncClient(http2=http2, verify=client_context()) as other:
                answer = await other.get(listener.urls[0])
                assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
                assert answer.headers["alt-svc"] == f'h3=":{listener.addresses[0][1]}"; ma=86400'


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([*GET[:3], (b":path", b"/../x")], 400),
        ([*GET[:2], (b":authority", b"a b"), (b":path", b"/")], 400),
        ([*GET, (b"host", b"other.example")], 400),
        ([(b":method", b"TRACE"), *GET[1:]], 501),
    ],
)
async def test_refused(connected: Callable[..., Any], fields: list[Header], status: int) -> None:
    async with connected(hello) as (client, listener):
        got, body = await client.answer(await client.request(fields))
        assert got == status
        assert "code" in json.loads(body)
        assert await client.answer(await client.request()) == (200, b"hello")
        assert listener.statistics().requests_refused == 1


async def test_an_error_after_something_was_sent_resets_the_stream(connected: Callable[..., Any]) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        exchange.write(b"part")
        await exchange.flush()
        raise GuestTrap("unreachable")

    async with connected(handler) as (client, _):
        stream = await client.request()
        await client.until(lambda: bool(client.of(stream, StreamReset)))
        assert client.of(stream, StreamReset)[0].error_code == ErrorCode.H3_INTERNAL_ERROR


async def test_a_body_that_nobody_read_is_not_wanted(connected: Callable[..., Any]) -> None:
    async with connected(hello) as (client, _):
        stream = await client.request(POST, b"x", end=False)
        assert await client.answer(stream) == (200, b"hello")
        await client.until(lambda: bool(client.of(stream, StopSendingReceived)))
        assert client.of(stream, StopSendingReceived)[0].error_code == ErrorCode.H3_NO_ERROR


async def test_a_reset_cancels_the_handler(connected: Callable[..., Any]) -> None:
    started, ended = trio.Event(), trio.Event()

    async def handler(exchange: Exchange) -> None:
        started.set()
        try:
            await read_all(exchange)
        finally:
            ended.set()

    async with connected(handler) as (client, listener):
        stream = await client.request(POST, b"x", end=False)
        await started.wait()
        client.quic.reset_stream(stream, ErrorCode.H3_REQUEST_CANCELLED)
        client.flush()
        with trio.fail_after(120):
            await ended.wait()
        assert listener.statistics().connections_open == 1


async def test_a_closed_connection_cancels_its_handlers(connected: Callable[..., Any]) -> None:
    ended = trio.Event()

    async def handler(exchange: Exchange) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with connected(handler) as (client, listener):
        await client.request()
        while not listener.statistics().exchanges_active:
            await trio.lowlevel.checkpoint()
        client.quic.close()
        client.flush()
        with trio.fail_after(120):
            await ended.wait()


async def test_rapid_reset(connected: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http3_module, "HTTP2_RESET_COUNT_MAX", 10)
    assert HTTP2_RESET_COUNT_MAX > 10

    async def handler(exchange: Exchange) -> None:
        await trio.sleep_forever()

    with structlog.testing.capture_logs() as logs:
        async with connected(handler) as (client, listener):
            for _ in range(11):
                stream = await client.request(POST, b"x", end=False)
                while not listener.statistics().exchanges_active:
                    await trio.lowlevel.checkpoint()
                client.quic.reset_stream(stream, ErrorCode.H3_REQUEST_CANCELLED)
                client.flush()
                while listener.statistics().exchanges_active:
                    await trio.lowlevel.checkpoint()
            await client.until(lambda: client.terminated is not None)
            assert client.terminated.error_code == ErrorCode.H3_EXCESSIVE_LOAD
    assert [entry["event"] for entry in logs] == ["connection.flooded"]


# --- back-pressure ---


async def test_the_window_follows_the_reader(
    connected: Callable[..., Any], autojump_clock: trio.testing.MockClock
) -> None:
    go, held = trio.Event(), []

    async def handler(exchange: Exchange) -> None:
        await go.wait()
        body = await exchange.receive(1)
        held.append(exchange.unread_bytes + 1)  # type: ignore[attr-defined]
        await hello_with(exchange, body + await read_all(exchange))

    async def hello_with(exchange: Exchange, body: bytes) -> None:
        exchange.respond(200, [])
        exchange.write(b"%d" % len(body))
        await exchange.finish()

    async with connected(handler) as (client, listener):
        stream = await client.request(POST, b"x" * 1_000_000)
        other = await client.request()  # another stream is not held up
        await trio.sleep(3)  # time for far more than the window, had it been given
        assert listener.statistics().exchanges_active == 2
        go.set()
        assert await client.answer(stream) == (200, b"1000000")
        assert await client.answer(other) == (200, b"0")
        assert max(held) <= READ_CHUNK_BYTES


async def test_the_handler_waits_for_the_network(
    connected: Callable[..., Any], autojump_clock: trio.testing.MockClock
) -> None:
    """A client that takes nothing: what is kept for it is bounded, and it has an end."""
    written: list[int] = []
    lost: list[ClientGone] = []
    ended = trio.Event()

    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        try:
            for _ in range(200):
                exchange.write(b"x" * WRITE_BUFFER_BYTES)
                await exchange.flush()
                written.append(WRITE_BUFFER_BYTES)
        except ClientGone as error:
            lost.append(error)
            raise
        finally:
            ended.set()

    async with connected(handler) as (client, _):
        stream = await client.request()
        await client.until(lambda: len(client.body(stream)) > 100_000)
        client.deaf = True
        before = sum(written)
        await ended.wait()
        assert len(lost) == 1
        assert sum(written) - before < 20 * WRITE_BUFFER_BYTES  # what the network may hold


async def test_a_slow_body(connected: Callable[..., Any], autojump_clock: trio.testing.MockClock) -> None:
    async with connected(echo) as (client, _):
        stream = await client.request(POST, b"x", end=False)
        started = trio.current_time()
        assert (await client.answer(stream))[0] == 408
        assert trio.current_time() - started == pytest.approx(BODY_TIMEOUT_S, abs=2)


async def test_datagrams_that_wait_for_their_turn_are_bounded(tls_files: TlsFiles) -> None:
    sent: list[bytes] = []
    configuration = QuicConfiguration(is_client=False)
    configuration.load_cert_chain(tls_files.certificate, tls_files.key)
    quic = http3_module.Quic(configuration=configuration, original_destination_connection_id=b"12345678")
    connection = Http3Connection(
        ConnectionSet(hello), quic, ("192.0.2.1", 1), lambda data, _: sent.append(data), lambda *_: None
    )
    for _ in range(HTTP3_INBOX_COUNT_MAX + 1):
        connection.receive(b"x", ("192.0.2.1", 1))
    assert len(connection._inbox) == HTTP3_INBOX_COUNT_MAX


# --- who may connect ---


async def test_a_client_must_show_that_its_address_is_its_own(connected: Callable[..., Any]) -> None:
    async with connected(hello) as (client, _):
        await client.answer(await client.request())
        assert packet_type(client.received[0]) == QuicPacketType.RETRY


def packet_type(datagram: bytes) -> QuicPacketType:
    from aioquic.buffer import Buffer  # noqa: PLC0415

    return pull_quic_header(Buffer(data=datagram), host_cid_length=8).packet_type


def ask(listener: Listener, datagram: bytes) -> socket.socket:
    """Send one raw datagram."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.sendto(datagram, listener.addresses[0])
    return sock


def initial(size: int = 1200, version: int = 1, token: bytes = b"") -> bytes:
    """The start of a client's first packet, the rest of it noise."""
    head = b"\xc0" + version.to_bytes(4, "big") + b"\x08" + b"d" * 8 + b"\x08" + b"s" * 8
    head += bytes([len(token)]) + token + (0x4000 | (size - len(head) - 3 - len(token))).to_bytes(2, "big")
    return head + b"n" * (size - len(head))


@pytest.mark.parametrize(
    ("datagram", "kind"),
    [
        (initial(), QuicPacketType.RETRY),
        (initial(version=0x1A2A3A4A), QuicPacketType.VERSION_NEGOTIATION),
        (initial(size=1199), None),
        (initial(size=1199, version=0x1A2A3A4A), None),
        (initial(token=b"forged" * 5), None),
        (initial(version=0), None),
        (b"", None),
        (b"\x40" + b"x" * 1300, None),
        (b"\xff" * 1300, None),
        (b"GET / HTTP/1.1\r\n\r\n" * 100, None),
    ],
)
async def test_raw_datagrams(connected: Callable[..., Any], datagram: bytes, kind: QuicPacketType | None) -> None:
    async with connected(hello) as (client, listener):
        with ask(listener, datagram) as sock:
            assert await client.answer(await client.request()) == (200, b"hello")  # it still serves
            if kind is None:
                with pytest.raises(BlockingIOError):
                    sock.recv(65536)
            else:
                answer = sock.recv(65536)
                assert packet_type(answer) == kind
                assert len(answer) < len(datagram)
        assert listener.statistics().connections_open == 1


async def test_the_most_connections(connected: Callable[..., Any], autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello, connection_count_max=0) as (client, listener):
        with trio.move_on_after(5):
            await client.request()
        assert client.h3 is None
        assert listener.statistics().connections_open == 0
        assert listener.statistics().connections_refused > 0


async def test_shutdown(connected: Callable[..., Any]) -> None:
    go = trio.Event()

    async def handler(exchange: Exchange) -> None:
        await go.wait()
        await hello(exchange)

    async with connected(handler) as (client, listener):
        first = await client.request()
        while not listener.statistics().exchanges_active:
            await trio.lowlevel.checkpoint()
        listener.shutdown()
        while not listener.stopping:
            await trio.lowlevel.checkpoint()
        second = await client.request()
        await client.until(lambda: bool(client.of(second, StreamReset)))
        assert client.of(second, StreamReset)[0].error_code == ErrorCode.H3_REQUEST_REJECTED
        go.set()
        assert await client.answer(first) == (200, b"hello")
        await client.until(lambda: client.terminated is not None)
        assert client.terminated.error_code == ErrorCode.H3_NO_ERROR


async def test_a_taken_udp_port(tls_files: TlsFiles) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=str(port)):
            bind_udp([("127.0.0.1", port)])
        with pytest.raises(ListenError, match=str(port)):
            await serve(hello, ListenOptions(port=port, tls=tls_files, http3=True))


# --- several certificates ---


@pytest.mark.parametrize("name", ["localhost", "shop.example.com", "a.example.org"])
async def test_the_certificate_is_that_of_the_name(
    authority: trustme.CA, tls_files: TlsFiles, tmp_path: Path, name: str
) -> None:
    """The client checks that it is, and gives up otherwise."""

    def make(host: str) -> Certificate:
        issued = authority.issue_cert(host)
        certificate, key = tmp_path / f"{len(host)}.crt", tmp_path / f"{len(host)}.key"
        certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        key.write_bytes(issued.private_key_pem.bytes())
        return Certificate((host,), TlsFiles(certificate, key))

    certificates = Certificates([Certificate(("localhost",), tls_files), make("*.example.org")])
    async with trio.open_nursery() as nursery:
        listener: Listener = await nursery.start(serve, hello, ListenOptions(tls=certificates, http3=True))
        certificates.set([Certificate(("localhost",), tls_files), make("*.example.org"), make("shop.example.com")])
        client = Client(listener.addresses[0], authority, name)
        nursery.start_soon(client.run)
        assert await client.answer(await client.request()) == (200, b"hello")
        nursery.cancel_scope.cancel()


async def test_a_name_that_no_certificate_is_for(authority: trustme.CA, tls_files: TlsFiles) -> None:
    async with trio.open_nursery() as nursery:
        listener: Listener = await nursery.start(serve, hello, ListenOptions(tls=tls_files, http3=True))
        client = Client(listener.addresses[0], authority, "elsewhere.test")
        nursery.start_soon(client.run)
        await client.until(lambda: client.terminated is not None)
        assert "elsewhere.test" in client.terminated.reason_phrase
        nursery.cancel_scope.cancel()
