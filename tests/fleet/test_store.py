"""Records on disk: a crash, a fault or a torn write at any step, and what is there afterwards."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from edged.errors import RecordsUnusable
from edged.fleet.record import Key, Version
from edged.fleet.state import FleetState
from edged.fleet.store import FileOperations, RecordStore, Stored
from edged.limits import RECORD_HISTORY_COUNT_MAX
from tests.fleet.kit import NOW, root, roster, signed, state

SHOP = Key("deployment", "shop")


class Crash(BaseException):
    """The machine lost its power."""


class Faulty(FileOperations):
    """Goes well until a step, then crashes there (before it, in the middle, after it) or fails for good."""

    def __init__(self, step: int, how: str) -> None:
        self.left = step
        self.how = how
        self.steps: list[str] = []

    def _run(self, name: str, go: Callable[[], None], torn: Callable[[], None] | None = None) -> None:
        self.left -= 1
        self.steps.append(name)
        if self.left > 0:
            go()
        elif self.how == "fails":
            raise OSError(28, "No space left on device")
        elif self.how == "before":
            raise Crash
        elif self.how == "torn":
            (torn or go)()
            raise Crash
        else:
            go()
            raise Crash

    def make_folder(self, path: Path) -> None:
        self._run("make_folder", lambda: super(Faulty, self).make_folder(path))

    def write(self, path: Path, data: bytes) -> None:
        self._run(
            "write",
            lambda: super(Faulty, self).write(path, data),
            lambda: super(Faulty, self).write(path, data[: len(data) // 2]),
        )

    def rename(self, source: Path, target: Path) -> None:
        self._run("rename", lambda: super(Faulty, self).rename(source, target))

    def sync_folder(self, path: Path) -> None:
        self._run("sync_folder", lambda: super(Faulty, self).sync_folder(path))

    def remove(self, path: Path) -> None:
        self._run("remove", lambda: super(Faulty, self).remove(path))


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


def test_order_of_steps(tmp_path: Path) -> None:
    disk = Faulty(1_000, "after")
    store = RecordStore(tmp_path, disk)
    store.save(record(1))
    assert disk.steps[:6] == ["make_folder", "sync_folder", "sync_folder", "write", "rename", "sync_folder"]
    disk.steps.clear()
    store.save(record(2))
    assert disk.steps[:3] == ["write", "rename", "sync_folder"]


def test_history_is_bounded(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    for sequence in range(1, RECORD_HISTORY_COUNT_MAX + 1):
        store.save(record(sequence))
    assert len(store.history(SHOP)) == RECORD_HISTORY_COUNT_MAX
    store.save(record(RECORD_HISTORY_COUNT_MAX + 1))
    kept = [one.version.sequence for one in store.history(SHOP)]
    assert kept == list(range(RECORD_HISTORY_COUNT_MAX + 1, 1, -1))


@pytest.mark.parametrize("how", ["before", "torn", "after", "fails"])
def test_at_every_step_of_a_save(tmp_path: Path, how: str) -> None:
    """What was acknowledged is there; what was not is there whole or not at all; and the next save goes well."""
    for step in count(1):
        folder = tmp_path / str(step)
        RecordStore(folder).save(record(1, b"first"))
        disk = Faulty(step, how)
        is_acknowledged = False
        try:
            RecordStore(folder, disk).save(record(2, b"second"))
            is_acknowledged = True
        except (Crash, RecordsUnusable):
            pass
        loaded = RecordStore(folder).load()
        assert loaded.damaged == ()
        assert loaded.records in ((record(1, b"first"),), (record(2, b"second"),))
        assert not is_acknowledged or loaded.records == (record(2, b"second"),)
        assert not list(folder.rglob("*.new"))
        RecordStore(folder).save(record(3, b"third"))
        assert RecordStore(folder).load().records == (record(3, b"third"),)
        if is_acknowledged and disk.left > 0:
            break
    assert step > 3


@pytest.mark.parametrize("how", ["before", "torn", "after", "fails"])
def test_a_node_at_every_step(tmp_path: Path, how: str) -> None:
    """Through the whole of `FleetState`: no sequence ever decreases, and every start succeeds."""
    first, second, third = signed(), signed(sequence=2), signed(sequence=3)
    for step in count(1):
        folder = tmp_path / str(step)
        state(folder).accept(first, NOW)
        disk = Faulty(step, how)
        outcome = None
        with suppress(Crash, RecordsUnusable):
            outcome = FleetState(RecordStore(folder, disk), now=NOW).accept(second, NOW)
        fleet = FleetState(RecordStore(folder), now=NOW)
        head = fleet.head("shop")
        assert head is not None
        assert head.head.version.sequence >= (2 if outcome is not None and outcome.kind == "accepted" else 1)
        assert fleet.accept(third, NOW).kind == "accepted"
        assert fleet.accept(second, NOW).kind == "stale"
        assert fleet.alarms() == ()
        if outcome is not None and disk.left > 0:
            break
    assert step > 3


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
