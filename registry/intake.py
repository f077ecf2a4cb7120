"""Files on their way into a chunk store: cut, gathered into batches, put together again as blobs. No disk of ours."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from registry.blob import Blob, Chunk, cut
from registry.digest import Digest
from registry.errors import BlobTooLarge, SourceUnreadable
from registry.limits import BATCH_BYTES_MAX, BATCH_COUNT_MAX, BLOB_BYTES_MAX, BLOB_CHUNK_COUNT_MAX

Progress = Callable[[int, int], None]
"""Told after each batch: plain bytes read in all, and how many of those were not in the store yet."""


class Intake:
    """Files as batches of chunks: `next_batch` until there is none, `stored` after each, then `blobs`.

    Attributes:
        read_bytes: of files, in batches that are stored.
        fresh_bytes: of those, what was not in the store before.
    """

    def __init__(self, files: Iterable[Path | BinaryIO]) -> None:
        self.read_bytes = 0
        self.fresh_bytes = 0
        self._building: list[_Building] = []
        self._pieces = self._cut(files)
        self._batch: list[tuple[_Building, bytes]] = []

    def next_batch(self) -> list[bytes]:
        """Chunks, plain: about BATCH_BYTES_MAX of them, at most BATCH_COUNT_MAX. None at the end.

        Raises:
            SourceUnreadable, BlobTooLarge: see `ChunkStore.put_files`.
        """
        self._batch = []
        size = 0
        for building, piece in self._pieces:
            self._batch.append((building, piece))
            size += len(piece)
            if size >= BATCH_BYTES_MAX or len(self._batch) >= BATCH_COUNT_MAX:
                break
        return [piece for _, piece in self._batch]

    def stored(self, digests: Iterable[Digest], fresh_bytes: int) -> None:
        """The digests of the last batch, in order, and how many of its bytes the store did not have."""
        for (building, piece), digest in zip(self._batch, digests, strict=True):
            building.chunks.append(Chunk(digest, len(piece)))
            self.read_bytes += len(piece)
        self.fresh_bytes += fresh_bytes

    @property
    def blobs(self) -> list[Blob]:
        """One for each file, once all batches are stored."""
        return [building.blob() for building in self._building]

    def _cut(self, files: Iterable[Path | BinaryIO]) -> Iterator[tuple[_Building, bytes]]:
        for source in files:
            building = _Building()
            self._building.append(building)
            for piece in _pieces_of(source):
                building.add(piece)
                yield building, piece


class _Building:
    """A blob of which not all chunks are known yet."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self._size = 0
        self._count = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        self._count += 1
        if self._size > BLOB_BYTES_MAX or self._count > BLOB_CHUNK_COUNT_MAX:
            raise BlobTooLarge(f"a file has more than {BLOB_BYTES_MAX} bytes or {BLOB_CHUNK_COUNT_MAX} chunks")
        self._hash.update(piece)

    def blob(self) -> Blob:
        return Blob(Digest("sha256:" + self._hash.hexdigest()), self._size, tuple(self.chunks))


def _pieces_of(source: Path | BinaryIO) -> Iterator[bytes]:
    try:
        if isinstance(source, Path):
            with _open(source) as file:
                yield from cut(file)
        else:
            yield from cut(source)
    except OSError as error:
        name = source if isinstance(source, Path) else "the file"
        raise SourceUnreadable(f"{name} cannot be read: {error.strerror or error}") from error


def _open(path: Path) -> BinaryIO:
    # Without blocking: a named pipe would wait for a writer forever. On regular files it means nothing.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceUnreadable(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")
