"""The disk in memory does what a real one does, and keeps over a power cut what it must and nothing for sure beside."""

from __future__ import annotations

import errno
import itertools
import operator
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.disk import BLOCK_BYTES, Disk, make_folders
from tests.simulator.memory_disk import MemoryDisk, PowerCut

A, B = Path("/a"), Path("/b")


# --- as a real disk ---

_counter = itertools.count()
_PATHS = ("a", "b", "f", "f/a", "f/b", "f/g", "f/g/a", "a/b", "h")
_path = st.sampled_from(_PATHS)
_OPERATIONS: dict[str, tuple[st.SearchStrategy[object], ...]] = {
    "write": (_path, st.binary(max_size=9)),
    "read": (_path, st.integers(0, 9)),
    "read_pieces": (_path, st.integers(0, 9)),
    "sync": (_path,),
    "sync_folder": (_path,),
    "rename": (_path, _path),
    "link": (_path, _path),
    "unlink": (_path,),
    "make_folder": (_path,),
    "remove_tree": (_path,),
    "exists": (_path,),
    "is_folder": (_path,),
    "names": (_path,),
    "entries": (_path,),
    "touch": (_path, st.integers(1, 10**6)),
}
_step = st.one_of(*(st.tuples(st.just(name), *kinds) for name, kinds in _OPERATIONS.items()))


def outcome(disk: Disk, root: Path, name: str, args: tuple[object, ...]) -> object:
    """What an operation returned, in a form that can be compared; or the number of its error."""
    given = [root / one if isinstance(one, str) else one for one in args]
    if name == "write":
        given[1] = [given[1]]
    try:
        found = getattr(disk, name)(*given)
        if name == "read_pieces":
            return b"".join(found)
        if name == "names":
            return sorted(found)
        if name == "entries":
            return sorted((each, status.st_mode) for each, status in found)
        return found
    except OSError as error:
        return error.errno


def everything(disk: Disk, folder: Path) -> dict[str, object]:
    """What is in a folder: bytes, links, modes and times of files; which are the same."""
    found: dict[str, object] = {}
    for name, status in disk.entries(folder):
        if disk.is_folder(folder / name):
            found |= {f"{name}/{below}": value for below, value in everything(disk, folder / name).items()}
            found[name] = status.st_mode
        else:
            time = status.st_mtime if status.st_mtime < 10**7 else None  # else that of the clock
            found[name] = (disk.read(folder / name, 99), status.st_nlink, status.st_mode, status.st_size, time)
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(_step, max_size=25))
def test_the_same_operations_have_the_same_results(tmp_path: Path, steps: list[tuple[object, ...]]) -> None:
    real, memory = Disk(), MemoryDisk()
    root = tmp_path / str(next(_counter))
    for disk in (real, memory):
        make_folders(disk, root, ())
    for name, *args in steps:
        assert outcome(real, root, str(name), tuple(args)) == outcome(memory, root, str(name), tuple(args)), name
    assert everything(real, root) == everything(memory, root)
    assert memory.used_bytes == len({memory.status(path).st_ino for path in memory.files()}) * BLOCK_BYTES


def test_a_name_may_have_255_bytes(tmp_path: Path) -> None:
    for disk, root in ((Disk(), tmp_path), (MemoryDisk(), Path("/"))):
        disk.write(root / ("ä" * 127 + "b"), [b""])
        with pytest.raises(OSError, match="too long"):
            disk.write(root / ("ä" * 128), [b""])


# --- over a power cut ---


def after_power_cuts(work: Callable[[MemoryDisk], None], count: int = 200) -> set[tuple[tuple[str, bytes], ...]]:
    """Every content that the disk was seen to have."""
    seen = set()
    for luck in range(count):
        disk = MemoryDisk()
        disk.make_folder(Path("/f"))
        disk.make_folder(Path("/g"))
        disk.sync_folder(Path("/"))
        work(disk)
        disk.power_cut(random.Random(luck))
        seen.add(tuple(sorted((str(path), data) for path, data in disk.files().items())))
    return seen


def test_what_was_synced_stays() -> None:
    def work(disk: MemoryDisk) -> None:
        disk.write(A, [b"12", b"3"])
        disk.sync(A)
        disk.sync_folder(Path("/"))

    assert after_power_cuts(work) == {(("/a", b"123"),)}


def test_bytes_that_were_not_synced_are_lost_whole_or_torn() -> None:
    def work(disk: MemoryDisk) -> None:
        disk.write(A, [b"12"])
        disk.sync_folder(Path("/"))

    assert after_power_cuts(work) == {(("/a", data),) for data in (b"", b"1", b"12", b"\0\0")}


def test_blocks_are_written_in_any_order() -> None:
    first, second = b"1" * BLOCK_BYTES, b"2" * 10

    def work(disk: MemoryDisk) -> None:
        disk.write(A, [first, second])
        disk.sync_folder(Path("/"))

    seen = after_power_cuts(work)
    assert (("/a", bytes(BLOCK_BYTES) + second),) in seen
    assert (("/a", first + bytes(10)),) in seen


