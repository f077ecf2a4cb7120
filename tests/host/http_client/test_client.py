"""The client of an app: connections used again, requests sent again, TLS, and what goes wrong before a request."""

from __future__ import annotations

import dataclasses
import errno
import functools
import socket
import ssl

import pytest
import trio
import trio.testing
import trustme

from edged.host.http.error import HttpError
from edged.host.http_client.client import HttpClient
from edged.host.http_client.fetch import WholeBody
from edged.host.network.dialer import Dialer
from edged.host.network.gate import AddressGate
from edged.host.network.trust import system_roots_http
from tests.host.http_client.servers import DIALER, OK, Call, Servers, head, hello, listen, read, request

wait = trio.testing.wait_all_tasks_blocked


@pytest.fixture
def servers() -> Servers:
    return Servers()


async def used_once(nursery, servers, client) -> None:
    """Leave the client with an idle connection."""
    call = Call(nursery, client, request())
    await servers.answer(OK)
    assert await read(call.response) == b"hello"
    assert client.statistics().idle == 1


# --- connections used again ---


async def test_requests_to_one_origin_share_a_connection(nursery, servers) -> None:
    client = servers.client()
    for _ in range(3):
        await used_once(nursery, servers, client)
    assert len(servers.wires) == 1
    assert servers.wire.sends == 3


async def test_two_clients_share_nothing(nursery, servers) -> None:
    await used_once(nursery, servers, servers.client())
    await used_once(nursery, servers, servers.client())
    assert len(servers.wires) == 2


async def test_without_pooling_each_has_its_own(nursery, servers) -> None:
    client = servers.client(connection_pooling=False)
    for _ in range(2):
        call = Call(nursery, client, request())
        await servers.answer(OK)
        assert await read(call.response) == b"hello"
        assert servers.wire.closed
    assert len(servers.wires) == 2


async def test_a_connection_closed_meanwhile_is_seen(nursery, servers) -> None:
    client = servers.client()
    await used_once(nursery, servers, client)
    servers.wire.unasked = True
    await used_once(nursery, servers, client)
    assert len(servers.wires) == 2
    assert servers.wires[0].closed


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("how", ["end", "cut"])
async def test_one_closed_just_then_is_replaced_once(nursery, servers, method, how) -> None:
    client = servers.client()
    await used_once(nursery, servers, client)
    call = Call(nursery, client, request(method))
    await wait()
    getattr(servers.wire, how)()
    await servers.answer(OK)
    assert len(servers.wires) == 2
    assert call.error is None
    call.response.body.close()
    assert client.statistics().active == 0
    assert servers.wires[0].closed


async def test_but_only_once(nursery, servers) -> None:
    client = servers.client()
    await used_once(nursery, servers, client)
    call = Call(nursery, client, request())
    for _ in range(2):
        await wait()
        servers.wire.end()
    await wait()
    assert call.code == "connection-terminated"
    assert len(servers.wires) == 2
    assert client.statistics().active == 0


@pytest.mark.parametrize(
    "options",
    [{"method": "POST"}, {"method": "PATCH"}, {"method": "PUT", "body": b"some"}],
    ids=["POST", "PATCH", "a body"],
)
async def test_what_the_server_may_have_acted_on_is_not_sent_again(nursery, servers, options) -> None:
    client = servers.client()
    await used_once(nursery, servers, client)
    body = WholeBody(options.pop("body")) if "body" in options else None
    call = Call(nursery, client, request(body=body, **options))
    await wait()
    servers.wire.end()
    await wait()
    assert call.code == "connection-terminated"
    assert len(servers.wires) == 1


async def test_nor_on_a_connection_that_was_new(nursery, servers) -> None:
    call = Call(nursery, servers.client(), request())
    await wait()
    servers.wire.end()
    await wait()
    assert call.code == "connection-terminated"
    assert len(servers.wires) == 1


async def test_nor_when_a_response_has_begun(nursery, servers) -> None:
    client = servers.client()
    await used_once(nursery, servers, client)
    call = Call(nursery, client, request())
    await wait()
    servers.wire.feed(b"HTTP/1.1 2")
    servers.wire.end()
    await wait()
    assert call.code == "HTTP-response-incomplete"
    assert len(servers.wires) == 1


