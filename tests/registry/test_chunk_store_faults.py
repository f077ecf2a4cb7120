"""Chunks on a disk that fails: at whatever step, nothing acknowledged is lost and nothing torn is given out."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry.blob import Blob, Chunk
from registry.chunk_store import ChunkStore
from registry.digest import digest_of
from registry.errors import BlobCorrupt, BlobMissing, DiskFull, StoreFailed
from registry.limits import COLLECT_GRACE_S, INCOMING_GRACE_S, MiB
from tests.registry.faulty_disk import BROKEN, FULL, FaultyDisk, PowerCut

QUOTA = 64 * MiB
OLD = b"acknowledged long ago"
NEW = [b"one", b"two", random.Random(1).randbytes(200_000)]


def steps_of_putting(tmp_path: Path) -> int:
    disk = FaultyDisk()
    store = ChunkStore(tmp_path / "measured", QUOTA, disk=disk)
    opened = disk.steps
    work(store)
    return disk.steps - opened


def work(store: ChunkStore) -> list[Blob]:
    store.put(Chunk(digest_of(b"zero"), 4), b"zero")
    store.lease("push", [digest_of(b"zero")], until=time.time() + 3 * COLLECT_GRACE_S)
    return store.put_files([io.BytesIO(data) for data in NEW])


def sound(store: ChunkStore) -> None:
    """Every chunk that can be seen is one that was put, whole."""
    assert set(store.scrub()) <= {None}
    old = Chunk(digest_of(OLD), len(OLD))
    assert store.get(old) == OLD


def test_power_that_fails_at_each_step(tmp_path: Path) -> None:
    steps = steps_of_putting(tmp_path)
    assert steps > 10
    for at in range(steps):
        folder = tmp_path / f"at{at}"
        ChunkStore(folder, QUOTA).put(Chunk(digest_of(OLD), len(OLD)), OLD)
        disk = FaultyDisk()
        store = ChunkStore(folder, QUOTA, disk=disk)
        disk.fail_after(at)
        with pytest.raises(PowerCut):
            work(store)
        disk.lose_power(random.Random(at))
        again = ChunkStore(folder, QUOTA)
        sound(again)
        blobs = work(again)
        again.collect([chunk.digest for blob in blobs for chunk in blob.chunks], time.time() + INCOMING_GRACE_S + 1)
        assert os.listdir(folder / "incoming") == []
        for blob, data in zip(blobs, NEW, strict=True):
            assert b"".join(map(again.get, blob.chunks)) == data


def test_what_was_acknowledged_survives_a_power_cut_right_after(tmp_path: Path) -> None:
    for seed in range(5):
        disk = FaultyDisk()
        store = ChunkStore(tmp_path / str(seed), QUOTA, disk=disk)
        blobs = work(store)
        disk.lose_power(random.Random(seed))
        again = ChunkStore(tmp_path / str(seed), QUOTA)
        assert again.missing([chunk.digest for blob in blobs for chunk in blob.chunks]) == []
        assert set(again.scrub()) == {None}
        assert again.collect([], time.time() + 2 * COLLECT_GRACE_S).kept_count == 1  # the lease's


def test_a_power_cut_takes_what_was_not_synced(tmp_path: Path) -> None:
    """That the disk of these tests is one to be afraid of: without syncs, chunks are lost or torn."""

    class Careless(FaultyDisk):
        def sync(self, path: Path) -> None:
            """Says so, and does nothing."""

        sync_folder = sync

    losses = 0
    for seed in range(5):
        disk = Careless()
        blobs = work(ChunkStore(tmp_path / str(seed), QUOTA, disk=disk))
        disk.lose_power(random.Random(seed))
        again = ChunkStore(tmp_path / str(seed), QUOTA)
        torn = set(again.scrub()) - {None}
        losses += bool(torn or again.missing([chunk.digest for blob in blobs for chunk in blob.chunks]))
    assert losses


@pytest.mark.parametrize(("number", "error"), [(FULL, DiskFull), (BROKEN, StoreFailed)], ids=["full", "broken"])
def test_a_step_that_fails(tmp_path: Path, number: int, error: type[StoreFailed]) -> None:
    for at in range(steps_of_putting(tmp_path)):
        folder = tmp_path / f"at{at}"
        disk = FaultyDisk()
        store = ChunkStore(folder, QUOTA, disk=disk)
        store.put(Chunk(digest_of(OLD), len(OLD)), OLD)
        used = store.statistics().used_bytes
        disk.fail_after(at, number)
        with pytest.raises(error):
            work(store)
        sound(store)
        # Nothing half-written stays, in the folder or in the accounts; and what was refused can be put again.
        assert os.listdir(folder / "incoming") == []
        store.drop_lease("push")
        store.collect([digest_of(OLD)], time.time() + COLLECT_GRACE_S + 1)
        assert store.statistics().used_bytes == used
        assert store.statistics().chunk_count == 1
        for blob, data in zip(work(store), NEW, strict=True):
            assert b"".join(map(store.get, blob.chunks)) == data


class Machine(RuleBasedStateMachine):
    """Any order of puts, faults, power cuts, rot and collections, beside a model of what was acknowledged."""

    DATA = tuple(b"%d" % number * (1 + 977 * number) for number in range(8))
    pick = st.integers(0, len(DATA) - 1)

    @initialize(folder=st.uuids())
    def start(self, folder: object) -> None:
        self.folder = self.root / str(folder) / str(time.monotonic_ns())
        self.now = time.time()
        self.promised: set[int] = set()
        self.disk = FaultyDisk()
        self.store = ChunkStore(self.folder, QUOTA, disk=self.disk)

    root: Path

    def chunk(self, number: int) -> Chunk:
        return Chunk(digest_of(self.DATA[number]), len(self.DATA[number]))

    def reopen(self) -> None:
        self.disk = FaultyDisk()
        self.store = ChunkStore(self.folder, QUOTA, disk=self.disk)

    @rule(number=pick)
    def put(self, number: int) -> None:
        self.store.put(self.chunk(number), self.DATA[number])
        self.promised.add(number)

    @rule(numbers=st.sets(pick))
    def ask(self, numbers: set[int]) -> None:
        missing = self.store.missing([self.chunk(number).digest for number in sorted(numbers)])
        assert not {self.chunk(number).digest for number in numbers & self.promised} & set(missing)

    @rule(number=pick, at=st.integers(0, 4), fault=st.sampled_from([FULL, BROKEN]))
    def put_with_a_fault(self, number: int, at: int, fault: int) -> None:
        self.disk.fail_after(at, fault)
        with suppress(StoreFailed):
            self.store.put(self.chunk(number), self.DATA[number])
            self.promised.add(number)
        self.disk.fail_after(-1)

    @rule(numbers=st.lists(pick, max_size=4), at=st.integers(0, 12), seed=st.integers(0, 99))
    def lose_power(self, numbers: list[int], at: int, seed: int) -> None:
        self.disk.fail_after(at)
        with suppress(PowerCut):
            for number in numbers:
                self.store.put(self.chunk(number), self.DATA[number])
                self.promised.add(number)
        self.disk.lose_power(random.Random(seed))
        self.reopen()

    @rule(kept=st.sets(pick))
    def collect(self, kept: set[int]) -> None:
        self.promised &= kept
        self.store.collect([self.chunk(number).digest for number in kept], time.time() + COLLECT_GRACE_S + 1)

    @precondition(lambda self: self.promised)
    @rule(data=st.data())
    def rot(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.promised)))
        digits = self.chunk(number).digest.removeprefix("sha256:")
        file = self.folder / "chunks" / digits[:2] / digits
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:-1])
        assert self.chunk(number).digest in set(self.store.scrub())
        self.promised.discard(number)

    @invariant()
    def what_was_promised_is_there(self) -> None:
        for number, data in enumerate(self.DATA):
            try:
                assert self.store.get(self.chunk(number)) == data
            except (BlobMissing, BlobCorrupt):  # rot that was put aside may be back after a power cut
                assert number not in self.promised

    @invariant()
    def accounts_are_those_of_the_disk(self) -> None:
        files = sum(len(names) for _, _, names in os.walk(self.folder / "chunks"))
        assert self.store.statistics().chunk_count == files


def test_any_order_of_events(tmp_path: Path) -> None:
    Machine.root = tmp_path
    case = Machine.TestCase
    case.settings = settings(
        max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case().runTest()


FULL_DISK = """
    import io, os, random, sys
    from pathlib import Path
    from registry.chunk_store import ChunkStore
    from registry.errors import DiskFull

    folder = Path(sys.argv[1]) / "store"
    store = ChunkStore(folder, 1 << 40, reserve_bytes=int(sys.argv[2]))
    noise = random.Random(1)
    kept = []
    try:
        while True:
            data = noise.randbytes(1_000_000)
            kept.append((store.put_file(io.BytesIO(data)), data))
    except DiskFull:
        pass
    assert kept and len(kept) <= 16, len(kept)
    assert os.listdir(folder / "incoming") == []
    again = ChunkStore(folder, 1 << 40, reserve_bytes=0)
    for blob, data in kept:
        assert b"".join(map(again.get, blob.chunks)) == data
    assert set(again.scrub()) == {None}
    print(again.statistics().free_bytes)
