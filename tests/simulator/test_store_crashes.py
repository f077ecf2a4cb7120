"""Every store of a node, cut off at each operation by a kill and by power cuts.

What it promised is there, nothing torn is given out, and the next process carries on.

Records have theirs in tests/fleet/test_store.py.
"""

from __future__ import annotations

import errno
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edged.anycast.drained import Drained
from edged.errors import RolloutNotSaved, StateFolderError
from edged.fleet.record import Version
from edged.fleet.rollout_plan import Saved
from edged.node.rollout_store import Kept, RolloutStore
from edged.node.stores import Stores, open_stores
from registry.blob import Blob, Chunk
from registry.checkout import Checkouts
from registry.chunk_store import ChunkStore
from registry.digest import Digest, digest_of
from registry.dsse import sign
from registry.errors import BlobCorrupt, BlobMissing, DiskFull, RegistryError, ReleaseMissing, StoreFailed
from registry.keys import SigningKey
from registry.limits import COLLECT_GRACE_S, INCOMING_GRACE_S, MiB
from registry.release import RELEASE_TYPE, Entry, Release
from registry.release_store import ReleaseStore
from registry.strict import encode
from tests.simulator.crashes import crashes, failures
from tests.simulator.memory_disk import MemoryDisk

FOLDER = Path("/var/lib/edged")
QUOTA = 64 * MiB
NOW = 1_800_000_000.0
NEW = [b"one", b"two", random.Random(1).randbytes(200_000)]
FILES = {"components/a.wasm": NEW[2], "files/a/x/empty": b"", "files/a/x/same": b"same", "files/b/same": b"same"}
KEY = SigningKey.generate()
LEDGER = encode({"a": "ledger"})
Promise = Callable[[Chunk], None]