async def test_waiting_for_a_connection_is_part_of_connecting(nursery, servers, autojump_clock) -> None:
    client = servers.client(connections_max=1)
    first = Call(nursery, client, request())
    await wait()
    second = Call(nursery, client, request(authority="other.example"))
    started = trio.current_time()
    await second.finished.wait()
    assert second.code == "connection-timeout"
    assert trio.current_time() - started == pytest.approx(10)
    assert client.statistics() == type(client.statistics())(active=1, idle=0, waiting=0)
    first.scope.cancel()
    await wait()
    assert client.statistics().active == 0


async def test_a_place_is_given_back_when_no_connection_is_made(nursery, servers) -> None:
    client = servers.client(connections_max=1)
    for _ in range(2):
        servers.failure = HttpError("connection-refused")
        call = Call(nursery, client, request())
        await wait()
        assert call.code == "connection-refused"
    servers.failure = None
    await used_once(nursery, servers, client)


async def test_close_ends_what_is_idle_at_once_and_the_rest_in_time(nursery, servers) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    await wait()
    other = Call(nursery, client, request())
    await wait()
    servers.wires[0].feed(OK)
    await wait()
    assert await read(call.response) == b"hello"
    client.close()
    assert [wire.closed for wire in servers.wires] == [True, False]
    servers.wires[1].feed(OK)
    await wait()
    assert await read(other.response) == b"hello"
    assert servers.wires[1].closed
    late = Call(nursery, client, request())
    await wait()
    assert late.code == "connection-limit-reached"


# --- real sockets ---


async def loopback(nursery, client, port, **options):
    call = Call(nursery, client, request(authority=f"127.0.0.1:{port}", **options))
    await call.finished.wait()
    if call.error is not None:
        raise call.error
    return await read(call.response)


async def test_over_loopback(nursery) -> None:
    connections = []

    async def serve(stream):
        connections.append(stream)
        await hello(stream)

    client = HttpClient(DIALER)
    port = await listen(nursery, serve)
    for _ in range(3):
        assert await loopback(nursery, client, port) == b"hello"
    assert len(connections) == 1
    client.close()
    nursery.cancel_scope.cancel()


async def test_a_server_that_closes_after_each_answer_is_not_met_twice(nursery) -> None:
    closed = trio.Event()

    async def serve(stream):
        nonlocal closed
        await head(stream)
        await stream.send_all(OK)
        await stream.aclose()
        closed.set()

    client = HttpClient(DIALER)
    port = await listen(nursery, serve)
    for _ in range(3):
        assert await loopback(nursery, client, port, method="POST") == b"hello"
        await closed.wait()
        closed = trio.Event()
    client.close()
    nursery.cancel_scope.cancel()


async def test_what_is_not_opened_is_not_reached(nursery) -> None:
    port = await listen(nursery, hello)
    client = HttpClient(Dialer())
    with pytest.raises(HttpError, match="destination-IP-prohibited"):
        await loopback(nursery, client, port)
    nursery.cancel_scope.cancel()


async def never(*_: object) -> None:
    await trio.sleep_forever()


def failing(error: Exception):
    async def fail(*_: object) -> None:
        raise error

    return fail


