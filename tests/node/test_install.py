"""The one file, given to new machines: whole, to few at once, at a rate; and to nobody who wants something else."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import structlog
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from edged.errors import InstallUnavailable, ListenError, NodeConfigInvalid
from edged.limits import (
    CLOSING_IDLE_S,
    INSTALL_BURST_BYTES,
    INSTALL_CONNECTION_PER_ADDRESS_MAX,
    INSTALL_DOWNLOAD_COUNT_MAX,
    INSTALL_PIECE_BYTES,
    INSTALL_PIECE_S_MAX,
    INSTALL_RATE_BYTES_S,
    INSTALL_RETRY_AFTER_S,
    SWEEP_INTERVAL_S,
    MiB,
)
from edged.node import install, install_file
from edged.node.config import Listen
from edged.node.config_file import parse
from edged.node.install import Install
from edged.node.install_file import OneFile

LOOPBACK = Listen("127.0.0.1", 0)
LARGE = 32 * MiB
"""More than sockets hold for a client that reads nothing."""


@dataclass
class Given:
    install: Install
    file: Path
    port: int
    streams: list[trio.SocketStream] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/edged/{hashlib.sha256(self.file.read_bytes()).hexdigest()}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ask(self, request: bytes, local: str = "127.0.0.1") -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port, local_address=local)
        self.streams.append(stream)
        await stream.send_all(request)
        return stream

    async def download(self, local: str = "127.0.0.1") -> trio.SocketStream:
        """Its head is here, and nothing more is read."""
        stream = await self.ask(f"GET {self.path} HTTP/1.1\r\nhost: n1\r\n\r\n".encode(), local)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some(1)
        assert head.startswith(b"HTTP/1.1 200 ")
        return stream


@asynccontextmanager
async def giving(folder: Path, size: int = 1_000_000) -> AsyncIterator[Given]:
    file = folder / "edged"
    if size == LARGE:
        with file.open("wb") as opened:
            opened.truncate(size)
    else:
        file.write_bytes(random.Random(1).randbytes(size))
    async with trio.open_nursery() as nursery:
        part = Install(file)
        addresses = await nursery.start(part.run, LOOPBACK)
        given = Given(part, file, addresses[0][1])
        await rest(await given.ask(b"HEAD / HTTP/1.1\r\nhost: n1\r\n\r\n"))  # the file is open when that is answered
        yield given
        for stream in given.streams:
            await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()


async def rest(stream: trio.SocketStream) -> bytes:
    """Until the end of the stream, or its reset."""
    received = bytearray()
    with suppress(trio.BrokenResourceError):
        async for piece in stream:
            received += piece
    return bytes(received)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await wait_all_tasks_blocked()


# --- the file ---


@pytest.mark.parametrize("size", [0, 1, INSTALL_PIECE_BYTES - 1, INSTALL_PIECE_BYTES, 3 * INSTALL_PIECE_BYTES + 1])
async def test_it_is_given_whole(tmp_path: Path, size: int) -> None:
    async with giving(tmp_path, size) as given, httpx.AsyncClient() as client:
        answer = await client.get(given.url + given.path)
        assert answer.status_code == 200
        assert answer.content == given.file.read_bytes()
        assert answer.headers["content-length"] == str(size)
        assert answer.headers["etag"] == f'"{given.path.removeprefix("/edged/")}"'
        assert answer.headers["connection"] == "close"
        assert (given.install.downloads, given.install.alarm) == (0, "")


async def test_its_head(tmp_path: Path) -> None:
    async with giving(tmp_path) as given:
        stream = await given.ask(f"HEAD {given.path} HTTP/1.1\r\nhost: n1\r\n\r\n".encode())
        answer = await rest(stream)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 1000000\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_byte_by_byte(tmp_path: Path) -> None:
    async with giving(tmp_path, 1000) as given:
        stream = await given.ask(b"")
        for byte in f"GET {given.path} HTTP/1.1\r\nhost: n1\r\n\r\n".encode():
            await stream.send_all(bytes([byte]))
        received = b""
        while piece := await stream.receive_some(1):
            received += piece
        assert received.endswith(b"\r\n\r\n" + given.file.read_bytes())


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("GET", lambda path: "/"),
        ("GET", lambda path: "/edged/"),
        ("GET", lambda path: "/edged"),
        ("GET", lambda path: path + "/"),
        ("GET", lambda path: path + "?x"),
        ("GET", lambda path: path[:-1]),
        ("GET", lambda path: path.upper()),
        ("GET", lambda path: "/edged/" + "0" * 64),
        ("HEAD", lambda path: "/"),
        ("POST", lambda path: path),
        ("PUT", lambda path: path),
        ("DELETE", lambda path: path),
    ],
)
async def test_there_is_nothing_else(tmp_path: Path, method: str, change: Callable[[str], str]) -> None:
    async with giving(tmp_path) as given:
        request = f"{method} {change(given.path)} HTTP/1.1\r\nhost: n1\r\ncontent-length: 0\r\n\r\n"
        answer = await rest(await given.ask(request.encode()))
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert (b"node.install-unknown" in answer) == (method != "HEAD")


@pytest.mark.parametrize("path", ["/edged/../etc/passwd", "/edged/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "*"])
async def test_paths_that_climb(tmp_path: Path, path: str) -> None:
    async with giving(tmp_path) as given:
        answer = await rest(await given.ask(f"GET {path} HTTP/1.1\r\nhost: n1\r\n\r\n".encode()))
    assert answer.split()[1] in (b"400", b"404")


async def test_an_upgrade_may_take_its_name_away(tmp_path: Path) -> None:
    async with giving(tmp_path) as given, httpx.AsyncClient() as client:
        url, content = given.url + given.path, given.file.read_bytes()
        given.file.unlink()
        assert (await client.get(url)).content == content


async def test_what_was_written_since_is_not_given(tmp_path: Path) -> None:
    async with giving(tmp_path) as given, httpx.AsyncClient() as client:
        url = given.url + given.path
        with structlog.testing.capture_logs() as logged:
            given.file.write_bytes(b"another")
            for _ in range(2):
                answer = await client.get(url)
                assert (answer.status_code, answer.json()["code"]) == (503, "node.install-unavailable")
        assert [each["event"] for each in logged if each["log_level"] == "error"] == ["node.install-unavailable"]
        assert "[node.install-unavailable]" in given.install.alarm


async def test_a_file_that_becomes_shorter_on_the_way_is_no_whole_answer(tmp_path: Path) -> None:
    async with giving(tmp_path, LARGE) as given:
        stream = await given.download()
        os.truncate(given.file, LARGE // 2)
        assert len(await rest(stream)) < LARGE
        await until(lambda: given.install.downloads == 0)
        assert "shorter" in given.install.alarm


# --- no file ---


async def test_without_one_the_node_is_told_so_and_serves_on() -> None:
    part = Install(None)
    with structlog.testing.capture_logs() as logged:
        await part.run(LOOPBACK)
    assert (
        part.alarm == "install: this edged was not started from one file that could be given [node.install-unavailable]"
    )
    (event,) = logged
    assert (event["event"], event["code"]) == ("node.install-unavailable", InstallUnavailable.code)
    assert event["remedy"] == InstallUnavailable.default_remedy


async def test_an_address_that_is_taken(tmp_path: Path) -> None:
    async with giving(tmp_path) as given:
        with pytest.raises(ListenError):
            await Install(given.file).run(Listen("127.0.0.1", given.port))


def nothing(_path: Path) -> None: ...


@pytest.mark.parametrize("make", [nothing, Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_no_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "edged")
    with pytest.raises(InstallUnavailable):
        OneFile.open(tmp_path / "edged")


def test_a_path_with_a_nul() -> None:
    with pytest.raises(InstallUnavailable):
        OneFile.open(Path("/edged\0"))


@pytest.mark.parametrize("over", [0, 1])
def test_as_large_as_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: int) -> None:
    monkeypatch.setattr(install_file, "INSTALL_FILE_BYTES_MAX", 1000)
    (tmp_path / "edged").write_bytes(bytes(1000 + over))
    if over:
        with pytest.raises(InstallUnavailable, match="more than 1000 bytes"):
            OneFile.open(tmp_path / "edged")
    else:
        file = OneFile.open(tmp_path / "edged")
        assert (file.size, file.sha256) == (1000, hashlib.sha256(bytes(1000)).hexdigest())
        file.close()


# --- who else wants it ---


async def test_some_at_once_and_one_over(tmp_path: Path) -> None:
    """Who is one too many is told when to come back; who is done makes room, and so does who goes away."""
    async with giving(tmp_path, LARGE) as given:
        streams = [
            await given.download(f"127.0.0.{2 + number // INSTALL_CONNECTION_PER_ADDRESS_MAX}")
            for number in range(INSTALL_DOWNLOAD_COUNT_MAX)
        ]
        request = f"{{}} {given.path} HTTP/1.1\r\nhost: n1\r\n\r\n"
        answer = await rest(await given.ask(request.format("GET").encode()))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert f"retry-after: {INSTALL_RETRY_AFTER_S}\r\n".encode() in answer
        assert b"node.install-busy" in answer
        assert (await rest(await given.ask(request.format("HEAD").encode()))).startswith(b"HTTP/1.1 200 ")

        assert len(await rest(streams.pop())) == LARGE
        await until(lambda: given.install.downloads == INSTALL_DOWNLOAD_COUNT_MAX - 1)
        await streams.pop().aclose()
        await until(lambda: given.install.downloads == INSTALL_DOWNLOAD_COUNT_MAX - 2)
        streams += [await given.download() for _ in range(2)]
        assert given.install.downloads == INSTALL_DOWNLOAD_COUNT_MAX


async def test_one_address_leaves_room_for_others(tmp_path: Path) -> None:
    async with giving(tmp_path, LARGE) as given:
        _streams = [await given.download("127.0.0.2") for _ in range(INSTALL_CONNECTION_PER_ADDRESS_MAX)]
        answer = await rest(await given.ask(b"", "127.0.0.2"))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"http.too-many-connections" in answer
        await (await given.download("127.0.0.3")).aclose()


async def test_who_says_nothing_is_not_waited_for(tmp_path: Path, mock_clock: MockClock) -> None:
    async with giving(tmp_path, 10) as given:
        stream = await given.ask(b"")
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pass_time, mock_clock, SWEEP_INTERVAL_S)
            assert await rest(stream) == b""
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < 2 * CLOSING_IDLE_S


async def test_who_takes_nothing_is_cut(tmp_path: Path, mock_clock: MockClock) -> None:
    async with giving(tmp_path, LARGE) as given:
        with structlog.testing.capture_logs() as logged:
            stream = await given.download()
            while given.install.downloads:
                mock_clock.jump(1.0)
                await wait_all_tasks_blocked(0.01)
            assert len(await rest(stream)) < LARGE
        (cut,) = (each for each in logged if each["event"] == "node.install-cut")
        assert cut["client"] == "127.0.0.1"
        assert 0 < cut["given"] < LARGE


async def test_who_takes_too_long_for_all_of_it_is_cut(
    tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "INSTALL_DOWNLOAD_S_MAX", 2 * INSTALL_PIECE_S_MAX)
    async with giving(tmp_path, LARGE) as given:
        with structlog.testing.capture_logs() as logged:
            stream = await given.download()
            received = 0
            with suppress(trio.BrokenResourceError):
                while piece := await stream.receive_some(4 * INSTALL_PIECE_BYTES):
                    received += len(piece)
                    mock_clock.jump(INSTALL_PIECE_S_MAX / 5)
                    await wait_all_tasks_blocked(0.01)
        assert received < LARGE
        assert [each["event"] for each in logged if each["log_level"] == "warning"] == ["node.install-cut"]


async def test_all_together_have_a_rate(tmp_path: Path, mock_clock: MockClock) -> None:
    size, count = 4 * MiB, 2
    async with giving(tmp_path, size) as given:
        began = trio.current_time()
        async with trio.open_nursery() as passing:
            passing.start_soon(pass_time, mock_clock, 0.01)
            async with trio.open_nursery() as nursery:
                for _ in range(count):
                    nursery.start_soon(rest, await given.download())
            passing.cancel_scope.cancel()
        assert trio.current_time() - began >= (count * size - INSTALL_BURST_BYTES) / INSTALL_RATE_BYTES_S * 0.99


async def pass_time(clock: MockClock, step_s: float) -> None:
    """Whenever nobody has anything to do."""
    while True:
        await wait_all_tasks_blocked(0.01)
        clock.jump(step_s)


# --- node.toml ---

NODE = '[node]\nname = "n1"\nregion = "eu"\nstate_dir = "state"\n[http]\nlisten = [":80"]\n'


def test_the_table() -> None:
    file = Path("/etc/edged/node.toml")
    assert parse(NODE.encode(), file).install is None
    config = parse(f'{NODE}[install]\nlisten = "203.0.113.7:7402"\n'.encode(), file)
    assert config.install == Listen("203.0.113.7", 7402)
    for wrong in ("[install]\n", '[install]\nlisten = "here"\n', '[install]\nlisten = ["[::]:7402"]\n'):
        with pytest.raises(NodeConfigInvalid):
            parse((NODE + wrong).encode(), file)
