"""A look into a release of an app, without laying it out: what its manifest and lock say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edged import manifest
from edged.bundle.lock import LOCK_ENTRY, MANIFEST_ENTRY, Lock, parse_lock
from edged.bundle.placement import Placement, parse_placement
from edged.errors import BundleInvalid
from edged.limits import LOCK_BYTES_MAX, MANIFEST_BYTES_MAX
from edged.manifest.model import App
from registry.blob import Blob, Chunk
from registry.digest import Digest, digest_of
from registry.errors import BlobMismatch, BlobMissing
from registry.frame import decode_frame
from registry.release import Release
from registry.release_store import StoredRelease, open_release


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a release holds. Its signatures are for a keyring to verify.

    Attributes:
        app: as the manifest has it: there is no folder with its files.
        lock, placement: of the app.
    """

    stored: StoredRelease
    app: App
    lock: Lock
    placement: Placement


class Chunks(Protocol):
    """Where chunks are: a `ChunkStore`, or what a `Looker` has seen."""

    def get(self, chunk: Chunk) -> bytes: ...


def look_into(stored: StoredRelease, chunks: Chunks) -> Inspected:
    """Read the manifest and the lock of a release. Blocking.

    Raises:
        BundleInvalid, ManifestError: the release is no app.
        BlobMissing, BlobCorrupt: a chunk of these cannot be had.
    """
    entries = _entries(stored.release)
    lock = parse_lock(_content(entries[LOCK_ENTRY], LOCK_ENTRY, chunks))
    data = _content(entries[MANIFEST_ENTRY], MANIFEST_ENTRY, chunks)
    path = Path(MANIFEST_ENTRY)
    return Inspected(stored, manifest.parse(data, path, profile=lock.profile), lock, parse_placement(data, path))


class Looker:
    """Takes all chunks of a release that passes by, verifies them as a `ChunkStore` does, and keeps these few."""

    def __init__(self) -> None:
        self._wanted: set[Digest] = set()
        self._seen: dict[Digest, bytes] = {}

    def begin(self, envelope: bytes) -> None:
        """The release that comes. Raises BundleInvalid if it is no app."""
        blobs = _entries(open_release(envelope).release).values()
        self._wanted = {chunk.digest for blob in blobs for chunk in blob.chunks}

    def put_frame(self, chunk: Chunk, frame: bytes) -> None:
        """Raises FrameInvalid, BlobMismatch."""
        data = decode_frame(frame, chunk.size)
        if digest_of(data) != chunk.digest:
            raise BlobMismatch(f"the bytes are not the chunk {chunk.digest}")
        if chunk.digest in self._wanted:
            self._seen[chunk.digest] = data

    def get(self, chunk: Chunk) -> bytes:
        """Raises BlobMissing."""
        try:
            return self._seen[chunk.digest]
        except KeyError:
            raise BlobMissing(f"the chunk {chunk.digest} has not come by") from None


def _entries(release: Release) -> dict[str, Blob]:
    """The manifest and the lock, by path."""
    blobs = {entry.path: entry.blob for entry in release.entries}
    for path, bytes_max in ((LOCK_ENTRY, LOCK_BYTES_MAX), (MANIFEST_ENTRY, MANIFEST_BYTES_MAX)):
        if path not in blobs:
            raise BundleInvalid(f"the release has no {path}")
        if blobs[path].size > bytes_max:
            raise BundleInvalid(f"{path} has more than {bytes_max} bytes")
    return {path: blobs[path] for path in (LOCK_ENTRY, MANIFEST_ENTRY)}


def _content(blob: Blob, path: str, chunks: Chunks) -> bytes:
    data = b"".join(map(chunks.get, blob.chunks))
    if digest_of(data) != blob.digest:
        raise BundleInvalid(f"the chunks of {path} are not that file")
    return data