FAILURES = {
    "name unknown": (
        {"resolve": failing(socket.gaierror(socket.EAI_NONAME, "x"))},
        ("DNS-error", ("address not available", 0)),
    ),
    "name not answered": ({"resolve": never}, "DNS-timeout"),
    "address prohibited": ({"gate": AddressGate()}, "destination-IP-prohibited"),
    "refused": ({"connect": failing(OSError(errno.ECONNREFUSED, "x"))}, "connection-refused"),
    "unreachable": ({"connect": failing(OSError(errno.EHOSTUNREACH, "x"))}, "destination-unavailable"),
    "not answered": ({"connect": never}, "connection-timeout"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_every_way_not_to_get_a_connection_has_a_code(nursery, autojump_clock, name) -> None:
    parts, code = FAILURES[name]
    client = HttpClient(dataclasses.replace(DIALER, **parts))
    call = Call(nursery, client, request(authority="nowhere.example" if "resolve" in parts else "127.0.0.1"))
    await call.finished.wait()
    assert call.code == code
    assert client.statistics().active == 0


async def test_a_name_that_no_certificate_can_have(nursery) -> None:
    name, port = ".example", await listen(nursery, hello)
    client = HttpClient(to_name(name, port), context_of=trusting)
    call = Call(nursery, client, request(scheme="https", authority=f"{name}:{port}"))
    await call.finished.wait()
    assert call.code == "HTTP-request-URI-invalid"
    assert client.statistics().active == 0
    nursery.cancel_scope.cancel()


# --- TLS ---

AUTHORITY = trustme.CA()


@functools.cache
def trusting(_host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    AUTHORITY.configure_trust(context)
    return context


async def tls_server(nursery, *names: str, serve=hello):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    protocols = []

    async def secured(stream):
        tls = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        await tls.do_handshake()
        protocols.append(tls.selected_alpn_protocol())
        await serve(tls)

    return await listen(nursery, secured), protocols


def to_name(name: str, port: int) -> Dialer:
    """A dialer for which a name is this machine."""

    async def resolve(host, _port):
        assert host == name
        return await Dialer(DIALER.gate).addresses("127.0.0.1", port)

    return Dialer(DIALER.gate, resolve)


async def test_tls_is_verified_against_the_name(nursery) -> None:
    port, protocols = await tls_server(nursery, "secure.example")
    client = HttpClient(to_name("secure.example", port), context_of=trusting)
    for _ in range(2):
        call = Call(nursery, client, request(scheme="https", authority=f"secure.example:{port}"))
        await call.finished.wait()
        assert await read(call.response) == b"hello"
    assert protocols == ["http/1.1"]
    client.close()
    nursery.cancel_scope.cancel()


async def test_or_the_address(nursery) -> None:
    port, _ = await tls_server(nursery, "127.0.0.1")
    client = HttpClient(DIALER, context_of=trusting)
    assert await loopback(nursery, client, port, scheme="https") == b"hello"
    client.close()
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("name", "context_of"), [("other.example", trusting), ("127.0.0.1", system_roots_http)])
async def test_a_certificate_of_another_name_or_of_nobody_we_know(nursery, name, context_of) -> None:
    port, _ = await tls_server(nursery, name)
    client = HttpClient(DIALER, context_of=context_of)
    with pytest.raises(HttpError, match="TLS-certificate-error"):
        await loopback(nursery, client, port, scheme="https")
    assert client.statistics().active == 0
    nursery.cancel_scope.cancel()


async def test_a_server_without_tls(nursery) -> None:
    async def serve(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    client = HttpClient(DIALER, context_of=trusting)
    with pytest.raises(HttpError, match="TLS-protocol-error"):
        await loopback(nursery, client, await listen(nursery, serve), scheme="https")
    nursery.cancel_scope.cancel()


async def test_a_server_that_wants_another_tls(nursery) -> None:
    async def serve(stream):
        await stream.receive_some()
        await stream.send_all(bytes.fromhex("15 0303 0002 02 46"))  # a fatal alert, number 70
        await stream.receive_some()

    client = HttpClient(DIALER, context_of=trusting)
    with pytest.raises(HttpError) as raised:
        await loopback(nursery, client, await listen(nursery, serve), scheme="https")
    assert raised.value.code == ("TLS-alert-received", (None, "protocol version"))
    nursery.cancel_scope.cancel()


async def test_a_server_that_hangs_in_the_handshake(nursery, autojump_clock) -> None:
    """The kernel accepts for a server that never does."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        started = trio.current_time()
        with pytest.raises(HttpError, match="connection-timeout"):
            await loopback(
                nursery, HttpClient(DIALER, context_of=trusting), listener.socket.getsockname()[1], scheme="https"
            )
        assert trio.current_time() - started == pytest.approx(10)


async def test_a_large_answer_over_tls_while_a_large_request_goes_out(nursery) -> None:
    async def serve(stream):
        await head(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"y" * 1_000_000)
        while await stream.receive_some(65536):
            pass

    port, _ = await tls_server(nursery, "127.0.0.1", serve=serve)
    client = HttpClient(DIALER, context_of=trusting)
    body = WholeBody(b"x" * 8_000_000)
    call = Call(nursery, client, request("POST", scheme="https", authority=f"127.0.0.1:{port}", body=body))
    while not call.responses:
        await trio.lowlevel.checkpoint()
    assert await read(call.response) == b"y" * 1_000_000
    await call.finished.wait()
    client.close()
    nursery.cancel_scope.cancel()