def test_a_name_that_was_not_synced_may_be_lost_although_its_bytes_were() -> None:
    def work(disk: MemoryDisk) -> None:
        disk.write(A, [b"1"])
        disk.sync(A)

    assert after_power_cuts(work) == {(), (("/a", b"1"),)}


def test_a_folder_that_was_not_synced_takes_what_is_in_it() -> None:
    def work(disk: MemoryDisk) -> None:
        disk.make_folder(Path("/h"))
        disk.write(Path("/h/a"), [b"1"])
        disk.sync(Path("/h/a"))
        disk.sync_folder(Path("/h"))

    assert after_power_cuts(work) == {(), (("/h/a", b"1"),)}


def test_names_of_one_folder_are_lost_from_the_end() -> None:
    def work(disk: MemoryDisk) -> None:
        for path in (A, B):
            disk.write(path, [b"1"])
            disk.sync(path)

    assert after_power_cuts(work) == {(), (("/a", b"1"),), (("/a", b"1"), ("/b", b"1"))}


def test_folders_lose_names_apart() -> None:
    def work(disk: MemoryDisk) -> None:
        for path in (Path("/f/a"), Path("/g/a")):
            disk.write(path, [b"1"])
            disk.sync(path)

    one, other = ("/f/a", b"1"), ("/g/a", b"1")
    assert after_power_cuts(work) == {(), (one,), (other,), (one, other)}


def test_a_rename_between_folders_happens_whole_or_not_at_all() -> None:
    def work(disk: MemoryDisk) -> None:
        disk.write(Path("/f/a"), [b"1"])
        disk.sync(Path("/f/a"))
        disk.sync_folder(Path("/f"))
        disk.rename(Path("/f/a"), Path("/g/a"))

    assert after_power_cuts(work) == {(("/f/a", b"1"),), (("/g/a", b"1"),)}


@pytest.mark.parametrize("synced", ["/f", "/g"])
def test_a_rename_is_durable_by_either_folder(synced: str) -> None:
    def work(disk: MemoryDisk) -> None:
        disk.write(Path("/f/a"), [b"1"])
        disk.sync(Path("/f/a"))
        disk.rename(Path("/f/a"), Path("/g/a"))
        disk.sync_folder(Path(synced))

    assert after_power_cuts(work) == {(("/g/a", b"1"),)}


def test_what_was_replaced_or_removed_may_come_back() -> None:
    def work(disk: MemoryDisk) -> None:
        for path, data in ((A, b"1"), (B, b"2")):
            disk.write(path, [data])
            disk.sync(path)
        disk.sync_folder(Path("/"))
        disk.rename(B, A)
        disk.unlink(A)

    assert after_power_cuts(work) == {(("/a", b"1"), ("/b", b"2")), (("/a", b"2"),), ()}


def test_links_are_counted_anew() -> None:
    seen = set()
    for luck in range(20):
        disk = MemoryDisk()
        disk.write(A, [b"1"])
        disk.sync(A)
        disk.sync_folder(Path("/"))
        disk.link(A, B)
        assert disk.status(A).st_nlink == 2
        disk.power_cut(random.Random(luck))
        assert disk.used_bytes == BLOCK_BYTES
        seen.add((disk.status(A).st_nlink, disk.exists(B)))
    assert seen == {(1, False), (2, True)}


def test_a_time_that_was_not_synced_may_be_the_former() -> None:
    seen = set()
    for luck in range(20):
        disk = MemoryDisk()
        disk.write(A, [b"1"])
        disk.touch(A, 5.0)
        disk.sync(A)
        disk.sync_folder(Path("/"))
        disk.touch(A, 9.0)
        disk.power_cut(random.Random(luck))
        seen.add(disk.status(A).st_mtime)
    assert seen == {5.0, 9.0}


def test_a_kill_loses_nothing_and_frees_the_locks() -> None:
    disk = MemoryDisk()
    lock = disk.lock(Path("/lock"))
    disk.write(A, [b"1"])
    lock.__enter__()
    disk.halt()
    with pytest.raises(PowerCut):
        disk.read(A, 1)
    disk.process_killed()
    assert disk.read(A, 1) == b"1"
    with disk.lock(Path("/lock")):
        pass


def test_the_same_seed_is_the_same_disk() -> None:
    def run() -> tuple[list[str], dict[Path, bytes]]:
        disk = MemoryDisk(random.Random(7))
        disk.failing = 0.3
        trace: list[str] = []
        disk.seen = lambda name, path: trace.append(f"{name} {path}")
        for number in range(50):
            path = Path(f"/{number}")
            try:
                disk.write(path, [b"123456789" * 1000])
                disk.sync(path)
            except OSError as error:
                trace.append(str(error))
        disk.power_cut(random.Random(8))
        return trace, disk.files()

    assert run() == run()


# --- faults ---


def test_the_operation_that_crashes_and_all_after_it() -> None:
    disk = MemoryDisk()
    disk.crash_after(2)
    disk.write(A, [b"1"])
    with pytest.raises(PowerCut):
        disk.rename(A, B)
    assert disk.is_dead
    works: list[Callable[[], object]] = [lambda: disk.read(A, 1), lambda: disk.touch(A), lambda: disk.names(A.parent)]
    for work in works:
        with pytest.raises(PowerCut):
            work()
    disk.process_killed()
    assert disk.files() == {A: b"1"}
    assert disk.operations == 2


