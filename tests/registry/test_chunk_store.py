"""Chunks on a disk that works: what is put is there, verified, within limits, and goes only when nobody names it."""

from __future__ import annotations

import errno
import io
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.blob import Chunk
from registry.chunk_store import ChunkStore
from registry.digest import Digest, digest_of, hex_of
from registry.disk import BLOCK_BYTES
from registry.errors import (
    BlobCorrupt,
    BlobMismatch,
    BlobMissing,
    BlobTooLarge,
    DiskFull,
    FrameInvalid,
    LeaseRefused,
    RegistryError,
    SourceUnreadable,
    StoreFailed,
    StoreFull,
)
from registry.frame import encode_frame
from registry.limits import (
    BLOB_CHUNK_COUNT_MAX,
    CHUNK_BYTES_MAX,
    COLLECT_GRACE_FULL_S,
    COLLECT_GRACE_S,
    INCOMING_GRACE_S,
    LEASE_DIGEST_COUNT_MAX,
    LEASE_NAME_BYTES_MAX,
    LEASE_S_MAX,
    QUARANTINE_COUNT_MAX,
    MiB,
)
from tests.registry.faulty_disk import FaultyDisk

QUOTA = 64 * MiB
NOISE = random.Random(5).randbytes(3 * MiB)


@pytest.fixture
def store(tmp_path: Path) -> ChunkStore:
    return ChunkStore(tmp_path / "store", QUOTA)


def chunk_of(data: bytes) -> Chunk:
    return Chunk(digest_of(data), len(data))


def put(store: ChunkStore, data: bytes) -> Chunk:
    chunk = chunk_of(data)
    store.put(chunk, data)
    return chunk


def file_of(tmp_path: Path, chunk: Chunk) -> Path:
    digits = hex_of(chunk.digest)
    return tmp_path / "store" / "chunks" / digits[:2] / digits


def later(seconds: float = COLLECT_GRACE_S + 1) -> float:
    return time.time() + seconds


# --- putting and getting ---


@pytest.mark.parametrize("data", [b"x", b"text " * 999, NOISE[:CHUNK_BYTES_MAX]], ids=["one", "text", "longest"])
def test_what_is_put_is_got(store: ChunkStore, tmp_path: Path, data: bytes) -> None:
    chunk = put(store, data)
    store.put(chunk, data)
    assert store.get(chunk) == data
    assert store.get_frame(chunk) == store.frame_of(chunk.digest) == encode_frame(data)
    assert store.has(chunk.digest)
    assert file_of(tmp_path, chunk).stat().st_mode & 0o777 == 0o444
    assert ChunkStore(tmp_path / "store", QUOTA).get(chunk) == data
    assert os.listdir(tmp_path / "store" / "incoming") == []


def test_what_came_over_the_wire(store: ChunkStore) -> None:
    data = b"text " * 999
    store.put_frame(chunk_of(data), encode_frame(data))
    assert store.get(chunk_of(data)) == data


def test_what_is_not_there(store: ChunkStore) -> None:
    chunk = chunk_of(b"x")
    assert not store.has(chunk.digest)
    for ask in (store.get, store.get_frame):
        with pytest.raises(BlobMissing):
            ask(chunk)
    with pytest.raises(BlobMissing):
        store.frame_of(chunk.digest)


def test_missing_are_named_once_and_in_order(store: ChunkStore) -> None:
    there = put(store, b"there").digest
    first, second = digest_of(b"1"), digest_of(b"2")
    assert store.missing([second, there, first, second]) == [second, first]


@pytest.mark.parametrize(
    "chunk", [Chunk(digest_of(b"other"), 5), Chunk(digest_of(b"bytes"), 4)], ids=["digest", "size"]
)
def test_bytes_that_are_not_what_they_are_called(store: ChunkStore, chunk: Chunk) -> None:
    with pytest.raises(BlobMismatch):
        store.put(chunk, b"bytes")
    with pytest.raises((BlobMismatch, FrameInvalid)):
        store.put_frame(chunk, encode_frame(b"bytes"))
    assert store.statistics().chunk_count == 0


