from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edged import child
from tests.edged_command import edged_command


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As PyInstaller's loader sets it."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/cache/edged")


def test_from_a_venv() -> None:
    assert child.command("worker", "--fd", "3") == [sys.executable, "-P", "-m", "edged", "worker", "--fd", "3"]


@pytest.mark.usefixtures("frozen")
def test_from_the_one_file() -> None:
    assert child.command("worker", "--fd", "3") == ["/cache/edged", "worker", "--fd", "3"]


@pytest.mark.usefixtures("frozen")
def test_the_file_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGED_FILE", "/usr/local/lib/edged/edged-0")
    assert child.one_file() == Path("/usr/local/lib/edged/edged-0")
    monkeypatch.delenv("EDGED_FILE")
    assert child.one_file() is None


def test_a_venv_came_from_no_file_whatever_it_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGED_FILE", "/usr/local/lib/edged/edged-0")
    assert child.one_file() is None


def test_which_edged_tests_start() -> None:
    checkout = edged_command("up", Path("/app"), environment={})
    assert checkout == [sys.executable, "-P", "-m", "edged", "up", "/app"]
    assert edged_command("up", 1, environment={"EDGED_BIN": "/a/edged"}) == ["/a/edged", "up", "1"]
    assert edged_command(environment={"EDGED_BIN": "dist/edged"}) == [str(Path("dist/edged").absolute())]
    assert edged_command(environment={"EDGED_BIN": ""}) == edged_command(environment={})