def test_a_write_that_crashes_leaves_a_part() -> None:
    seen = set()
    for luck in range(40):
        disk = MemoryDisk(random.Random(luck))
        disk.crash_after(1)
        with pytest.raises(PowerCut):
            disk.write(A, [b"12"])
        disk.process_killed()
        seen.add(disk.read(A, 2))
    assert seen == {b"", b"1", b"12"}


def test_one_operation_fails() -> None:
    disk = MemoryDisk()
    disk.fail_after(2, errno.EDQUOT)
    disk.write(A, [b"1"])
    with pytest.raises(OSError, match="quota") as caught:
        disk.write(B, [b"1"])
    assert caught.value.errno == errno.EDQUOT
    disk.sync(A)


def test_room_for_so_many_blocks_and_not_one_more() -> None:
    disk = MemoryDisk(bytes_max=2 * BLOCK_BYTES)
    disk.write(A, [b"1" * (BLOCK_BYTES + 1)])
    assert disk.free_bytes(A) == 0
    with pytest.raises(OSError, match="space"):
        disk.write(B, [b"1"])
    disk.unlink(B)  # what there was room for
    disk.unlink(A)
    disk.write(A, [b"1" * 2 * BLOCK_BYTES])


def test_a_full_disk_takes_names_away_but_no_bytes() -> None:
    disk = MemoryDisk()
    disk.write(A, [b"1"])
    disk.full = True
    assert disk.free_bytes(A) == 0
    with pytest.raises(OSError, match="space"):
        disk.write(B, [b"1"])
    with pytest.raises(OSError, match="space"):
        disk.make_folder(Path("/f"))
    disk.unlink(A)


def test_a_sync_that_failed_is_not_made_good_by_the_next() -> None:
    losses = 0
    for luck in range(20):
        disk = MemoryDisk()
        disk.write(A, [b"1"])
        disk.sync_folder(Path("/"))
        disk.fail_after(1, errno.EIO)
        with pytest.raises(OSError, match="put/output"):
            disk.sync(A)
        disk.sync(A)
        disk.power_cut(random.Random(luck))
        losses += disk.read(A, 1) != b"1"
    assert losses


def test_a_sync_that_lies_is_counted() -> None:
    losses = 0
    for luck in range(20):
        disk = MemoryDisk()
        disk.lost_writes = 1.0
        disk.write(A, [b"1"])
        disk.sync(A)
        disk.sync_folder(Path("/"))
        assert disk.lies == 2
        disk.power_cut(random.Random(luck))
        losses += disk.files() != {A: b"1"}
    assert losses


def test_faults_of_a_rate() -> None:
    disk = MemoryDisk()
    disk.write(A, [b"1"])
    disk.failing = 0.5
    seen = {outcome(disk, Path("/"), "read", ("a", 1)) for _ in range(100)}
    assert seen == {b"1", errno.EIO}
    disk.heal()
    assert [disk.read(A, 1) for _ in range(100)] == [b"1"] * 100


def test_rot_turns_one_bit_of_a_durable_file() -> None:
    disk = MemoryDisk()
    assert disk.rot(random.Random(1)) is None
    assert disk.rot(random.Random(1), Path("/nowhere")) is None
    disk.write(A, [b"123"])
    assert disk.rot(random.Random(1)) is None
    disk.sync(A)
    assert disk.rot(random.Random(1), Path("/")) == A
    changed = int.from_bytes(disk.read(A, 3)) ^ int.from_bytes(b"123")
    assert changed.bit_count() == 1


def test_a_file_on_a_bad_sector_may_have_other_names_but_not_be_read() -> None:
    disk = MemoryDisk()
    disk.write(A, [b"1"])
    disk.spoil(A)
    disk.rename(A, B)
    with pytest.raises(OSError, match="put/output"):
        disk.read(B, 1)
    disk.write(A, [b"1"])
    assert disk.read(A, 1) == b"1"


def test_a_lock_that_would_wait_for_ever() -> None:
    disk = MemoryDisk()
    lock, same = disk.lock(Path("/lock")), disk.lock(Path("/lock"))
    with lock, pytest.raises(AssertionError, match="for ever"), same:
        pass


def test_work_is_done_in_line_and_in_order() -> None:
    done: list[int] = []
    with MemoryDisk().writers("x") as pool:
        futures = [pool.submit(done.append, number) for number in range(3)]
        assert done == [0, 1, 2]
        assert list(pool.map(lambda number: number + 1, [1, 2])) == [2, 3]
        failed = pool.submit(operator.truediv, 1, 0)
    assert [future.result() for future in futures] == [None] * 3
    assert isinstance(failed.exception(), ZeroDivisionError)


def test_names_that_nobody_syncs_are_written_back_in_the_end() -> None:
    disk = MemoryDisk()
    for number in range(5_000):
        disk.write(Path(f"/{number}"), [b""])
    disk.power_cut(random.Random(1))
    assert len(disk.files()) >= 4_000
