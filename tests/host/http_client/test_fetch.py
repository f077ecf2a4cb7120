"""Whole requests for whole responses"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.host.http.error import HttpError
from edged.host.http_client.client import HttpClient
from edged.host.http_client.fetch import fetch
from edged.host.network.trust import system_roots_http
from tests.host.http_client.servers import DIALER, OK, Servers, listen


async def test_a_whole_exchange(nursery) -> None:
    requests = []

    async def serve(stream):
        requests.append(await stream.receive_some(65536))
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nX-A: b\r\n\r\nno")

    port = await listen(nursery, serve)
    client = HttpClient(DIALER)
    headers = [(b"authorization", b"Bearer x")]
    fetched = await fetch(
        client,
        "POST",
        f"http://127.0.0.1:{port}/v1?a=b",
        headers=headers,
        body=b"{}",
        timeout_s=5,
        body_bytes_max=2,
    )
    assert (fetched.status, fetched.body) == (404, b"no")
    assert (b"x-a", b"b") in fetched.headers
    assert requests[0].startswith(b"POST /v1?a=b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer x\r\n" % port)
    assert requests[0].endswith(b"content-length: 2\r\n\r\n{}")
    client.close()
    nursery.cancel_scope.cancel()


async def test_a_response_over_the_limit() -> None:
    servers = Servers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(servers.answer, OK)
        with pytest.raises(HttpError, match="HTTP-response-body-size"):
            await fetch(servers.client(), "GET", "http://example.com", timeout_s=5, body_bytes_max=4)
    assert servers.wire.sent.startswith(b"GET / HTTP/1.1\r\nhost: example.com\r\n")
    assert servers.wire.closed


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"])
async def test_a_server_that_takes_too_long(autojump_clock, answer) -> None:
    servers = Servers()
    client = servers.client()
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(servers.answer, answer)
        with pytest.raises(HttpError, match=r"HTTP-response-timeout|connection-read-timeout"):
            await fetch(client, "GET", "http://example.com/", timeout_s=5, body_bytes_max=100)
    assert trio.current_time() - started == pytest.approx(5)
    assert servers.wire.closed
    assert client.statistics().active == 0


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "http:///path", "http://user:secret@example.com/", "http://a:99999/", "http://[::1", "x"],
)
async def test_what_is_no_url_is_not_repeated(url) -> None:
    with pytest.raises(ValueError, match="URL") as raised:
        await fetch(Servers().client(), "GET", url, timeout_s=5, body_bytes_max=100)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_an_ipv6_address() -> None:
    servers = Servers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(servers.answer, OK)
        await fetch(servers.client(), "GET", "https://[::1]:8443/x", timeout_s=5, body_bytes_max=100)
    assert servers.origins == [("https", "::1", 8443, system_roots_http("::1"))]
    assert b"\r\nhost: [::1]:8443\r\n" in servers.wire.sent
