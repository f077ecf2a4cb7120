"""A new version, from a file or an address into the folder of versions."""

from __future__ import annotations

import os
import re
import stat
from functools import partial
from pathlib import Path

import httpx
import trio

from edged.errors import EdgedError, UpgradeSourceUnavailable, UsageError
from edged.limits import UPGRADE_BINARY_BYTES_MAX, UPGRADE_CHUNK_BYTES, UPGRADE_FETCH_S_MAX, MiB
from edged.upgrade.download import download
from edged.upgrade.versions import Incoming, Progress, Versions

_is_url = re.compile(r"https?://", re.IGNORECASE).match
_is_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
PLACE_OF_DIGEST = "{sha256}"


def check_source(where: str, sha256: str | None) -> None:
    """
    Args:
        where: a path, or an address that may have `{sha256}` in it.

    Raises:
        UsageError: an address without a digest, or a digest that is none.
    """
    if sha256 is not None and not _is_sha256(sha256):
        raise UsageError(
            f"`{sha256}` is no sha256", remedy="Give 64 hexadecimal digits in lower case, as sha256sum prints them."
        )
    if sha256 is None and _is_url(where):
        raise UsageError(
            "an address needs --sha256", remedy="Give the sha256 that was published with the version: --sha256 HEX."
        )


async def bring(
    versions: Versions,
    where: str,
    sha256: str | None,
    progress: Progress,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> str:
    """Copy or fetch a version. Whatever it is, it has its name only once its bytes have that digest.

    Args:
        sha256: that it has to have; None for whatever a file has.

    Returns:
        Its sha256.

    Raises:
        UpgradeSourceUnavailable
        UpgradeDigestMismatch
        UpgradeFolderError
    """
    if not _is_url(where):

        def on_the_loop(count: int, total: int | None) -> None:
            trio.from_thread.run_sync(progress, count, total)

        return await trio.to_thread.run_sync(_copy, versions, Path(where), sha256, on_the_loop)
    assert sha256 is not None, "check_source lets no address pass without"
    return await _fetch(versions, where.replace(PLACE_OF_DIGEST, sha256), sha256, progress, transport)


def _copy(versions: Versions, path: Path, sha256: str | None, progress: Progress) -> str:
    try:
        # A pipe that nobody writes to must not hold us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UpgradeSourceUnavailable(f"{path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UpgradeSourceUnavailable(f"{path} is no file")
        if status.st_size > UPGRADE_BINARY_BYTES_MAX:
            raise UpgradeSourceUnavailable(f"{path} has more than {UPGRADE_BINARY_BYTES_MAX // MiB} MiB")
        with versions.incoming() as incoming:
            while piece := _read(descriptor, path):
                incoming.write(piece)
                progress(incoming.count, status.st_size)
            return versions.keep(incoming, incoming.sha256 if sha256 is None else sha256)
    finally:
        os.close(descriptor)


def _read(descriptor: int, path: Path) -> bytes:
    try:
        return os.read(descriptor, UPGRADE_CHUNK_BYTES)
    except OSError as error:
        raise UpgradeSourceUnavailable(f"{path}: {error.strerror}") from error


async def _fetch(
    versions: Versions, url: str, sha256: str, progress: Progress, transport: httpx.AsyncBaseTransport | None
) -> str:
    with versions.incoming() as incoming:
        writing = _Writing(incoming, progress)
        await download(
            url, writing.take, bytes_max=UPGRADE_BINARY_BYTES_MAX, timeout_s=UPGRADE_FETCH_S_MAX, transport=transport
        )
        await writing.end()
        return await trio.to_thread.run_sync(partial(versions.keep, incoming, sha256))


class _Writing:
    """Pieces of a network are small: gathered, then hashed and written in a thread. Remembers what went wrong."""

    def __init__(self, incoming: Incoming, progress: Progress) -> None:
        self._incoming = incoming
        self._progress = progress
        self._gathered = bytearray()
        self._error: EdgedError | None = None

    async def take(self, piece: bytes, total: int | None) -> None:
        if self._error is not None:
            return
        self._gathered += piece
        if len(self._gathered) >= UPGRADE_CHUNK_BYTES:
            await self._write()
            self._progress(self._incoming.count, total)

    async def end(self) -> None:
        """
        Raises:
            UpgradeFolderError: something could not be written.
        """
        await self._write()
        if self._error is not None:
            raise self._error

    async def _write(self) -> None:
        gathered, self._gathered = bytes(self._gathered), bytearray()
        try:
            await trio.to_thread.run_sync(self._incoming.write, gathered)
        except EdgedError as error:
            self._error = error
