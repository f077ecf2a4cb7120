"""An app as one file, for sites without a network: written, read, looked into (`registry.bundle_file`)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from edged.bundle.lock import LOCK_ENTRY, MANIFEST_ENTRY, Lock, parse_lock
from edged.bundle.pack import Packed, store
from edged.bundle.placement import Placement, parse_placement
from edged.errors import BundleInvalid
from edged.limits import LOCK_BYTES_MAX, MANIFEST_BYTES_MAX, PUBLISH_STORE_BYTES_MAX
from registry import dsse
from registry.bundle_file import export_bundle, import_bundle
from registry.chunk_store import ChunkStore
from registry.errors import SourceUnreadable, StoreFailed
from registry.intake import Progress
from registry.keys import SigningKey
from registry.limits import STORE_BYTES_MAX
from registry.release import RELEASE_TYPE, Release
from registry.release_store import ReleaseStore, StoredRelease


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a bundle file holds, every byte of it verified but for the signatures.

    Attributes:
        lock, placement: of the app.
    """

    stored: StoredRelease
    lock: Lock
    placement: Placement


def export_app(
    packed: Packed, file: Path, *, cache: Path, key: SigningKey | None, progress: Progress | None = None
) -> StoredRelease:
    """Write an app to `file`: whole and durable, or not at all. Blocking.

    Args:
        cache: folder where its chunks are kept, so that they need not be made again.
        key: None for a bundle that nobody has signed, which no fleet will run.
        progress: told bytes of the app done, and how many of them the cache did not have.

    Raises:
        RegistryError: the cache or `file` cannot be written, or the app is beyond a limit.
    """
    chunks = _chunks(cache)
    release = store(packed, chunks, progress=progress)
    envelope = dsse.sign(RELEASE_TYPE, release.encode(), *([] if key is None else [key])).encode()
    with _replacing(file) as stream:
        export_bundle(envelope, chunks, stream)
    return StoredRelease(release.digest, release, envelope)


def import_file(file: Path, *, cache: Path, progress: Progress | None = None) -> StoredRelease:
    """Read a bundle into the store of a cache, where its release is found by its digest. Blocking.

    Raises:
        RegistryError: no such file, no bundle, a damaged one; or the cache cannot be written.
    """
    chunks = _chunks(cache)
    with _reading(file) as stream:
        envelope = import_bundle(stream, chunks, progress)
    releases = ReleaseStore(cache / "chunks", chunks)
    return releases.get(releases.put(envelope))


def inspect_file(file: Path, progress: Progress | None = None) -> Inspected:
    """Read a bundle to its end, and keep nothing of it. Blocking.

    Raises:
        RegistryError: as `import_file`.
        BundleInvalid, ManifestError: the release is no app.
    """
    with TemporaryDirectory(prefix="edged-bundle-") as folder:
        chunks = ChunkStore(Path(folder), STORE_BYTES_MAX)
        with _reading(file) as stream:
            envelope = import_bundle(stream, chunks, progress)
        releases = ReleaseStore(Path(folder), chunks)
        stored = releases.get(releases.put(envelope))
        release = stored.release
        lock = parse_lock(_entry(release, chunks, LOCK_ENTRY, LOCK_BYTES_MAX))
        manifest = _entry(release, chunks, MANIFEST_ENTRY, MANIFEST_BYTES_MAX)
        placement = parse_placement(manifest, Path(MANIFEST_ENTRY))
    return Inspected(stored, lock, placement)


def signed_by(stored: StoredRelease) -> tuple[str, ...]:
    """Ids of the keys that a release says to be signed by. Whether it is, is for a keyring to find out."""
    return tuple(signature.key_id for signature in dsse.Envelope.parse(stored.envelope).signatures)


def _chunks(cache: Path) -> ChunkStore:
    """Where `edged push` keeps them too."""
    return ChunkStore(cache / "chunks", PUBLISH_STORE_BYTES_MAX)


def _entry(release: Release, chunks: ChunkStore, path: str, bytes_max: int) -> bytes:
    blob = next((entry.blob for entry in release.entries if entry.path == path), None)
    if blob is None or blob.size > bytes_max:
        raise BundleInvalid(f"the release has no {path}" if blob is None else f"{path} has more than {bytes_max} bytes")
    return b"".join(map(chunks.get, blob.chunks))


@contextmanager
def _reading(file: Path) -> Iterator[BinaryIO]:
    try:
        stream = file.open("rb")
    except OSError as error:
        raise SourceUnreadable(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


@contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    """A new file that gets its name at the end, if all went well."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name[:200]}.", dir=file.absolute().parent)
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, 0o644)
        os.replace(name, file)
    except OSError as error:
        raise _unwritable(file, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _unwritable(file: Path, error: OSError) -> StoreFailed:
    return StoreFailed(f"{file} cannot be written: {error.strerror}", remedy="Name a file that you may write.")
