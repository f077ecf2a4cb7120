"""A release with all its chunks in one file, for sites without a network.

```
"edged bundle 1\n"
4 bytes length, the envelope
for each distinct chunk, in the release's order:  4 bytes length, one zstd frame
32 bytes, the sha256 of all before
```

Lengths are big-endian. The list of chunks is the release's own, so the file has none. Both ways stream: at most one
chunk is in memory. What a chunk's frame may cost, and whether it is the chunk, is the chunk store's affair; the sum at
the end finds the damage that is in nobody's chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO, Final, Protocol

from registry.blob import Chunk
from registry.chunk_store import ChunkStore
from registry.errors import (
    BlobMismatch,
    BlobsMissing,
    BundleFileInvalid,
    EnvelopeInvalid,
    FrameInvalid,
    ReleaseInvalid,
    SourceUnreadable,
    StoreFailed,
)
from registry.limits import ENVELOPE_BYTES_MAX, FRAME_BYTES_MAX
from registry.release_store import open_release

MAGIC: Final = b"edged bundle 1\n"

Progress = Callable[[int, int], None]
"""Told after each chunk: plain bytes done, and of how many."""

_FAMILY = b"edged bundle "  # how those of other versions begin
_LENGTH_BYTES = 4
_SUM_BYTES = 32


class Frames(Protocol):
    """Where chunks go: a `ChunkStore`, or something else that verifies them as that does."""

    def put_frame(self, chunk: Chunk, frame: bytes) -> None: ...


def export_bundle(envelope: bytes, store: ChunkStore, file: BinaryIO, progress: Progress | None = None) -> None:
    """Write a release and its chunks.

    Args:
        envelope: as `ReleaseStore.get` gives it.
        file: need not be seekable. What is in it after an error is no bundle, and is not taken for one.

    Raises:
        EnvelopeInvalid, ReleaseInvalid: no release.
        BlobsMissing: chunks are not in the store; nothing was written.
        BlobMissing, BlobCorrupt: a chunk went or was found damaged meanwhile.
        StoreFailed: the file cannot be written.
    """
    chunks = open_release(envelope).release.chunks()
    if missing := store.missing([chunk.digest for chunk in chunks]):
        raise BlobsMissing(f"{len(missing)} chunks of the release are not there", missing)
    writer = _Writer(file)
    writer.write(MAGIC)
    writer.framed(envelope)
    done, total = 0, sum(chunk.size for chunk in chunks)
    for chunk in chunks:
        writer.framed(store.get_frame(chunk))
        done += chunk.size
        if progress is not None:
            progress(done, total)
    writer.end()


def import_bundle(
    file: BinaryIO,
    chunks: Frames,
    progress: Progress | None = None,
    *,
    verify: Callable[[bytes], object] | None = None,
) -> bytes:
    """Read a bundle's chunks into a store; the caller then puts the release that is returned.

    Until then no release names the chunks: after an error those that came stay, unseen, until they are collected.

    Args:
        file: need not be seekable. It is read to its end.
        verify: called with the envelope before any chunk is stored; what it raises ends the import. If None, the
            caller verifies the signature of what is returned.

    Returns:
        The exact bytes of the envelope.

    Raises:
        BundleFileInvalid: truncated, damaged, over a limit, with something behind its end, or no bundle.
        SourceUnreadable: the file cannot be read.
        StoreFailed: the chunk store's own, a full one among them.
    """
    reader = _Reader(file)
    if (begun := reader.some(len(MAGIC))) != MAGIC:
        if begun.startswith(_FAMILY):
            raise BundleFileInvalid(
                "a bundle file of another format", remedy="Import it with the version of its maker."
            )
        raise BundleFileInvalid("not a bundle file: it begins otherwise")
    envelope = reader.framed(ENVELOPE_BYTES_MAX, "the release")
    try:
        wanted = open_release(envelope).release.chunks()
    except (EnvelopeInvalid, ReleaseInvalid) as error:
        raise BundleFileInvalid(f"the bundle's release is invalid: {error.message}", remedy=error.remedy) from None
    if verify is not None:
        verify(envelope)
    done, total = 0, sum(chunk.size for chunk in wanted)
    for number, chunk in enumerate(wanted, 1):
        what = f"chunk {number} of {len(wanted)}"
        frame = reader.framed(FRAME_BYTES_MAX, what)
        try:
            chunks.put_frame(chunk, frame)
        except (FrameInvalid, BlobMismatch) as error:
            raise BundleFileInvalid(f"{what} is damaged: {error.message}") from None
        done += chunk.size
        if progress is not None:
            progress(done, total)
    reader.end()
    return envelope


class _Writer:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sum = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._sum.update(data)
        self._put(data)

    def framed(self, data: bytes) -> None:
        self.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
        self.write(data)

    def end(self) -> None:
        self._put(self._sum.digest())

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]  # an unbuffered file may take less
        except OSError as error:
            raise StoreFailed(f"the bundle file cannot be written: {error.strerror}") from error


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sum = hashlib.sha256()

    def framed(self, bytes_max: int, what: str) -> bytes:
        length = int.from_bytes(self._exactly(_LENGTH_BYTES, what), "big")
        if length > bytes_max:
            raise BundleFileInvalid(f"{what} claims {length} bytes, where {bytes_max} are allowed")
        return self._exactly(length, what)

    def end(self) -> None:
        found = self._sum.digest()
        if self.some(_SUM_BYTES) != found:
            raise BundleFileInvalid("the sum at the end is cut off, or not that of the file")
        if self.some(1):
            raise BundleFileInvalid("something follows the end of the bundle")

    def some(self, count: int) -> bytes:
        """That many bytes; fewer only at the end of the file."""
        pieces: list[bytes] = []
        try:
            while count and (piece := self._file.read(count)):
                pieces.append(piece)
                count -= len(piece)
        except OSError as error:
            raise SourceUnreadable(f"the bundle file cannot be read: {error.strerror}") from error
        data = b"".join(pieces)
        self._sum.update(data)
        return data

    def _exactly(self, count: int, what: str) -> bytes:
        data = self.some(count)
        if len(data) < count:
            raise BundleFileInvalid(f"the bundle ends in the middle of {what}")
        return data
