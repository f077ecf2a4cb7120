"""A version from a file or an address: all of it, with its digest, or nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from edged.errors import UpgradeDigestMismatch, UpgradeSourceUnavailable, UsageError
from edged.limits import UPGRADE_CHUNK_BYTES, UPGRADE_REDIRECT_COUNT_MAX
from edged.upgrade.source import bring, check_source
from edged.upgrade.versions import Versions

DATA = os.urandom(UPGRADE_CHUNK_BYTES * 2 + 5)
SHA256 = hashlib.sha256(DATA).hexdigest()
URL = "http://user:hunter2@192.0.2.1:7402/edged/{sha256}?token=hunter2"


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    (tmp_path / "bin").mkdir()
    found = Versions(tmp_path / "lib", tmp_path / "bin" / "edged")
    with found.locked():
        return found


def nothing(_count: int, _total: int | None) -> None:
    """Nobody looks at it."""


class Pieces(httpx.AsyncByteStream):
    """A body of pieces of a size."""

    def __init__(self, data: bytes, size: int) -> None:
        self._pieces = [data[at : at + size] for at in range(0, len(data), size)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def server(data: bytes = DATA, size: int = 65_536, status: int = 200) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == f"/edged/{SHA256}"
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(status, stream=Pieces(data, size))

    return httpx.MockTransport(answer)


def left(versions: Versions) -> list[str]:
    return [entry.name for entry in os.scandir(versions.folder) if entry.name != ".upgrade.lock"]


@pytest.mark.parametrize("sha256", [None, SHA256], ids=["any", "named"])
async def test_a_file(versions: Versions, tmp_path: Path, sha256: str | None) -> None:
    file = tmp_path / "edged"
    file.write_bytes(DATA)
    seen: list[tuple[int, int | None]] = []
    found = await bring(versions, str(file), sha256, lambda count, total: seen.append((count, total)))
    assert found == SHA256
    assert versions.is_whole(SHA256)
    assert seen[-1] == (len(DATA), len(DATA))


@pytest.mark.parametrize("size", [1 << 20, 65_536, 977])
async def test_an_address(versions: Versions, size: int) -> None:
    assert await bring(versions, URL, SHA256, nothing, transport=server(size=size)) == SHA256
    assert versions.is_whole(SHA256)


async def test_byte_by_byte(versions: Versions) -> None:
    data = DATA[:300]
    sha256 = hashlib.sha256(data).hexdigest()

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Pieces(data, 1))

    await bring(versions, "http://192.0.2.1/", sha256, nothing, transport=httpx.MockTransport(answer))
    assert versions.path(sha256).read_bytes() == data


async def test_other_bytes(versions: Versions, tmp_path: Path) -> None:
    with pytest.raises(UpgradeDigestMismatch, match=SHA256):
        await bring(versions, URL, SHA256, nothing, transport=server(DATA[:-1]))
    file = tmp_path / "edged"
    file.write_bytes(DATA[:-1])
    with pytest.raises(UpgradeDigestMismatch, match=SHA256):
        await bring(versions, str(file), SHA256, nothing)
    assert left(versions) == []


@pytest.mark.parametrize("status", [404, 500, 204 + 96])
async def test_an_address_that_has_it_not(versions: Versions, status: int) -> None:
    with pytest.raises(UpgradeSourceUnavailable, match=str(status)) as caught:
        await bring(versions, URL, SHA256, nothing, transport=server(status=status))
    assert "hunter2" not in str(caught.value)
    assert left(versions) == []


async def test_a_server_that_breaks_off(versions: Versions) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("connection reset")

    with pytest.raises(UpgradeSourceUnavailable, match="connection reset") as caught:
        await bring(versions, URL, SHA256, nothing, transport=httpx.MockTransport(answer))
    assert "hunter2" not in str(caught.value)
    assert left(versions) == []


@pytest.mark.parametrize("over", [0, 1])
async def test_redirects(versions: Versions, over: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        done = int(request.url.params.get("n", "0"))
        if done == UPGRADE_REDIRECT_COUNT_MAX + over:
            return httpx.Response(200, stream=Pieces(DATA, 65_536))
        return httpx.Response(302, headers={"location": f"/edged?n={done + 1}"})

    transport = httpx.MockTransport(answer)
    if over:
        with pytest.raises(UpgradeSourceUnavailable):
            await bring(versions, URL, SHA256, nothing, transport=transport)
    else:
        assert await bring(versions, URL, SHA256, nothing, transport=transport) == SHA256


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("is_url", [False, True], ids=["file", "address"])
async def test_as_large_as_may_be(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: int, is_url: bool
) -> None:
    for module in ("source", "versions"):
        monkeypatch.setattr(f"edged.upgrade.{module}.UPGRADE_BINARY_BYTES_MAX", len(DATA) - over)
    file = tmp_path / "edged"
    file.write_bytes(DATA)
    if over:
        with pytest.raises(UpgradeSourceUnavailable, match="more than"):
            await bring(versions, URL if is_url else str(file), SHA256, nothing, transport=server())
        assert left(versions) == []
    else:
        await bring(versions, URL if is_url else str(file), SHA256, nothing, transport=server())
        assert versions.is_whole(SHA256)


async def test_paths_that_are_no_files(versions: Versions, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path / "pipe", tmp_path):
        with pytest.raises(UpgradeSourceUnavailable, match=path.name):
            await bring(versions, str(path), None, nothing)
    assert left(versions) == []


@pytest.mark.parametrize("where", ["http://192.0.2.1/edged", "HTTPS://192.0.2.1/edged"])
def test_an_address_needs_a_digest(where: str) -> None:
    with pytest.raises(UsageError, match="--sha256"):
        check_source(where, None)
    check_source(where, SHA256)


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "g" * 64, "A" * 64, f"sha256:{'0' * 64}"])
def test_a_digest_that_is_none(sha256: str) -> None:
    with pytest.raises(UsageError, match="no sha256"):
        check_source("file", sha256)


def test_a_file_needs_none() -> None:
    check_source("./edged", None)
    check_source("ftp/edged", None)
