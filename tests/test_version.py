from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edged import version


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["version"] == version.VERSION


def test_a_checkout_has_no_commit() -> None:
    assert version.COMMIT == ""
    assert version.full() == version.VERSION


def test_what_a_build_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "COMMIT", "0123456789ab")
    assert version.full() == f"{version.VERSION} (commit 0123456789ab)"
