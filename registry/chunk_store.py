"""Chunks on disk: written once, verified whenever they are read, gone only when nobody names them.

```
folder/chunks/ab/abcd...   one zstd frame, mode 0444, named by the sha256 of the plain bytes
folder/incoming/...        being written; nothing there was ever acknowledged
folder/quarantine/...      found corrupt
folder/leases/...          chunks of transfers under way
```

Theory of operation: a file is written in incoming/, fsynced, renamed, and the folder it went to fsynced; only then
`put` returns. So what has a name in chunks/ is whole. The lock is held from the rename until the folder is durable,
and wherever a chunk is said to be there, so that nobody is told of a chunk which a power cut would still take.
What is put, leased or confirmed by `missing` gets a new mtime, and `collect` spares what is younger than its grace:
between "I have that one" and the release that names it, nothing goes away.

Blocking and thread-safe; several processes may share a folder, each counting its quota by what it found and wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from registry.blob import Blob, Chunk
from registry.digest import Digest
from registry.limits import COLLECT_GRACE_S, DISK_RESERVE_BYTES

Progress = Callable[[int, int], None]
"""Told after each batch: plain bytes read in all, and how many of those were not in the store yet."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a garbage collection did.

    Attributes:
        removed_count: chunks removed.
        removed_bytes: of disk that they took.
        kept_count: chunks left.
    """

    removed_count: int
    removed_bytes: int
    kept_count: int


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """The store at a glance.

    Attributes:
        chunk_count: chunks there.
        used_bytes: of disk, in blocks of 4 KiB, half-written and quarantined files included.
        bytes_max: the quota of that.
        free_bytes: of the disk the folder is on.
        quarantined_count: corrupt files put aside and still kept.
        lease_count: leases that were not dropped.
    """

    chunk_count: int
    used_bytes: int
    bytes_max: int
    free_bytes: int
    quarantined_count: int
    lease_count: int


class ChunkStore:
    """The chunks of one folder.

    Raises, besides what each method says: StoreFailed where the folder cannot be read or written.
    """

    def __init__(self, folder: Path, bytes_max: int, *, reserve_bytes: int = DISK_RESERVE_BYTES) -> None:
        """Opens the folder, makes it if need be, counts what is there and removes what a crash left half-written.

        Args:
            bytes_max: quota of bytes on disk.
            reserve_bytes: what must stay free on the disk.
        """
        raise NotImplementedError

    def has(self, digest: Digest) -> bool:
        """Whether the chunk is there, as far as its name goes: reading verifies it."""
        raise NotImplementedError

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those that are not there, each once, in order. Those that are stay for COLLECT_GRACE_S."""
        raise NotImplementedError

    def put(self, chunk: Chunk, data: bytes) -> None:
        """Stores plain bytes; durable when it returns; costs little if the chunk is there.

        Raises:
            BlobMismatch: the bytes are not that chunk.
            StoreFull, DiskFull: nothing was stored, nothing is lost.
        """
        raise NotImplementedError

    def put_frame(self, chunk: Chunk, frame: bytes) -> None:
        """Stores a chunk as it came over the wire, compressed; else like `put`.

        Raises:
            FrameInvalid: not one zstd frame of that size.
            BlobMismatch, StoreFull, DiskFull: as in `put`.
        """
        raise NotImplementedError

    def put_file(self, file: Path | BinaryIO, progress: Progress | None = None) -> Blob:
        """Cuts a file into chunks and stores them: `put_files` of one."""
        raise NotImplementedError

    def put_files(self, files: Iterable[Path | BinaryIO], progress: Progress | None = None) -> list[Blob]:
        """Cuts files into chunks and stores them, durable when it returns. Far quicker than one file after another.

        Raises:
            SourceUnreadable: a file cannot be read.
            BlobTooLarge: a file has more than BLOB_BYTES_MAX bytes or BLOB_CHUNK_COUNT_MAX chunks.
            StoreFull, DiskFull: chunks stored until then stay, and are collected like others that nobody names.
        """
        raise NotImplementedError

    def get(self, chunk: Chunk) -> bytes:
        """The plain bytes, verified.

        Raises:
            BlobMissing: not there.
            BlobCorrupt: not what was stored; the chunk is missing from now on.
            BlobMismatch: the chunk has another size than the caller says.
        """
        raise NotImplementedError

    def get_frame(self, chunk: Chunk) -> bytes:
        """The chunk compressed, verified, for the wire. Raises like `get`."""
        raise NotImplementedError

    def frame_of(self, digest: Digest) -> bytes:
        """The chunk compressed, verified, where its size is not known. Raises like `get`."""
        raise NotImplementedError

    def lease(self, name: str, digests: Iterable[Digest], until: float) -> None:
        """Keeps chunks from `collect`, there or not yet, across restarts. Replaces the lease of that name.

        Ask `missing` after this, not before: what it says is there then stays.

        Args:
            name: of the transfer, for `drop_lease`; any text.
            until: wall clock, s.

        Raises:
            LeaseRefused: too many leases, or digests of one.
        """
        raise NotImplementedError

    def drop_lease(self, name: str) -> None:
        """Ends a lease, if there is one."""
        raise NotImplementedError

    def collect(self, reachable: Collection[Digest], now: float, *, grace_s: float = COLLECT_GRACE_S) -> Collected:
        """Removes chunks that are neither reachable nor leased nor younger than the grace.

        Args:
            reachable: every chunk of every release that is to stay. The caller's word is final: nothing else is asked.
            now: wall clock, s.
            grace_s: since a chunk was put, leased or confirmed by `missing`.
        """
        raise NotImplementedError

    def scrub(self) -> Iterator[Digest | None]:
        """Reads and verifies every chunk, one per step so that the caller can pace it.

        Yields None for a sound chunk, its digest for one that was corrupt and is missing now.
        """
        raise NotImplementedError

    def statistics(self) -> StoreStatistics:
        """The store at a glance."""
        raise NotImplementedError