"""


@pytest.mark.parametrize("reserve", [0, 4 * MiB])
def test_a_real_disk_that_is_full(tmp_path: Path, reserve: int) -> None:
    """A tmpfs of 16 MiB in a mount namespace of its own, which needs no rights of root where users may have one."""
    mount = textwrap.dedent(
        """
        import ctypes, os, sys
        libc = ctypes.CDLL(None, use_errno=True)
        flags = 0x00020000 | (0x10000000 if os.geteuid() else 0)  # CLONE_NEWNS; CLONE_NEWUSER
        assert libc.unshare(flags) == 0, "no namespaces here"
        assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # MS_REC | MS_PRIVATE
        assert libc.mount(b"tmpfs", sys.argv[1].encode(), b"tmpfs", 0, b"size=16m") == 0
        """
    )
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", mount + textwrap.dedent(FULL_DISK), str(tmp_path / "disk"), str(reserve)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert reserve <= int(done.stdout) < reserve + 2 * MiB


PUTTING = """
    import io, random, sys, time
    from pathlib import Path
    from registry.chunk_store import ChunkStore

    store = ChunkStore(Path(sys.argv[1]), 1 << 30)
    order = random.Random(int(sys.argv[2]))
    for turn in range(3):
        numbers = list(range(60))
        order.shuffle(numbers)
        blobs = store.put_files(io.BytesIO(b"%d" % number * 5_000) for number in numbers)
        digests = [chunk.digest for blob in blobs for chunk in blob.chunks]
        store.lease("lease %s" % sys.argv[2], digests, time.time() + 60)
        store.collect([], time.time())
        assert not store.missing(digests)
        assert set(store.scrub()) == {None}
"""


def test_processes_that_share_a_store(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PUTTING), str(tmp_path / "store"), str(number)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for number in range(3)
    ]
    for child in children:
        _, errors = child.communicate()
        assert child.returncode == 0, errors
    store = ChunkStore(tmp_path / "store", QUOTA)
    assert len(list(store.scrub())) == store.statistics().chunk_count == 60
    assert store.statistics().lease_count == 3
    assert os.listdir(tmp_path / "store" / "incoming") == []
