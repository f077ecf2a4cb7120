"""The releases of a backup: a bundle file each, which `edged push --bundle` takes as well.

release ── chunk, several at once ──> cache ──> FOLDER/APP-DIGEST.bundle
FOLDER/*.bundle ──> cache ── missing, put_chunk, put_release ──> the fleet
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import trio

from edged.bundle.cache import Cache
from edged.bundle.file import import_file, write_bundle
from edged.errors import ProtocolError
from edged.limits import BACKUP_FETCHES_MAX, UPLOAD_CALL_TIMEOUT_S
from edged.nursery import plain_errors
from edged.publish.event import Show
from edged.publish.upload import Call, Upload
from edged.status.answer import Answer
from registry.blob import Chunk
from registry.digest import Digest
from registry.release_store import StoredRelease, open_release

_SHOWN_DIGITS = 16  # of a digest, in a file's name


async def take_release(call: Call, digest: Digest, cache: Cache, folder: Path) -> Path:
    """The bundle of a release that the fleet runs. One that is there already is left as it is: its name is its content.

    Raises:
        ProtocolError: the node answers with another release, or with what are no chunks of it.
        RegistryError: the cache or the folder cannot be written.
        EdgedError: as `call`.
    """
    envelope = Answer(await call("release", digest=digest), "release").get("envelope", bytes)
    stored = await trio.to_thread.run_sync(open_release, envelope)
    if stored.digest != digest:
        raise ProtocolError("the node answers with another release than it was asked for")
    file = folder / bundle_name(stored)
    if await trio.to_thread.run_sync(file.exists):
        return file
    chunks = stored.release.chunks()
    missing = set(await trio.to_thread.run_sync(cache.chunks.missing, [chunk.digest for chunk in chunks]))
    left = iter([chunk for chunk in chunks if chunk.digest in missing])
    with plain_errors():
        async with trio.open_nursery() as nursery:
            for _ in range(BACKUP_FETCHES_MAX):
                nursery.start_soon(_fetch_all, call, cache, left)
    await trio.to_thread.run_sync(write_bundle, envelope, file, cache)
    return file


async def give_release(call: Call, file: Path, cache: Cache, show: Show) -> StoredRelease:
    """Bring the release of a bundle to the fleet; only the chunks that are missing there.

    Raises:
        RegistryError: the file is no bundle.
        EdgedError: as `call`: no key of the roster has signed it, for one.
    """
    stored = await trio.to_thread.run_sync(lambda: import_file(file, cache=cache))
    await Upload(call, cache.chunks, stored.release.chunks(), stored.digest, show).run()
    await call("put_release", timeout_s=UPLOAD_CALL_TIMEOUT_S, envelope=stored.envelope)
    return stored


def bundle_name(stored: StoredRelease) -> str:
    """Of its file. Apps have names that are names of files."""
    return f"{stored.release.app}-{stored.digest.removeprefix('sha256:')[:_SHOWN_DIGITS]}.bundle"


async def _fetch_all(call: Call, cache: Cache, left: Iterator[Chunk]) -> None:
    for chunk in left:
        frame = Answer(await call("chunk", digest=chunk.digest), "chunk").get("frame", bytes)
        await trio.to_thread.run_sync(cache.chunks.put_frame, chunk, frame)
