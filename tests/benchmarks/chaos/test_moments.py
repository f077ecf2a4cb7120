"""The moment at which a file is written is noticed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmarks.chaos.moments import MOMENTS, Arrivals, Happens, Says, is_said


@pytest.mark.parametrize("happens", ["begun", "named"])
def test_a_file_that_is_written_whole(tmp_path: Path, happens: Happens) -> None:
    """As stores write: beside, then with its name. Both have happened when it is looked for."""
    (tmp_path / "deep").mkdir()
    with Arrivals(tmp_path) as arrivals:
        (tmp_path / "deep" / "beside").write_bytes(b"bytes")
        (tmp_path / "deep" / "beside").rename(tmp_path / "deep" / "name")
        found = arrivals.wait(happens, lambda: False)
    assert found == tmp_path / "deep" / ("beside" if happens == "begun" else "name")


def test_a_folder_that_came_later(tmp_path: Path) -> None:
    with Arrivals(tmp_path) as arrivals:
        (tmp_path / "app").mkdir()
        asked = threading.Event()

        def write_when_asked() -> None:
            asked.wait()
            (tmp_path / "app" / "file").write_bytes(b"")

        writer = threading.Thread(target=write_when_asked)
        writer.start()
        asks = iter(range(1_000))

        def give_up() -> bool:
            """The folder was seen in the turn before."""
            if next(asks) == 1:
                asked.set()
            return False

        assert arrivals.wait("begun", give_up) == tmp_path / "app" / "file"
        writer.join()


def test_nothing_comes(tmp_path: Path) -> None:
    with Arrivals(tmp_path) as arrivals:
        assert arrivals.wait("begun", lambda: True) is None


def test_what_was_there_before_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    turns = iter([False, True])
    with Arrivals(tmp_path) as arrivals:
        assert arrivals.wait("begun", lambda: next(turns)) is None


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    turns = iter([False, True])
    with Arrivals(tmp_path / "none") as arrivals:
        assert arrivals.wait("begun", lambda: next(turns)) is None


def test_what_a_node_says() -> None:
    moment = MOMENTS["an app is compiled"]
    assert isinstance(moment, Says)
    assert is_said(moment, {"event": "rollout.stage", "stage": "compile"})
    assert not is_said(moment, {"event": "rollout.stage", "stage": "fetch"})
    assert not is_said(moment, {"text": "compile"})
