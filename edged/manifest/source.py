"""The source of a component -> a file on this machine.

A path is itself. An address is fetched once into a cache, where the file is named by its digest; it gets that name only
after its bytes were hashed, and they are hashed again each time it is used, so a damaged or foreign file is replaced
and never given out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from edged.errors import (
    CacheError,
    ComponentTooLarge,
    DigestMismatch,
    SourceMissing,
    SourceUnavailable,
    Unsupported,
)
from edged.limits import COMPONENT_BYTES_MAX, SOURCE_READ_TIMEOUT_S, SOURCE_REDIRECT_COUNT_MAX, SOURCE_TIMEOUT_S
from edged.manifest.model import PathSource, RegistrySource, Source, UrlSource

if TYPE_CHECKING:
    import httpx

_READ_BYTES = 1 << 20


async def local_file(source: Source, *, cache: Path, transport: httpx.AsyncBaseTransport | None = None) -> Path:
    """The file with a component's bytes.

    Args:
        cache: folder for what is fetched; made (mode 0700) when it is first needed.
        transport: what carries requests, if not the network.

    Raises:
        SourceMissing: a path without a file.
        SourceUnavailable: an address that could not be fetched, or not within `SOURCE_TIMEOUT_S`.
        DigestMismatch: an address that gives other bytes than the manifest says.
        ComponentTooLarge: an address that gives more than `COMPONENT_BYTES_MAX`.
        CacheError: the cache cannot be written.
        Unsupported: a package of a component registry.
    """
    match source:
        case PathSource(path):
            if not await trio.Path(path).is_file():
                raise SourceMissing(f"{path} is not a file")
            return path
        case UrlSource():
            return await _cached(source, cache, transport)
        case RegistrySource(package=package):
            raise Unsupported(
                f"the component {package} is in a component registry, which edged cannot fetch from",
                remedy="Name its file with a path, or with { url, digest }.",
            )


async def _cached(source: UrlSource, cache: Path, transport: httpx.AsyncBaseTransport | None) -> Path:
    file = cache / f"{source.digest.removeprefix('sha256:')}.wasm"
    if await trio.to_thread.run_sync(_digest_of, file) == source.digest:
        return file
    with _temporary_in(cache) as temporary:
        with trio.move_on_after(SOURCE_TIMEOUT_S) as scope:
            await _fetch(source, temporary, transport)
        if scope.cancelled_caught:
            raise SourceUnavailable(f"{source.url} did not arrive within {SOURCE_TIMEOUT_S:g} s")
        await trio.Path(temporary).rename(file)
    return file


def _digest_of(file: Path) -> str | None:
    """Digest of a file in the cache; None if it is not there, cannot be read or is too large to be ours."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > COMPONENT_BYTES_MAX:
                return None
            while chunk := stream.read(_READ_BYTES):
                digest.update(chunk)
    except OSError:
        return None
    return f"sha256:{digest.hexdigest()}"


@contextlib.contextmanager
def _temporary_in(cache: Path) -> Iterator[Path]:
    """A new file in the cache, gone at the end unless it was renamed."""
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="fetching-", dir=cache)
    except OSError as error:
        raise CacheError(f"{cache} cannot be written: {error.strerror}") from error
    os.close(handle)
    try:
        yield Path(name)
    finally:
        # Not a trio call: it must also happen when the task was cancelled.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


async def _fetch(source: UrlSource, file: Path, transport: httpx.AsyncBaseTransport | None) -> None:
    import httpx  # noqa: PLC0415 - a sixth of a second, which an app made of files should not pay at its start

    digest = hashlib.sha256()
    size_bytes = 0
    client = httpx.AsyncClient(
        transport=transport,
        follow_redirects=True,
        max_redirects=SOURCE_REDIRECT_COUNT_MAX,
        timeout=SOURCE_READ_TIMEOUT_S,
        # The digest is over the bytes as they are: nothing may be unpacked on the way.
        headers={"accept-encoding": "identity"},
    )
    try:
        async with client, client.stream("GET", source.url) as response, await trio.open_file(file, "wb") as stream:
            if not response.is_success:
                raise SourceUnavailable(f"{source.url} answered {response.status_code}")
            # The generators inside httpx are ended only by what is raised in them, so nothing else may end this loop:
            # being too large cancels the next read, and a cancellation waits until a chunk is written.
            with trio.CancelScope() as too_large:
                async for chunk in response.aiter_raw():
                    size_bytes += len(chunk)
                    if size_bytes > COMPONENT_BYTES_MAX:
                        too_large.cancel()
                        continue
                    digest.update(chunk)
                    with trio.CancelScope(shield=True):
                        await stream.write(chunk)
            if too_large.cancel_called:
                raise ComponentTooLarge(f"{source.url} has more than {COMPONENT_BYTES_MAX} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise SourceUnavailable(f"{source.url} could not be fetched: {reason}") from error
    except OSError as error:
        raise CacheError(f"{file.parent} cannot be written: {error.strerror}") from error
    found = f"sha256:{digest.hexdigest()}"
    if found != source.digest:
        raise DigestMismatch(f"{source.url} has the digest {found}, but the manifest says {source.digest}")
