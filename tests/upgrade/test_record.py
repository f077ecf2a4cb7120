"""What is remembered of upgrades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged.errors import UpgradeFolderError
from edged.limits import UPGRADE_RECORD_BYTES_MAX
from edged.upgrade.record import Record, RecordFile, UnderWay
from edged.upgrade.serving import Expected
from tests.registry.faulty_disk import FaultyDisk, PowerCut

A, B, C = "a" * 64, "b" * 64, "c" * 64
EXPECTED = Expected({"shop": 7}, ("ams",), {"203.0.113.10/32": "plain"})
FULL = Record(A, B, UnderWay(C, A, EXPECTED))


@pytest.mark.parametrize(
    "record", [Record(), Record(A), Record(A, B), Record(under_way=UnderWay(C, None)), FULL], ids=str
)
def test_it_comes_back(tmp_path: Path, record: Record) -> None:
    file = RecordFile(tmp_path / "upgrade.json")
    assert file.read() == Record()
    file.write(record)
    assert file.read() == record


@pytest.mark.parametrize("steps", range(4))
def test_power_is_lost(tmp_path: Path, steps: int) -> None:
    disk = FaultyDisk()
    file = RecordFile(tmp_path / "upgrade.json", disk)
    file.write(Record(A))
    disk.fail_after(steps)
    with pytest.raises(PowerCut):
        file.write(FULL)
    again = RecordFile(tmp_path / "upgrade.json")
    assert again.read() in (Record(A), FULL)
    again.write(FULL)
    assert again.read() == FULL


@pytest.mark.parametrize(
    "value",
    [
        [], {}, {"v": 2}, {"v": 1, "in_use": "../x"}, {"v": 1, "before": "A" * 64}, {"v": 1, "under_way": {}},
        {"v": 1, "under_way": {"to": A, "expected": {}}}, {"v": 1, "under_way": {"to": None}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_none(tmp_path: Path, value: Any) -> None:
    (tmp_path / "upgrade.json").write_text(json.dumps(value))
    with pytest.raises(UpgradeFolderError, match="no record of upgrades") as caught:
        RecordFile(tmp_path / "upgrade.json").read()
    assert "Remove" in caught.value.remedy


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "half", "not utf-8", "deep"])
def test_what_is_no_json(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "upgrade.json").write_bytes(data)
    with pytest.raises(UpgradeFolderError, match="no record of upgrades"):
        RecordFile(tmp_path / "upgrade.json").read()


@pytest.mark.parametrize("over", [0, 1])
def test_as_long_as_may_be(tmp_path: Path, over: int) -> None:
    text = json.dumps({"v": 1})
    (tmp_path / "upgrade.json").write_text(text + " " * (UPGRADE_RECORD_BYTES_MAX + over - len(text)))
    file = RecordFile(tmp_path / "upgrade.json")
    if over:
        with pytest.raises(UpgradeFolderError, match="too long"):
            file.read()
    else:
        assert file.read() == Record()


@pytest.mark.parametrize(
    ("record", "current", "back"),
    [
        (Record(), A, None),
        (Record(A, B), A, B),
        (Record(A, B), C, A),  # somebody changed the link by hand
        (Record(A, B), None, A),
        (FULL, C, A),
        (Record(A, B, UnderWay(C, None)), C, None),
    ],
    ids=str,
)
def test_where_back_leads(record: Record, current: str | None, back: str | None) -> None:
    assert record.way_back(current) == back
