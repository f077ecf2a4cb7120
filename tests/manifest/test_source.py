"""Fetching a component, over a fake transport and once over a real socket."""

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from edged.errors import (
    CacheError,
    ComponentTooLarge,
    DigestMismatch,
    SourceMissing,
    SourceUnavailable,
    Unsupported,
)
from edged.limits import SOURCE_REDIRECT_COUNT_MAX, SOURCE_TIMEOUT_S
from edged.manifest import source as source_module
from edged.manifest.model import PathSource, RegistrySource, UrlSource
from edged.manifest.source import local_file

BYTES = b"\0asm" + bytes(range(256)) * 1000
DIGEST = f"sha256:{hashlib.sha256(BYTES).hexdigest()}"
SOURCE = UrlSource("https://example.com/c.wasm", DIGEST)


class Pieces(httpx.AsyncByteStream):
    """A body that arrives piece by piece; what follows the pieces may be an error or a wait without end."""

    def __init__(self, *pieces: bytes, end: Callable[[], object] | None = None) -> None:
        self._pieces = pieces
        self._end = end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._end is trio.sleep_forever:
            await trio.sleep_forever()
        elif self._end is not None:
            self._end()


class Server(httpx.MockTransport):
    """Answers each request with the same response, and counts."""

    def __init__(self, make: Callable[[httpx.Request], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return make(request)

        super().__init__(answer)


def serving(*pieces: bytes, status: int = 200) -> Server:
    return Server(lambda _request: httpx.Response(status, stream=Pieces(*pieces)))


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "sources"


async def test_path_is_itself(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "c.wasm"
    file.write_bytes(BYTES)
    assert await local_file(PathSource(file), cache=cache) == file
    assert left_in(cache) == []


async def test_path_without_a_file(tmp_path: Path, cache: Path) -> None:
    for path in (tmp_path / "none.wasm", tmp_path):
        with pytest.raises(SourceMissing, match="is not a file"):
            await local_file(PathSource(path), cache=cache)


async def test_registry_is_refused(cache: Path) -> None:
    with pytest.raises(Unsupported, match="a:b"):
        await local_file(RegistrySource(None, "a:b", "1.0.0"), cache=cache)


async def test_fetched_once(cache: Path) -> None:
    server = serving(BYTES[:1000], BYTES[1000:])
    file = await local_file(SOURCE, cache=cache, transport=server)
    assert file.read_bytes() == BYTES
    assert file.parent == cache
    assert (mode_of(cache), mode_of(file)) == (0o700, 0o600)
    assert await local_file(SOURCE, cache=cache, transport=server) == file
    assert len(server.requests) == 1
    assert left_in(cache) == [file.name]
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("spoilt", [b"", BYTES[:-1], b"x" + BYTES[1:]])
async def test_spoilt_cache_is_fetched_again(cache: Path, spoilt: bytes) -> None:
    server = serving(BYTES)
    file = await local_file(SOURCE, cache=cache, transport=server)
    file.write_bytes(spoilt)
    assert (await local_file(SOURCE, cache=cache, transport=server)).read_bytes() == BYTES
    assert len(server.requests) == 2


async def test_other_bytes(cache: Path) -> None:
    with pytest.raises(DigestMismatch, match=DIGEST):
        await local_file(SOURCE, cache=cache, transport=serving(BYTES, b"!"))
    assert left_in(cache) == []


async def test_packed_body_is_not_unpacked(cache: Path) -> None:
    server = Server(lambda _request: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Pieces(BYTES)))
    assert (await local_file(SOURCE, cache=cache, transport=server)).read_bytes() == BYTES


async def test_size_at_the_limit_and_over(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "COMPONENT_BYTES_MAX", len(BYTES))
    assert await local_file(SOURCE, cache=cache, transport=serving(BYTES))
    endless = Server(lambda _request: httpx.Response(200, stream=Pieces(BYTES, b"!", end=trio.sleep_forever)))
    other = UrlSource("https://example.com/other.wasm", f"sha256:{'0' * 64}")
    with pytest.raises(ComponentTooLarge, match=r"other\.wasm"):
        await local_file(other, cache=cache, transport=endless)
    assert len(left_in(cache)) == 1


@pytest.mark.parametrize("status", [300, 404, 500])
async def test_refusing_server(cache: Path, status: int) -> None:
    with pytest.raises(SourceUnavailable, match=f"answered {status}"):
        await local_file(SOURCE, cache=cache, transport=serving(BYTES, status=status))
    assert left_in(cache) == []


async def test_broken_connection(cache: Path) -> None:
    def break_off() -> None:
        raise httpx.ReadError("connection reset")

    server = Server(lambda _request: httpx.Response(200, stream=Pieces(BYTES[:10], end=break_off)))
    with pytest.raises(SourceUnavailable, match="connection reset"):
        await local_file(SOURCE, cache=cache, transport=server)
    assert left_in(cache) == []


def redirecting(count: int) -> Server:
    def answer(request: httpx.Request) -> httpx.Response:
        hop = int(request.url.params.get("hop", 0))
        if hop == count:
            return httpx.Response(200, stream=Pieces(BYTES))
        return httpx.Response(302, headers={"location": f"https://cdn.example.com/x?hop={hop + 1}"})

    return Server(answer)


async def test_redirects_at_the_limit_and_over(cache: Path) -> None:
    with pytest.raises(SourceUnavailable, match="could not be fetched"):
        await local_file(SOURCE, cache=cache, transport=redirecting(SOURCE_REDIRECT_COUNT_MAX + 1))
    assert await local_file(SOURCE, cache=cache, transport=redirecting(SOURCE_REDIRECT_COUNT_MAX))


async def test_too_slow(cache: Path, autojump_clock: trio.testing.MockClock) -> None:
    server = Server(lambda _request: httpx.Response(200, stream=Pieces(BYTES[:10], end=trio.sleep_forever)))
    with pytest.raises(SourceUnavailable, match="within 300 s"):
        await local_file(SOURCE, cache=cache, transport=server)
    assert trio.current_time() >= SOURCE_TIMEOUT_S
    assert left_in(cache) == []


async def test_cancelled_fetch_leaves_nothing(cache: Path) -> None:
    arrived = trio.Event()
    server = Server(lambda _request: httpx.Response(200, stream=Pieces(BYTES[:10], end=trio.sleep_forever)))
    server.requests = _Noticing(arrived)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: local_file(SOURCE, cache=cache, transport=server))
        await arrived.wait()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert left_in(cache) == []


class _Noticing(list[httpx.Request]):
    def __init__(self, event: trio.Event) -> None:
        super().__init__()
        self._event = event

    def append(self, request: httpx.Request) -> None:
        self._event.set()
        super().append(request)


async def test_cache_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be written"):
        await local_file(SOURCE, cache=tmp_path / "file" / "cache", transport=serving(BYTES))


async def serve(nursery: trio.Nursery, answer: bytes) -> str:
    """A server on a real socket that answers every request with these bytes; its address."""

    async def handle(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, handle, [listener])
    return f"http://127.0.0.1:{listener.socket.getsockname()[1]}"


async def test_real_socket(cache: Path, nursery: trio.Nursery) -> None:
    address = await serve(nursery, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BYTES) + BYTES)
    file = await local_file(UrlSource(f"{address}/c.wasm", DIGEST), cache=cache)
    assert file.read_bytes() == BYTES


async def test_real_socket_over_the_limit(cache: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "COMPONENT_BYTES_MAX", len(BYTES) - 1)
    address = await serve(nursery, b"HTTP/1.1 200 OK\r\n\r\n" + BYTES)
    with pytest.raises(ComponentTooLarge):
        await local_file(UrlSource(f"{address}/c.wasm", DIGEST), cache=cache)


async def test_redirect_to_something_else_than_http(cache: Path, nursery: trio.Nursery) -> None:
    address = await serve(nursery, b"HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n")
    with pytest.raises(SourceUnavailable, match="file://"):
        await local_file(UrlSource(f"{address}/c.wasm", DIGEST), cache=cache)


async def test_nobody_listens(cache: Path) -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(SourceUnavailable, match="could not be fetched"):
        await local_file(UrlSource(f"http://127.0.0.1:{port}/c.wasm", DIGEST), cache=cache)
