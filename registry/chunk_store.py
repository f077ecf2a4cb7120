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

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from registry.blob import Blob, Chunk
from registry.digest import Digest, digest_from_hex, digest_of, hex_of
from registry.disk import UNREADABLE, Disk, blocks_of, disk_bytes, faults, make_folders, regular_files, temporary
from registry.errors import BlobCorrupt, BlobMismatch, BlobMissing, DigestInvalid, FrameInvalid
from registry.frame import decode_frame, encode_frame
from registry.intake import Intake, Progress
from registry.lease import DIGEST_BYTES, Leases
from registry.limits import (
    COLLECT_GRACE_FULL_S,
    COLLECT_GRACE_S,
    DISK_RESERVE_BYTES,
    FRAME_BYTES_MAX,
    INCOMING_GRACE_S,
    QUARANTINE_COUNT_MAX,
)
from registry.usage import Usage

_FAN = tuple(f"{first:02x}" for first in range(256))


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


@dataclass(frozen=True, slots=True)
class _Written:
    """A file in incoming/ and what it takes of the quota."""

    path: Path
    bytes: int


class ChunkStore:
    """The chunks of one folder.

    Raises, besides what each method says: StoreFailed where the folder cannot be read or written.
    """

    def __init__(
        self, folder: Path, bytes_max: int, *, reserve_bytes: int = DISK_RESERVE_BYTES, disk: Disk | None = None
    ) -> None:
        """Opens the folder, makes it if need be, counts what is there.

        Args:
            bytes_max: quota of bytes on disk.
            reserve_bytes: what must stay free on the disk.
            disk: another one than the real one, for tests.
        """
        self._disk = Disk() if disk is None else disk
        self._folder = folder
        self._chunks = folder / "chunks"
        self._incoming = folder / "incoming"
        self._quarantine = folder / "quarantine"
        self._usage = Usage(bytes_max, reserve_bytes)
        with faults(f"the store {folder} cannot be opened"):
            make_folders(self._disk, folder, ["chunks", "incoming", "quarantine", "leases"])
            make_folders(self._disk, self._chunks, _FAN)
            self._lock = self._disk.lock(folder / "lock")
            self._leases = Leases(folder / "leases", self._incoming, self._disk)
            with self._lock:
                self._open(time.time())

    def _open(self, now: float) -> None:
        for name in _FAN:
            # A process may have been killed between rename and fsync: what is seen from now on is durable.
            self._disk.sync_folder(self._chunks / name)
            files = regular_files(self._disk, self._chunks / name)
            self._usage.found(sum(disk_bytes(status) for _, status in files), chunks=len(files))
        for folder in (self._incoming, self._quarantine):
            self._usage.found(sum(disk_bytes(status) for _, status in regular_files(self._disk, folder)))
        self._sweep(now)

    # --- asking ---

    def has(self, digest: Digest) -> bool:
        """Whether the chunk is there, as far as its name goes: reading verifies it."""
        with self._lock, faults("the store cannot be read"):
            return self._disk.exists(self._path(digest))

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those that are not there, each once, in order. Those that are stay for COLLECT_GRACE_S."""
        missing = []
        with self._lock, faults("the store cannot be read"):
            for digest in dict.fromkeys(digests):
                if not self._confirm(digest):
                    missing.append(digest)
        return missing

    def _confirm(self, digest: Digest) -> bool:
        """Whether the chunk is there; if so its grace begins anew. The lock is held."""
        try:
            self._disk.touch(self._path(digest))
        except FileNotFoundError:
            return False
        return True

    # --- putting ---

    def put(self, chunk: Chunk, data: bytes) -> None:
        """Stores plain bytes; durable when it returns; costs little if the chunk is there.

        Raises:
            BlobMismatch: the bytes are not that chunk.
            StoreFull, DiskFull: nothing was stored, nothing is lost.
        """
        if len(data) != chunk.size or digest_of(data) != chunk.digest:
            raise BlobMismatch(f"the bytes are not the chunk {chunk.digest} of {chunk.size} bytes")
        if self.missing([chunk.digest]):
            self._publish({chunk.digest: self._write(encode_frame(data))})

    def put_frame(self, chunk: Chunk, frame: bytes) -> None:
        """Stores a chunk as it came over the wire, compressed; else like `put`.

        Raises:
            FrameInvalid: not one zstd frame of that size.
            BlobMismatch, StoreFull, DiskFull: as in `put`.
        """
        if digest_of(decode_frame(frame, chunk.size)) != chunk.digest:
            raise BlobMismatch(f"the bytes are not the chunk {chunk.digest}")
        if self.missing([chunk.digest]):
            self._publish({chunk.digest: self._write(frame)})

    def put_file(self, file: Path | BinaryIO, progress: Progress | None = None) -> Blob:
        """Cuts a file into chunks and stores them: `put_files` of one."""
        return self.put_files([file], progress)[0]

    def put_files(self, files: Iterable[Path | BinaryIO], progress: Progress | None = None) -> list[Blob]:
        """Cuts files into chunks and stores them, durable when it returns. Far quicker than one file after another.

        Args:
            files: regular files by path, or open ones, which are read from where they are.
            progress: told after each batch.

        Raises:
            SourceUnreadable: a file cannot be read.
            BlobTooLarge: a file has more than BLOB_BYTES_MAX bytes or BLOB_CHUNK_COUNT_MAX chunks.
            StoreFull, DiskFull: chunks stored until then stay, and are collected like others that nobody names.
        """
        intake = Intake(files)
        with self._disk.writers("registry-put") as pool:
            while pieces := intake.next_batch():
                digests = list(pool.map(digest_of, pieces))
                plain = dict(zip(digests, pieces, strict=True))
                missing = self.missing(plain)
                self._put_new({digest: plain[digest] for digest in missing}, pool)
                intake.stored(digests, fresh_bytes=sum(len(plain[digest]) for digest in missing))
                if progress is not None:
                    progress(intake.read_bytes, intake.fresh_bytes)
        return intake.blobs

    def _put_new(self, plain: Mapping[Digest, bytes], pool: Executor) -> None:
        """Writes chunks side by side, then gives them their names together: one fsync for each folder."""
        writing = {
            digest: pool.submit(lambda data: self._write(encode_frame(data)), data) for digest, data in plain.items()
        }
        failed = [error for future in writing.values() if (error := future.exception()) is not None]
        if failed:
            self._discard([future.result() for future in writing.values() if future.exception() is None])
            raise failed[0]
        self._publish({digest: future.result() for digest, future in writing.items()})

    def _write(self, frame: bytes) -> _Written:
        """A durable file in incoming/, within the quota."""
        written = _Written(temporary(self._incoming), blocks_of(len(frame)))
        with faults("a chunk cannot be written"):
            self._usage.reserve(written.bytes, self._disk.free_bytes(self._folder))
            try:
                self._disk.write(written.path, [frame])
                self._disk.sync(written.path)
            except OSError:
                self._discard([written])
                raise
        return written

    def _publish(self, written: Mapping[Digest, _Written]) -> None:
        """Gives files their names, durably, or removes them all."""
        named: list[tuple[Path, _Written]] = []
        surplus: list[_Written] = []
        with self._lock, faults("a chunk cannot be written"):
            try:
                for digest, one in written.items():
                    if self._confirm(digest):  # somebody else's, while this one was written
                        surplus.append(one)
                        continue
                    self._disk.rename(one.path, self._path(digest))
                    named.append((self._path(digest), one))
                for folder in {path.parent for path, _ in named}:
                    self._disk.sync_folder(folder)
            except OSError:
                # What was not acknowledged must not be seen either: the next `put` would take it for durable.
                for path, _ in named:
                    with suppress(OSError):
                        self._disk.unlink(path)
                self._discard(list(written.values()))
                raise
            self._discard(surplus)
            self._usage.found(0, chunks=len(named))

    def _discard(self, written: list[_Written]) -> None:
        for one in written:
            try:
                self._disk.unlink(one.path)
            except FileNotFoundError:
                pass  # never made, or taken away under its own name
            except OSError:
                continue  # it still takes its bytes; swept later
            self._usage.release(one.bytes)

    # --- getting ---

    def get(self, chunk: Chunk) -> bytes:
        """The plain bytes, verified.

        Raises:
            BlobMissing: not there.
            BlobCorrupt: not what was stored; the chunk is missing from now on.
            BlobMismatch: the chunk has another size than the caller says.
        """
        return self._read(chunk.digest, chunk.size)[1]

    def get_frame(self, chunk: Chunk) -> bytes:
        """The chunk compressed, verified, for the wire. Raises like `get`."""
        return self._read(chunk.digest, chunk.size)[0]

    def frame_of(self, digest: Digest) -> bytes:
        """The chunk compressed, verified, where its size is not known. Raises like `get`."""
        return self._read(digest, None)[0]

    def _read(self, digest: Digest, size: int | None) -> tuple[bytes, bytes]:
        """Frame and plain bytes."""
        path = self._path(digest)
        with faults(f"the chunk {digest} cannot be read"):
            try:
                inode = self._disk.status(path).st_ino
                frame = self._disk.read(path, FRAME_BYTES_MAX)
                data = decode_frame(frame)
                sound = digest_of(data) == digest
            except FileNotFoundError:
                raise BlobMissing(f"the chunk {digest} is not in the store") from None
            except FrameInvalid:
                sound = False
            except OSError as error:
                if error.errno not in UNREADABLE:
                    raise
                sound = False
            if not sound:
                self._put_aside(path, inode)
                raise BlobCorrupt(f"the chunk {digest} is not what was stored")
        if size is not None and len(data) != size:
            raise BlobMismatch(f"the chunk {digest} has {len(data)} bytes, not {size}")
        return frame, data

    def _put_aside(self, path: Path, inode: int) -> None:
        with self._lock:
            try:
                status = self._disk.status(path)
            except FileNotFoundError:
                return
            if status.st_ino == inode:  # else somebody has put it anew
                self._disk.rename(path, self._quarantine / f"{path.name}-{temporary(path).name}")
                self._usage.release(0, chunks=1)
                self._trim_quarantine()

    def _trim_quarantine(self) -> None:
        files = sorted(regular_files(self._disk, self._quarantine), key=lambda file: file[1].st_ctime_ns)
        for name, status in files[:-QUARANTINE_COUNT_MAX]:
            self._disk.unlink(self._quarantine / name)
            self._usage.release(disk_bytes(status))

    # --- keeping ---

    def lease(self, name: str, digests: Iterable[Digest], until: float) -> None:
        """Keeps chunks from `collect`, there or not yet, across restarts. Replaces the lease of that name.

        Ask `missing` after this, not before: what it says is there then stays.

        Args:
            name: of the transfer, for `drop_lease`; any text of up to LEASE_NAME_BYTES_MAX.
            until: wall clock, s; after LEASE_S_MAX it ends in any case.

        Raises:
            LeaseRefused: too many digests, or too long a name. Too many leases: the oldest goes.
        """
        leased = list(digests)
        with self._lock, faults("a lease cannot be written"):
            self._leases.put(name, leased, until, time.time())
            for digest in leased:  # a collection under way has read the leases before
                self._confirm(digest)

    def drop_lease(self, name: str) -> None:
        """Ends a lease, if there is one."""
        with self._lock, faults("a lease cannot be removed"):
            self._leases.drop(name)

    def collect(self, reachable: Collection[Digest], now: float, *, grace_s: float | None = None) -> Collected:
        """Removes chunks that are neither reachable nor leased nor younger than the grace.

        Args:
            reachable: every chunk of every release that is to stay. The caller's word is final: nothing else is asked.
            now: wall clock, s.
            grace_s: since a chunk was put, leased or confirmed by `missing`; None for COLLECT_GRACE_S, or
                COLLECT_GRACE_FULL_S in a store that is three quarters full.
        """
        if grace_s is None:
            is_full = self._usage.totals()[1] > self._usage.bytes_max // 4 * 3
            grace_s = COLLECT_GRACE_FULL_S if is_full else COLLECT_GRACE_S
        removed_count = removed_bytes = kept_count = 0
        with faults("the store cannot be collected"):
            with self._lock:
                leased = list(self._leases.held(now))
                self._sweep(now)
            held = set(map(hex_of, reachable))  # without the lock: there may be a million of them
            for digests in leased:
                held.update(
                    digests[start : start + DIGEST_BYTES].hex() for start in range(0, len(digests), DIGEST_BYTES)
                )
            for folder in _FAN:
                for name, _ in regular_files(self._disk, self._chunks / folder):
                    size = 0 if name in held else self._collect_one(self._chunks / folder / name, now, grace_s)
                    removed_count += size > 0
                    kept_count += size == 0
                    removed_bytes += size
        return Collected(removed_count, removed_bytes, kept_count)

    def _collect_one(self, path: Path, now: float, grace_s: float) -> int:
        """Bytes of disk that are free now: none if the file is too young."""
        with self._lock:  # for each: a collection must not keep a transfer waiting
            try:
                status = self._disk.status(path)
            except FileNotFoundError:
                return 0
            if status.st_mtime > now:
                self._disk.touch(path, now)  # by a clock that was ahead; else it would stay until then
            if now - status.st_mtime < grace_s:
                return 0
            self._disk.unlink(path)
            self._usage.release(disk_bytes(status), chunks=1)
            return disk_bytes(status)

    def _sweep(self, now: float) -> None:
        """Removes what processes that are gone left half-written. The lock is held."""
        for name, status in regular_files(self._disk, self._incoming):
            if now - status.st_mtime >= INCOMING_GRACE_S:
                self._disk.unlink(self._incoming / name)
                self._usage.release(disk_bytes(status))

    def scrub(self) -> Iterator[Digest | None]:
        """Reads and verifies every chunk, one per step so that the caller can pace it.

        Yields None for a sound chunk, its digest for one that was corrupt and is missing now.
        """
        for folder in _FAN:
            with faults("the store cannot be read"):
                files = regular_files(self._disk, self._chunks / folder)
            for name, _ in files:
                try:
                    digest = digest_from_hex(name)
                    self._read(digest, None)
                except (DigestInvalid, BlobMissing):  # not ours; collected meanwhile
                    continue
                except BlobCorrupt:
                    yield digest
                else:
                    yield None

    def statistics(self) -> StoreStatistics:
        """The store at a glance."""
        with faults("the store cannot be read"):
            quarantined = len(regular_files(self._disk, self._quarantine))
            leases = self._leases.count()
            free = self._disk.free_bytes(self._folder)
        return StoreStatistics(*self._usage.totals(), self._usage.bytes_max, free, quarantined, leases)

    def _path(self, digest: Digest) -> Path:
        digits = hex_of(digest)
        return self._chunks / digits[:2] / digits