def test_a_size_that_is_a_lie_does_not_make_a_chunk_corrupt(store: ChunkStore) -> None:
    chunk = put(store, b"bytes")
    with pytest.raises(BlobMismatch):
        store.get(Chunk(chunk.digest, 6))
    assert store.get(chunk) == b"bytes"


# --- files ---


def test_files_are_what_they_were(store: ChunkStore, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(NOISE)
    (tmp_path / "empty").touch()
    told: list[tuple[int, int]] = []
    sources = [tmp_path / "big", io.BytesIO(b"text"), tmp_path / "empty", io.BytesIO(b"text")]
    big, text, empty, again = store.put_files(sources, lambda read, fresh: told.append((read, fresh)))
    assert b"".join(map(store.get, big.chunks)) == NOISE
    assert (big.digest, big.size) == (digest_of(NOISE), len(NOISE))
    assert text == again
    assert text.chunks == (Chunk(text.digest, 4),)
    assert (empty.digest, empty.size, empty.chunks) == (digest_of(b""), 0, ())
    assert told[-1] == (len(NOISE) + 8, len(NOISE) + 4)


def test_a_file_put_again_costs_no_fsync(tmp_path: Path) -> None:
    disk = FaultyDisk()
    store = ChunkStore(tmp_path / "store", QUOTA, disk=disk)
    first = store.put_file(io.BytesIO(NOISE))
    steps = disk.steps
    assert store.put_file(io.BytesIO(NOISE)) == first
    assert disk.steps == steps


def test_two_thousand_files_share_the_fsyncs_of_folders(tmp_path: Path) -> None:
    disk = FaultyDisk()
    store = ChunkStore(tmp_path / "store", QUOTA, disk=disk)
    opened = disk.steps
    store.put_files([io.BytesIO(b"%d" % number) for number in range(2_000)])
    # Each: written, synced, renamed. Then 256 folders for each of two batches.
    assert disk.steps - opened <= 3 * 2_000 + 2 * 256


@pytest.mark.parametrize("name", ["absent", "folder", "pipe"])
def test_what_cannot_be_read(store: ChunkStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceUnreadable, match=name):
        store.put_file(tmp_path / name)


class Zeros(io.RawIOBase):
    """A file without end."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def test_a_file_without_end_is_refused(store: ChunkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.intake.BLOB_BYTES_MAX", 8 * MiB)
    with pytest.raises(BlobTooLarge):
        store.put_file(Zeros())  # type: ignore[arg-type]
    assert store.put_file(io.BytesIO(bytes(8 * MiB))).size == 8 * MiB
    with pytest.raises(BlobTooLarge):
        store.put_file(io.BytesIO(bytes(8 * MiB + 1)))


def test_a_file_of_too_many_chunks(store: ChunkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(store.put_file(io.BytesIO(NOISE)).chunks)
    assert 1 < count < BLOB_CHUNK_COUNT_MAX
    monkeypatch.setattr("registry.intake.BLOB_CHUNK_COUNT_MAX", count)
    assert len(store.put_file(io.BytesIO(NOISE)).chunks) == count
    monkeypatch.setattr("registry.intake.BLOB_CHUNK_COUNT_MAX", count - 1)
    with pytest.raises(BlobTooLarge):
        store.put_file(io.BytesIO(NOISE))


def test_threads_that_put_the_same(store: ChunkStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        blobs = list(pool.map(lambda _: store.put_file(io.BytesIO(NOISE)), range(8)))
    assert len(set(blobs)) == 1
    statistics = store.statistics()
    assert statistics.chunk_count == len(set(blobs[0].chunks))
    assert store.collect([], later()).removed_bytes == statistics.used_bytes
    assert store.statistics().used_bytes == 0


# --- what a disk does to bytes ---


def rot(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "one bit": rot,
    "cut": lambda data: data[: len(data) // 2],
    "nothing left": lambda _: b"",
    "longer": lambda data: data + b"x",
    "another chunk": lambda _: encode_frame(b"another"),
    "a bomb": lambda _: b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8,
    "a huge file": lambda _: bytes(4 * MiB),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_chunk_that_rots_is_noticed_put_aside_and_put_anew(
    store: ChunkStore, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    chunk = put(store, NOISE[:1000])
    file = file_of(tmp_path, chunk)
    file.chmod(0o644)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(BlobCorrupt):
        store.get(chunk)
    assert store.missing([chunk.digest]) == [chunk.digest]
    assert store.statistics().quarantined_count == 1
    store.put(chunk, NOISE[:1000])
    assert store.get(chunk) == NOISE[:1000]


def test_a_link_is_no_chunk(store: ChunkStore, tmp_path: Path) -> None:
    chunk = chunk_of(b"secret")
    (tmp_path / "secret").write_bytes(encode_frame(b"secret"))
    file_of(tmp_path, chunk).symlink_to(tmp_path / "secret")
    with pytest.raises(BlobCorrupt):
        store.get(chunk)


def test_the_scrubber_finds_what_rots(store: ChunkStore, tmp_path: Path) -> None:
    sound, corrupt = put(store, b"sound"), put(store, b"corrupt")
    file = file_of(tmp_path, corrupt)
    file.chmod(0o644)
    file.write_bytes(rot(file.read_bytes()))
    (file.parent / "a note of the operator").touch()
    assert sorted(store.scrub(), key=str) == [None, corrupt.digest]
    assert list(store.scrub()) == [None]
    assert store.get(sound) == b"sound"


def test_the_scrubber_goes_step_by_step(store: ChunkStore) -> None:
    chunks = [put(store, b"%d" % number) for number in range(5)]
    steps = store.scrub()
    assert next(steps) is None
    store.collect([], later())  # what is gone meanwhile is no fault
    assert list(steps) == []
    assert len(store.missing([chunk.digest for chunk in chunks])) == 5


def test_the_quarantine_has_an_end(store: ChunkStore, tmp_path: Path) -> None:
    for number in range(QUARANTINE_COUNT_MAX + 1):
        chunk = put(store, b"%d" % number)
        assert store.statistics().quarantined_count == number
        file_of(tmp_path, chunk).chmod(0o644)
        file_of(tmp_path, chunk).write_bytes(b"rot")
        with pytest.raises(BlobCorrupt):
            store.get(chunk)
    statistics = store.statistics()
    assert statistics.quarantined_count == QUARANTINE_COUNT_MAX
    assert statistics.used_bytes == QUARANTINE_COUNT_MAX * BLOCK_BYTES


# --- quota and disk ---


def test_the_quota_and_one_block_less(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path / "store", 2 * BLOCK_BYTES)
    first, second = put(store, b"1"), put(store, b"2")
    for attempt in range(2):
        with pytest.raises(StoreFull):
            put(store, b"%d" % (3 + attempt))
    store.put(first, b"1")  # what is there needs no room
    assert store.get(second) == b"2"
    assert os.listdir(tmp_path / "store" / "incoming") == []
    assert store.collect([second.digest], later()).removed_count == 1
    put(store, b"3")


def test_the_quota_counts_what_is_found(tmp_path: Path) -> None:
    put(ChunkStore(tmp_path / "store", QUOTA), b"1")
    with pytest.raises(StoreFull):
        put(ChunkStore(tmp_path / "store", BLOCK_BYTES), b"2")


def test_what_must_stay_free_stays_free(tmp_path: Path) -> None:
    with pytest.raises(DiskFull):
        put(ChunkStore(tmp_path / "store", QUOTA, reserve_bytes=2**62), b"1")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    with pytest.raises(StoreFailed) as caught:
        ChunkStore(tmp_path / "store", QUOTA)
    assert isinstance(caught.value, RegistryError)
    assert caught.value.code == "registry.store"


# --- collecting ---


def test_what_is_reachable_leased_or_young_stays(store: ChunkStore) -> None:
    reachable, leased, other = put(store, b"1"), put(store, b"2"), put(store, b"3")
    store.lease("push", [leased.digest], until=later(2 * COLLECT_GRACE_S))
    assert store.collect([reachable.digest], time.time()).kept_count == 3
    collected = store.collect([reachable.digest], later())
    assert (collected.removed_count, collected.removed_bytes, collected.kept_count) == (1, BLOCK_BYTES, 2)
    assert store.missing([reachable.digest, leased.digest, other.digest]) == [other.digest]


def test_the_grace_and_a_second_less(store: ChunkStore, tmp_path: Path) -> None:
    chunk = put(store, b"1")
    os.utime(file_of(tmp_path, chunk), (1_000.0, 1_000.0))
    assert store.collect([], 1_000.0 + COLLECT_GRACE_S - 1).removed_count == 0
    assert store.collect([], 1_000.0 + COLLECT_GRACE_S).removed_count == 1


@pytest.mark.parametrize("ask", ["put", "missing", "lease"])
def test_grace_begins_anew_when_somebody_is_told_of_a_chunk(store: ChunkStore, tmp_path: Path, ask: str) -> None:
    chunk = put(store, b"1")
    os.utime(file_of(tmp_path, chunk), (1_000.0, 1_000.0))
    match ask:
        case "put":
            store.put(chunk, b"1")
        case "missing":
            store.missing([chunk.digest])
        case _:
            store.lease("push", [chunk.digest], until=0.0)
    assert store.collect([], time.time()).removed_count == 0
    assert store.get(chunk) == b"1"


def test_a_chunk_from_the_future_is_collected_in_the_end(store: ChunkStore, tmp_path: Path) -> None:
    chunk = put(store, b"1")
    os.utime(file_of(tmp_path, chunk), (9e9, 9e9))
    now = time.time()
    assert store.collect([], now).removed_count == 0
    assert store.collect([], now + COLLECT_GRACE_S).removed_count == 1


def test_half_written_files_go_after_their_grace(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path / "store", QUOTA)
    left = tmp_path / "store" / "incoming" / "left"
    left.write_bytes(b"x" * 5_000)
    store = ChunkStore(tmp_path / "store", QUOTA)
    assert store.statistics().used_bytes == 2 * BLOCK_BYTES
    store.collect([], left.stat().st_mtime + INCOMING_GRACE_S - 1)
    assert left.exists()
    store.collect([], left.stat().st_mtime + INCOMING_GRACE_S)
    assert not left.exists()
    assert store.statistics().used_bytes == 0


# --- leases ---


def test_a_lease_survives_a_restart_and_ends(store: ChunkStore, tmp_path: Path) -> None:
    chunk = put(store, b"1")
    ends = later(10 * COLLECT_GRACE_S)
    store.lease("a/../name\0", [chunk.digest], until=ends)
    again = ChunkStore(tmp_path / "store", QUOTA)
    assert again.collect([], ends - 1).removed_count == 0
    assert again.statistics().lease_count == 1
    assert again.collect([], ends).removed_count == 1
    assert again.statistics().lease_count == 0


def test_a_lease_that_is_dropped_or_replaced(store: ChunkStore) -> None:
    first, second = put(store, b"1"), put(store, b"2")
    ends = later(10 * COLLECT_GRACE_S)
    store.lease("push", [first.digest], until=ends)
    store.lease("push", [second.digest], until=ends)
    assert store.collect([], later()).removed_count == 1
    assert store.has(second.digest)
    store.drop_lease("push")
    store.drop_lease("push")
    assert store.collect([], later()).removed_count == 1


def test_a_lease_that_rots_is_forgotten(store: ChunkStore, tmp_path: Path) -> None:
    chunk = put(store, b"1")
    store.lease("push", [chunk.digest], until=later(10 * COLLECT_GRACE_S))
    [file] = (tmp_path / "store" / "leases").iterdir()
    for content in (b"", b"\x80", file.read_bytes()[:-1], bytes(8 * MiB)):
        file.unlink(missing_ok=True)
        file.write_bytes(content)
        assert store.collect([], time.time()).kept_count == 1  # its grace is still there
        assert not file.exists()


def test_as_many_digests_as_a_lease_may_have_and_one_more(store: ChunkStore) -> None:
    digests = [Digest(f"sha256:{number:064x}") for number in range(LEASE_DIGEST_COUNT_MAX + 1)]
    store.lease("push", digests[1:], until=later())
    with pytest.raises(LeaseRefused):
        store.lease("push", digests, until=later())


def test_as_long_a_name_as_a_lease_may_have_and_one_byte_more(store: ChunkStore) -> None:
    store.lease("x" * LEASE_NAME_BYTES_MAX, [], until=later())
    with pytest.raises(LeaseRefused):
        store.lease("x" * (LEASE_NAME_BYTES_MAX + 1), [], until=later())


def names_of_leases(tmp_path: Path) -> set[str]:
    return set(os.listdir(tmp_path / "store" / "leases"))


def test_as_many_leases_as_a_store_keeps_and_one_more(
    store: ChunkStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.lease.LEASE_COUNT_MAX", 3)
    folder = tmp_path / "store" / "leases"
    chunk = put(store, b"1")
    for age, name in enumerate("abc"):
        store.lease(name, [chunk.digest], until=later())
        (new,) = names_of_leases(tmp_path) - {path for path in names_of_leases(tmp_path) if len(path) < 64}
        (folder / new).rename(folder / name)
        os.utime(folder / name, (1_000.0 - age, 1_000.0 - age))
    store.lease("d", [chunk.digest], until=later())
    assert names_of_leases(tmp_path) >= {"a", "b"}, "the oldest made room"
    assert store.statistics().lease_count == 3
    store.lease("d", [], until=later())  # its own place
    assert names_of_leases(tmp_path) >= {"a", "b"}


def test_leases_that_have_ended_make_room(store: ChunkStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.lease.LEASE_COUNT_MAX", 2)
    store.lease("open", [], until=later())
    open_ = names_of_leases(tmp_path)
    store.lease("ended", [], until=time.time() - 1)
    store.lease("new", [], until=later())
    assert names_of_leases(tmp_path) > open_
    assert store.statistics().lease_count == 2


def test_as_many_digests_as_all_leases_may_have_and_one_more(
    store: ChunkStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = [Digest(f"sha256:{number:064x}") for number in range(11)]
    store.lease("first", digests[:5], until=later())
    store.lease("other", digests[5:10], until=later())
    used = sum(path.stat().st_size for path in (tmp_path / "store" / "leases").iterdir())
    monkeypatch.setattr("registry.lease.LEASES_BYTES_MAX", used)
    store.lease("other", digests[5:10], until=later())
    assert store.statistics().lease_count == 2
    store.lease("other", digests[5:], until=later())
    assert store.statistics().lease_count == 1


@pytest.mark.parametrize(("chunks", "kept"), [(3, 3), (4, 0)])
def test_a_store_that_is_nearly_full_has_less_patience(tmp_path: Path, chunks: int, kept: int) -> None:
    store = ChunkStore(tmp_path / "store", 4 * BLOCK_BYTES)
    for number in range(chunks):
        put(store, b"%d" % number)
    assert store.collect([], later(COLLECT_GRACE_FULL_S - 60)).kept_count == chunks
    assert store.collect([], later(COLLECT_GRACE_FULL_S + 60)).kept_count == kept


def test_a_lease_of_a_clock_that_was_far_ahead_ends(store: ChunkStore, tmp_path: Path) -> None:
    chunk = put(store, b"1")
    now = time.time()
    for until, kept in ((now + LEASE_S_MAX, 1), (now + LEASE_S_MAX + 1, 0)):
        store.lease("push", [chunk.digest], until=until)
        os.utime(file_of(tmp_path, chunk), (1_000.0, 1_000.0))
        assert store.collect([], now).kept_count == kept


def test_a_file_that_cannot_be_taken_back_is_given_back_once(tmp_path: Path) -> None:
    class Sticky(FaultyDisk):
        sticky = True

        def unlink(self, path: Path) -> None:
            if self.sticky:
                raise OSError(errno.EIO, "stuck")
            super().unlink(path)

    disk = Sticky()
    store = ChunkStore(tmp_path / "store", QUOTA, disk=disk)
    disk.fail_after(1, errno.EIO)  # the sync of the chunk
    with pytest.raises(StoreFailed):
        put(store, b"1")
    assert store.statistics().used_bytes == BLOCK_BYTES
    disk.sticky = False
    store.collect([], later(INCOMING_GRACE_S))
    assert store.statistics().used_bytes == 0
