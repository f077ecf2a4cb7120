"""Records on disk: a crash, a fault or a torn write at any step, and what is there afterwards."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.errors import RecordsUnusable
from edged.fleet.record import Key, Version
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore, Stored
from edged.limits import RECORD_HISTORY_COUNT_MAX
from tests.fleet.kit import NOW, root, roster, signed, state
from tests.simulator.crashes import crashes, failures
from tests.simulator.memory_disk import MemoryDisk

SHOP = Key("deployment", "shop")


FOLDER = Path("/records")


def record(sequence: int, envelope: bytes = b"record") -> Stored:
    return Stored(SHOP, Version(1, sequence), envelope, b"k" * 32, 7)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def file_of(folder: Path, sequence: int) -> Path:
    return folder / "deployment" / "shop" / f"{1:010}.{sequence:020}"


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    assert store.load().records == ()
    store.save(record(1))
    store.save(record(2, b"second"))
    loaded = RecordStore(tmp_path).load()
    assert loaded.records == (record(2, b"second"),)
    assert loaded.versions == {SHOP: Version(1, 2)}
    assert loaded.damaged == ()
    assert store.history(SHOP) == [record(2, b"second"), record(1)]
    assert file_of(tmp_path, 1).stat().st_mode & 0o777 == 0o600


def test_order_of_operations() -> None:
    disk = MemoryDisk()
    store = RecordStore(FOLDER, disk=disk)
    store.load()
    seen: list[str] = []
    disk.seen = lambda name, path: seen.append(name if "." in path.name else f"{name} {path.name}")
    store.save(record(1))
    made = ["make_folder deployment", "sync records", "sync deployment"]
    made += ["make_folder shop", "sync deployment", "sync shop"]
    assert seen == [*made, "write", "sync", "rename", "sync shop"]
    seen.clear()
    store.save(record(2))
    assert seen == ["write", "sync", "rename", "sync shop"]


def test_history_is_bounded(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    for sequence in range(1, RECORD_HISTORY_COUNT_MAX + 1):
        store.save(record(sequence))
    assert len(store.history(SHOP)) == RECORD_HISTORY_COUNT_MAX
    store.save(record(RECORD_HISTORY_COUNT_MAX + 1))
    kept = [one.version.sequence for one in store.history(SHOP)]
    assert kept == list(range(RECORD_HISTORY_COUNT_MAX + 1, 1, -1))


def saved_first(disk: MemoryDisk) -> RecordStore:
    store = RecordStore(FOLDER, disk=disk)
    store.load()
    store.save(record(1, b"first"))
    return store


def test_a_crash_at_every_operation_of_a_save() -> None:
    """What was acknowledged is there; what was not is there whole or not at all; and the next save goes well."""

    def work(store: RecordStore, promise: Callable[[int], None]) -> None:
        store.save(record(2, b"second"))
        promise(2)

    first, second = record(1, b"first"), record(2, b"second")
    for disk, promised in crashes(saved_first, work):
        store = RecordStore(FOLDER, disk=disk)
        loaded = store.load()
        assert loaded.damaged == ()
        assert loaded.records in ([(second,)] if promised else [(first,), (second,)])
        assert all("." not in path.name[:1] for path in disk.files())
        store.save(record(3, b"third"))
        assert RecordStore(FOLDER, disk=disk).load().records == (record(3, b"third"),)


def test_what_was_seen_after_a_kill_stays_after_a_power_cut() -> None:
    """A node that told others of a sequence must not come back with a lower one, acknowledged or not."""

    def work(store: RecordStore, promise: Callable[[int], None]) -> None:
        store.save(record(2, b"second"))

    for disk, _ in crashes(saved_first, work):
        seen = RecordStore(FOLDER, disk=disk).load().records
        for luck in range(4):
            disk.power_cut(random.Random(luck))
            assert RecordStore(FOLDER, disk=disk).load().records == seen


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_fault_at_every_operation_of_a_save(number: int) -> None:
    for disk, store, raised in failures(saved_first, lambda store: store.save(record(2, b"second")), number):
        assert raised is None or isinstance(raised, RecordsUnusable)
        loaded = RecordStore(FOLDER, disk=disk).load()
        assert loaded.damaged == ()
        assert raised is not None or loaded.records == (record(2, b"second"),)
        assert not [path for path in disk.files() if path.name.startswith(".")]
        store.save(record(3, b"third"))
        assert store.load().records == (record(3, b"third"),)


def loaded_first(disk: MemoryDisk) -> RecordStore:
    store = RecordStore(FOLDER, disk=disk)
    store.load()
    return store


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_what_is_saved_after_a_fault_stays_after_a_power_cut(number: int) -> None:
    """The first of its app: folders that a save which failed had made are durable with the next."""
    for luck in range(8):
        for disk, store, _ in failures(loaded_first, lambda store: store.save(record(1)), number):
            store.save(record(1))
            disk.power_cut(random.Random(luck))
            assert RecordStore(FOLDER, disk=disk).load().records == (record(1),)


def test_what_is_forgotten_keeps_its_number() -> None:
    """A crash on the way leaves that number or a higher one: nothing older is ever accepted."""

    def before(disk: MemoryDisk) -> RecordStore:
        store = saved_first(disk)
        for sequence in (2, 3):
            store.save(record(sequence))
        return store

    def work(store: RecordStore, promise: Callable[[Version], None]) -> None:
        store.forget(SHOP, Version(1, 3))
        promise(Version(1, 3))

    for disk, promised in crashes(before, work):
        store = RecordStore(FOLDER, disk=disk)
        loaded = store.load()
        assert loaded.versions == {SHOP: Version(1, 3)}
        assert not promised or loaded.records == ()
        assert not promised or loaded.damaged == ((SHOP, Version(1, 3)),)
        store.save(record(4))
        assert store.load().records == (record(4),)


def with_first(disk: MemoryDisk) -> FleetState:
    fleet = state(FOLDER, disk=disk)
    fleet.accept(signed(), NOW)
    return fleet


def test_a_node_that_crashes_at_every_operation() -> None:
    """Through the whole of `FleetState`: no sequence ever decreases, and every start succeeds."""

    def work(fleet: FleetState, promise: Callable[[int], None]) -> None:
        for sequence in (2, 3):
            assert fleet.accept(signed(sequence=sequence), NOW).kind == "accepted"
            promise(sequence)

    for disk, promised in crashes(with_first, work, power_cuts=2):
        fleet = state(FOLDER, disk=disk)
        head = fleet.head("shop")
        assert head is not None
        assert head.head.version.sequence >= max(promised, default=1)
        assert fleet.accept(signed(sequence=4), NOW).kind == "accepted"
        assert fleet.accept(signed(sequence=3), NOW).kind == "stale"
        assert fleet.alarms() == ()


def test_a_record_that_cannot_be_read_now_may_be_read_later() -> None:
    disk = MemoryDisk()
    store = saved_first(disk)
    disk.failing = 1.0
    with pytest.raises(RecordsUnusable):
        store.save(record(2))
    assert store.history(SHOP) == []
    disk.failing = 0.0
    assert store.history(SHOP) == [record(1, b"first")]


def test_a_damaged_record_is_put_aside_and_fetched_again(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    records = {sequence: signed(sequence=sequence) for sequence in (1, 2, 3)}
    for data in records.values():
        fleet.accept(data, NOW)
    damage(file_of(tmp_path, 3))
    for _ in range(2):  # a second start knows it still
        fleet = state(tmp_path)
        head = fleet.head("shop")
        assert head is not None
        assert head.head.version == Version(1, 2)
        assert [(alarm.code, alarm.subject) for alarm in fleet.alarms()] == [
            ("fleet.record-damaged", "deployment shop")
        ]
    other = signed(sequence=2, message="older than what was lost")
    assert fleet.accept(other, NOW).kind == "equivocation"
    assert fleet.accept(records[3], NOW).kind == "accepted"
    assert "fleet.record-damaged" not in [alarm.code for alarm in fleet.alarms()]
    assert state(tmp_path).alarms() == ()


def test_nothing_older_than_what_was_lost(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    fleet.accept(signed(sequence=7), NOW)
    damage(file_of(tmp_path, 7))
    fleet = state(tmp_path)
    assert fleet.head("shop") is None
    assert fleet.accept(signed(sequence=6), NOW).kind == "stale"
    assert fleet.accept(signed(sequence=7), NOW).kind == "accepted"


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    store.save(record(1))
    path = file_of(tmp_path, 1)
    data = path.read_bytes()
    for index in range(len(data)):
        path.write_bytes(data[:index] + bytes([data[index] ^ 0x40]) + data[index + 1 :])
        assert store.history(SHOP) == []
        path.with_name(path.name + ".damaged").unlink()
        path.write_bytes(data[:index])
        assert store.history(SHOP) == []
        path.with_name(path.name + ".damaged").unlink()
    path.write_bytes(data)
    assert store.history(SHOP) == [record(1)]


def test_a_record_in_another_ones_place(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    store.save(record(1))
    file_of(tmp_path, 1).rename(file_of(tmp_path, 2))
    assert store.load().records == ()


def test_a_damaged_roster(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    fleet.accept(signed(), NOW)
    [path] = (tmp_path / "roster" / "demo").iterdir()
    damage(path)
    fleet = FleetState(RecordStore(tmp_path), now=NOW)
    assert fleet.roster is None
    assert "shop" in fleet.deployments()  # what is served does not depend on it
    assert fleet.begin(roster().seal([root()]), NOW).kind == "accepted"
    assert fleet.alarms() == ()


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    store.save(record(1))
    for name in ("README", ".hidden", "0.0", "1.2.3"):
        (tmp_path / "deployment" / "shop" / name).write_text("x")
    (tmp_path / "deployment" / ".odd").mkdir()
    (tmp_path / "deployment" / "file").write_text("x")
    assert store.load().records == (record(1),)
    assert len(list((tmp_path / "deployment" / "shop").iterdir())) == 5


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("x")
    with pytest.raises(RecordsUnusable):
        RecordStore(tmp_path / "records").load()


def test_remove(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    store.save(record(1))
    store.save(record(2))
    store.remove(SHOP)
    assert store.load().records == ()
    store.save(record(1))
    assert store.load().records == (record(1),)
