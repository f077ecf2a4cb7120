"""Reading metadata: from a file, and from a server that answers as it likes."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme

from bgp.errors import MetadataInvalid, MetadataUnavailable
from bgp.limits import METADATA_BYTES_MAX
from bgp.metadata.provider import PROVIDERS, fetch
from tests.bgp.metadata.documents import FOLDER

EQUINIX = PROVIDERS["equinix"]


@asynccontextmanager
async def server(answer: bytes, *, stays: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers every request with the same bytes.

    Args:
        stays: and does not close the connection.
    """
    requests: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += await stream.receive_some()
        requests.append(request)
        try:
            await stream.send_all(answer)
            if stays:
                await trio.sleep_forever()
        except trio.BrokenResourceError:
            pass
        finally:
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/metadata", requests
        nursery.cancel_scope.cancel()


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize("name", PROVIDERS)
async def test_from_a_file_and_from_a_server(name: str) -> None:
    file = FOLDER / f"{name}.json"
    expected = PROVIDERS[name].parse(json.loads(file.read_text()))
    assert await fetch(PROVIDERS[name], str(file)) == expected
    async with server(response(file.read_bytes())) as (url, requests):
        assert await fetch(PROVIDERS[name], url) == expected
    assert requests[0].startswith(b"GET /metadata HTTP/1.1\r\n")


async def test_no_proxy_of_the_environment_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with server(response((FOLDER / "vultr.json").read_bytes())) as (url, _requests):
        assert (await fetch(PROVIDERS["vultr"], url)).asn == 64496


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (response(b"", "404 Not Found"), "answered 404"),
        (response(b"", "302 Found", "location: http://127.0.0.1:1/"), "answered 302"),
        (b"nonsense\r\n\r\n", "metadata: "),
        (b"", "metadata: "),
        (response(b"{}")[:-1], "metadata: "),
        (response(b" " * (METADATA_BYTES_MAX + 1)), "more than"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (METADATA_BYTES_MAX * 2), "more than"),
    ],
)
async def test_no_answer(answer: bytes, said: str) -> None:
    async with server(answer) as (url, _requests):
        with pytest.raises(MetadataUnavailable, match=said):
            await fetch(EQUINIX, url)


async def test_a_large_answer_is_not_waited_for() -> None:
    async with server(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (METADATA_BYTES_MAX + 1), stays=True) as (url, _requests):
        with pytest.raises(MetadataUnavailable, match="more than"):
            await fetch(EQUINIX, url)


async def test_nobody_there() -> None:
    async with server(b"") as (url, _requests):
        pass
    with pytest.raises(MetadataUnavailable):
        await fetch(EQUINIX, url)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"])
async def test_an_answer_that_does_not_come(answer: bytes, autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = 0.2  # real seconds: packets on the loopback take none of the clock's
    async with server(answer, stays=True) as (url, _requests):
        with pytest.raises(MetadataUnavailable, match="did not answer in 5 s"):
            await fetch(EQUINIX, url)


async def test_a_service_whose_certificate_nobody_vouches_for() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            async with trio.SSLStream(stream, context, server_side=True) as tls:
                await tls.do_handshake()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(MetadataUnavailable, match="certificate verify failed"):
            await fetch(EQUINIX, f"https://127.0.0.1:{port}/metadata")
        nursery.cancel_scope.cancel()


async def test_secrets_of_the_url_are_not_shown() -> None:
    async with server(response(b"", "500 Oh")) as (url, _requests):
        with pytest.raises(MetadataUnavailable) as raised:
            await fetch(EQUINIX, url.replace("//", "//user:hunter2@") + "?token=hunter3")
    assert "hunter" not in raised.value.message


@pytest.mark.parametrize("content", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000])
async def test_no_object(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_bytes(content)
    with pytest.raises(MetadataInvalid, match="no JSON"):
        await fetch(EQUINIX, str(tmp_path / "metadata.json"))


@pytest.mark.parametrize(("extra", "said"), [(0, "no 'bgp_neighbors'"), (1, "more than")])
async def test_as_large_as_it_may_be(extra: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_bytes(b"{}".ljust(METADATA_BYTES_MAX + extra))
    with pytest.raises((MetadataInvalid, MetadataUnavailable), match=said):
        await fetch(EQUINIX, str(tmp_path / "metadata.json"))


@pytest.mark.parametrize("make", [lambda path: path / "nothing", lambda path: path])
async def test_a_file_that_cannot_be_read(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(MetadataUnavailable):
        await fetch(EQUINIX, str(make(tmp_path)))
