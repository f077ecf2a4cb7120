from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.guests import cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "CACHE", tmp_path / "guests")
    return tmp_path / "guests"


def write(path: Path) -> None:
    path.write_text("made")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "tool").write_text("made")


def refuse(path: Path) -> None:
    raise AssertionError(f"{path} is made again")


def fail(path: Path) -> None:
    path.write_text("half")
    raise OSError("disk full")


@pytest.mark.parametrize(("suffix", "make"), [(".wasm", write), ("", make_folder)])
def test_an_entry_is_made_once(suffix: str, make: object) -> None:
    assert callable(make)
    first = cache.entry("guest", "0" * 16, suffix, make)
    assert first.exists()
    assert cache.entry("guest", "0" * 16, suffix, refuse) == first


def test_another_key_is_made_and_removes_the_older_but_no_other_guest(folder: Path) -> None:
    old = cache.entry("guest", "0" * 16, ".wasm", write)
    longer_name = cache.entry("guest-two", "0" * 16, ".wasm", write)
    new = cache.entry("guest", "1" * 16, ".wasm", write)
    assert not old.exists()
    assert new.exists()
    assert longer_name.exists()


@pytest.mark.parametrize("suffix", [".wasm", ""])
def test_what_failed_is_made_again(suffix: str) -> None:
    with pytest.raises(OSError, match="disk full"):
        cache.entry("guest", "0" * 16, suffix, fail)
    make = write if suffix else make_folder
    assert cache.entry("guest", "0" * 16, suffix, make).exists()


def test_many_at_once_make_one() -> None:
    made: list[Path] = []
    begun = threading.Barrier(8)

    def make(path: Path) -> None:
        made.append(path)
        write(path)

    def ask(_: int) -> Path:
        begun.wait()
        return cache.entry("guest", "0" * 16, ".wasm", make)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert len(made) == 1


def test_who_makes_is_told_of() -> None:
    told: list[tuple[str, str]] = []

    def report(name: str, event: str) -> None:
        told.append((name, event.partition(" in ")[0]))

    cache.entry("guest", "0" * 16, ".wasm", write, report)
    cache.entry("guest", "0" * 16, ".wasm", write, report)
    assert told == [("guest", "building"), ("guest", "built")]


def test_a_key_depends_on_content_on_names_and_on_where_one_part_ends(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("content")
    two.write_text("content")
    keys = [cache.key(parts) for parts in ([one], [two], [one, two], ["content"], ["con", "tent"], [])]
    assert len(set(keys)) == len(keys)
    assert cache.key([one]) == keys[0]
    one.write_text("changed")
    assert cache.key([one]) != keys[0]