@pytest.fixture(autouse=True)
def few_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the 256 that a store makes at its first start, and makes durable at each, those that these chunks go to."""
    data = [*NEW, *FILES.values(), b"zero", b"old"]
    chunks = {digest_of(each) for each in data}
    with_chunks = ChunkStore(FOLDER, QUOTA, disk=MemoryDisk())
    for blob in with_chunks.put_files([io.BytesIO(each) for each in data]):
        chunks |= {chunk.digest for chunk in blob.chunks}
    monkeypatch.setattr("registry.chunk_store._FAN", tuple(sorted({digest.split(":")[1][:2] for digest in chunks})))
    monkeypatch.setattr("time.time", lambda: NOW)


def chunk_of(data: bytes) -> Chunk:
    return Chunk(digest_of(data), len(data))


def chunks_on(disk: MemoryDisk) -> ChunkStore:
    return ChunkStore(FOLDER / "registry", QUOTA, disk=disk)


# --- chunks ---


def with_old(disk: MemoryDisk) -> ChunkStore:
    store = chunks_on(disk)
    store.put(chunk_of(b"old"), b"old")
    return store


def put_all(store: ChunkStore, promise: Promise) -> None:
    store.put(chunk_of(b"zero"), b"zero")
    promise(chunk_of(b"zero"))
    store.lease("push", [digest_of(b"zero")], until=NOW + COLLECT_GRACE_S)
    for blob in store.put_files([io.BytesIO(data) for data in NEW]):
        for chunk in blob.chunks:
            promise(chunk)


def nobody(_: object) -> None:
    """Promises count for nothing here."""


def test_chunks_are_whole_and_those_that_were_promised_are_there() -> None:
    for disk, promised in crashes(with_old, put_all):
        store = chunks_on(disk)
        assert set(store.scrub()) <= {None}
        assert store.get(chunk_of(b"old")) == b"old"
        assert store.missing([chunk.digest for chunk in promised]) == []
        put_all(store, nobody)
        store.collect([], NOW + INCOMING_GRACE_S, grace_s=COLLECT_GRACE_S)
        assert disk.names(FOLDER / "registry" / "incoming") == []
        in_leases = disk.used_bytes - store.statistics().used_bytes
        assert in_leases == (len(disk.names(FOLDER / "registry" / "leases")) + 1) * 4096  # and the lock


def test_chunks_that_were_seen_after_a_kill_stay_after_a_power_cut() -> None:
    """A publisher was told that they are there, and sends them no more."""
    for disk, _ in crashes(with_old, put_all, power_cuts=0):
        wanted = [chunk_of(data).digest for data in (b"zero", b"one", b"two")]
        seen = set(wanted) - set(chunks_on(disk).missing(wanted))
        disk.power_cut(random.Random(1))
        assert not seen & set(chunks_on(disk).missing(wanted))


def test_a_collection_takes_nothing_that_is_named() -> None:
    def before(disk: MemoryDisk) -> ChunkStore:
        store = with_old(disk)
        put_all(store, nobody)
        return store

    def work(store: ChunkStore, promise: Promise) -> None:
        store.collect([digest_of(b"old"), digest_of(b"one")], NOW + COLLECT_GRACE_S - 1, grace_s=0.0)

    for disk, _ in crashes(before, work):
        store = chunks_on(disk)
        assert store.missing([digest_of(each) for each in (b"old", b"one", b"zero")]) == []  # zero by its lease
        assert set(store.scrub()) <= {None}
        assert store.collect([], NOW + 9 * COLLECT_GRACE_S).kept_count == 0


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, DiskFull), (errno.EIO, StoreFailed)])
def test_chunks_after_a_fault(number: int, error: type[StoreFailed]) -> None:
    for disk, store, raised in failures(with_old, lambda store: put_all(store, nobody), number):
        assert raised is None or type(raised) is error
        put_all(store, nobody)
        assert set(store.scrub()) <= {None}
        disk.power_cut(random.Random(1))
        again = chunks_on(disk)
        assert again.missing([digest_of(data) for data in (b"old", b"zero", b"one", b"two")]) == []
        assert set(again.scrub()) <= {None}


# --- releases ---


def release_of(store: ChunkStore) -> Release:
    blobs = store.put_files([io.BytesIO(data) for data in FILES.values()])
    return Release("shop", "1", tuple(Entry(path, blob) for path, blob in zip(FILES, blobs, strict=True)), {})


def envelope_of(release: Release) -> bytes:
    return sign(RELEASE_TYPE, release.encode(), KEY).encode()


def test_a_release_is_whole_or_not_there() -> None:
    def before(disk: MemoryDisk) -> tuple[ReleaseStore, bytes]:
        chunks = chunks_on(disk)
        return ReleaseStore(FOLDER / "registry", chunks, disk=disk), envelope_of(release_of(chunks))

    def work(subject: tuple[ReleaseStore, bytes], promise: Callable[[Digest], None]) -> None:
        releases, envelope = subject
        promise(releases.put(envelope))

    for disk, promised in crashes(before, work):
        chunks = chunks_on(disk)
        releases = ReleaseStore(FOLDER / "registry", chunks, disk=disk)
        found = releases.digests()
        assert found >= set(promised)
        disk.power_cut(random.Random(1))
        assert ReleaseStore(FOLDER / "registry", chunks, disk=disk).digests() == found
        for digest in found:
            assert chunks.missing([chunk.digest for chunk in releases.get(digest).release.chunks()]) == []
        digest = releases.put(envelope_of(release_of(chunks)))
        assert releases.get(digest).digest == digest


def test_a_release_that_was_removed_stays_so() -> None:
    def before(disk: MemoryDisk) -> tuple[ReleaseStore, Digest]:
        chunks = chunks_on(disk)
        releases = ReleaseStore(FOLDER / "registry", chunks, disk=disk)
        return releases, releases.put(envelope_of(release_of(chunks)))

    def work(subject: tuple[ReleaseStore, Digest], promise: Callable[[Digest], None]) -> None:
        releases, digest = subject
        releases.remove(digest)
        promise(digest)

    for disk, promised in crashes(before, work):
        releases = ReleaseStore(FOLDER / "registry", chunks_on(disk), disk=disk)
        assert not releases.digests() & set(promised)
        for digest in releases.digests():
            assert releases.get(digest).digest == digest


# --- what runs ---


@dataclass(frozen=True)
class Running:
    """A release on its way to be run.

    Attributes:
        name: its digest, for `Checkouts`.
    """

    disk: MemoryDisk
    chunks: ChunkStore
    release: Release
    name: Digest


def with_release(disk: MemoryDisk) -> Running:
    chunks = chunks_on(disk)
    release = release_of(chunks)
    return Running(disk, chunks, release, digest_of(release.encode()))


def checkouts_on(disk: MemoryDisk, chunks: ChunkStore) -> Checkouts:
    return Checkouts(FOLDER / "checkouts", chunks, disk=disk)


def files_in(disk: MemoryDisk, folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): data for path, data in disk.files(folder).items()}


def check_out(subject: Running, promise: Callable[[Path], None]) -> None:
    promise(checkouts_on(subject.disk, subject.chunks).make(subject.name, subject.release))


def test_what_runs_is_a_whole_release() -> None:
    for disk, promised in crashes(with_release, check_out):
        for folder in promised:
            assert files_in(disk, folder) == FILES
        running = with_release(disk)
        checkouts = checkouts_on(disk, running.chunks)
        assert files_in(disk, checkouts.make(running.name, running.release)) == FILES
        assert disk.names(FOLDER / "checkouts" / "incoming") == []


def test_what_runs_no_more_goes_and_the_rest_stays() -> None:
    def before(disk: MemoryDisk) -> Running:
        running = with_release(disk)
        checkouts = checkouts_on(disk, running.chunks)
        for name in (running.name, digest_of(b"another")):
            checkouts.make(name, running.release)
        return running

    def work(subject: Running, promise: Callable[[None], None]) -> None:
        checkouts_on(subject.disk, subject.chunks).keep([subject.name])

    for disk, _ in crashes(before, work):
        running = with_release(disk)
        checkouts = checkouts_on(disk, running.chunks)
        assert files_in(disk, checkouts.make(running.name, running.release)) == FILES
        checkouts.keep([])
        assert disk.files(FOLDER / "checkouts") == {}


# --- rollouts ---


def kept(sequence: int) -> Kept:
    return Kept(Saved(floor=Version(1, sequence)), {})


def test_a_rollout_goes_forward_only() -> None:
    def before(disk: MemoryDisk) -> RolloutStore:
        store = RolloutStore(FOLDER / "rollouts", disk=disk)
        store.save("shop", kept(1))
        return store

    def work(store: RolloutStore, promise: Callable[[int], None]) -> None:
        for sequence in (2, 3):
            store.save("shop", kept(sequence))
            promise(sequence)

    for disk, promised in crashes(before, work):
        found = RolloutStore(FOLDER / "rollouts", disk=disk).load()
        assert found["shop"].saved.floor.sequence >= max(promised, default=1)
        disk.power_cut(random.Random(1))
        store = RolloutStore(FOLDER / "rollouts", disk=disk)
        assert store.load() == found
        assert disk.names(FOLDER / "rollouts") == ["shop"]
    for disk, store, raised in failures(before, lambda store: work(store, nobody), errno.EIO):
        assert raised is None or isinstance(raised, RolloutNotSaved)
        assert store.load()["shop"].saved.floor.sequence >= 1
        store.save("shop", kept(4))
        disk.power_cut(random.Random(1))
        assert RolloutStore(FOLDER / "rollouts", disk=disk).load() == {"shop": kept(4)}


def test_a_rollout_that_cannot_be_read_now_may_be_read_later() -> None:
    disk = MemoryDisk()
    store = RolloutStore(FOLDER / "rollouts", disk=disk)
    store.save("shop", kept(1))
    disk.failing = 1.0
    assert store.load() == {}
    disk.heal()
    assert store.load() == {"shop": kept(1)}


# --- that a node is drained ---


def test_a_node_that_was_drained_stays_so_until_it_is_put_back() -> None:
    def before(disk: MemoryDisk) -> Drained:
        open_stores(FOLDER, QUOTA, disk=disk)
        return Drained(FOLDER, disk=disk)

    def work(drained: Drained, promise: Callable[[bool], None]) -> None:
        drained.set("for repair")
        promise(True)
        drained.clear()
        promise(False)

    for disk, promised in crashes(before, work):
        drained = Drained(FOLDER, disk=disk)
        if len(promised) != 1:  # neither is under way
            assert drained.is_set() in ({False} if promised else {False, True})
        drained.set("again")
        disk.power_cut(random.Random(1))
        assert drained.is_set()
    for _, drained, raised in failures(before, lambda drained: drained.set("for repair"), errno.ENOSPC):
        assert raised is None or isinstance(raised, StateFolderError)
        drained.set("again")
        assert drained.is_set()


# --- all of a node ---


def opened(disk: MemoryDisk) -> Stores:
    stores = open_stores(FOLDER, QUOTA, disk=disk)
    stores.records.load()
    return stores


def test_a_first_start_at_every_operation() -> None:
    def work(disk: MemoryDisk, promise: Promise) -> None:
        opened(disk)

    for disk, _ in crashes(lambda disk: disk, work, power_cuts=2):
        assert opened(disk).rollouts.load() == {}


def filled(disk: MemoryDisk) -> tuple[Stores, Release, Digest]:
    stores = opened(disk)
    release = release_of(stores.chunks)
    digest = stores.releases.put(envelope_of(release))
    stores.checkouts.make(digest, release)
    stores.rollouts.save("shop", kept(1))
    return stores, release, digest


def test_a_node_starts_on_a_full_disk() -> None:
    disk = MemoryDisk()
    _, release, digest = filled(disk)
    disk.full = True
    stores = opened(disk)
    assert stores.releases.get(digest).release == release
    assert files_in(disk, stores.checkouts.make(digest, release)) == FILES
    assert stores.rollouts.load() == {"shop": kept(1)}
    with pytest.raises(DiskFull):
        stores.chunks.put(chunk_of(b"zero"), b"zero")
    with pytest.raises(RolloutNotSaved):
        stores.rollouts.save("shop", kept(2))
    assert stores.rollouts.load() == {"shop": kept(1)}


def given_out(disk: MemoryDisk, release: Release, digest: Digest) -> list[str]:
    """What a node that starts on this disk cannot use; whatever it can use is what was written."""
    stores = opened(disk)
    damaged = []
    for entry in release.entries:
        for chunk in entry.blob.chunks:
            try:
                assert digest_of(stores.chunks.get(chunk)) == chunk.digest
            except (BlobCorrupt, BlobMissing):
                damaged.append("chunk")
    try:
        assert stores.releases.get(digest).release == release
    except ReleaseMissing:
        damaged.append("release")
    try:
        assert files_in(disk, stores.checkouts.make(digest, release)) == FILES
    except RegistryError:
        damaged.append("checkout")
    if stores.rollouts.load() != {"shop": kept(1)}:
        damaged.append("rollout")
    return damaged


def test_a_bit_that_rots_is_noticed() -> None:
    seen = set()
    for luck in range(60):
        disk = MemoryDisk()
        _, release, digest = filled(disk)
        path = disk.rot(random.Random(luck))
        assert path is not None
        damaged = given_out(disk, release, digest)
        seen.update(damaged)
        if "checkouts" in path.parts:
            assert damaged == []  # made again from its chunks
        elif "leases" not in path.parts:
            assert damaged, path
    assert seen >= {"chunk", "release", "rollout"}


def test_a_file_on_a_bad_sector_stops_nobody() -> None:
    """It counts as damaged, is made or fetched again, and nothing else is kept from being used or collected."""

    def before(disk: MemoryDisk) -> tuple[Stores, Release, Digest]:
        stores, release, digest = filled(disk)
        stores.records.save_ledger(LEDGER)
        stores.chunks.lease("push", [digest_of(b"zero")], until=NOW + COLLECT_GRACE_S)
        return stores, release, digest

    template = MemoryDisk()
    before(template)
    assert len(template.files(FOLDER)) > 10
    for path in template.files(FOLDER):
        disk = MemoryDisk()
        stores, release, digest = before(disk)
        disk.spoil(path)
        given_out(disk, release, digest)
        assert stores.records.load_ledger() == (b"" if path.name == "ledger" else LEDGER)
        stores, release, digest = filled(disk)
        assert set(stores.chunks.scrub()) == {None}
        assert given_out(disk, release, digest) == []
        stores.chunks.collect(stores.releases.reachable([digest]), NOW, grace_s=0.0)
        assert given_out(disk, release, digest) == []


def test_a_disk_that_lies_is_noticed() -> None:
    """It says that all is durable, and loses it: what is left is whole, or known to be gone."""
    lost = 0
    for luck in range(40):
        disk = MemoryDisk(random.Random(luck))
        opened(disk)
        disk.lost_writes = 0.5
        _, release, digest = filled(disk)
        disk.power_cut(random.Random(luck))
        disk.heal()
        lost += bool(given_out(disk, release, digest))
        filled(disk)
        assert given_out(disk, release, digest) == []
    assert lost


def blob_of(release: Release, path: str) -> Blob:
    return next(entry.blob for entry in release.entries if entry.path == path)


def test_names_that_a_file_has_are_counted() -> None:
    """What `keep` removes blobs by."""
    disk = MemoryDisk()
    _, release, _ = filled(disk)
    same = blob_of(release, "files/b/same").digest.split(":")[1]
    assert disk.status(FOLDER / "checkouts" / "blobs" / same).st_nlink == 3
