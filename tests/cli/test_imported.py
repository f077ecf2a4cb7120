"""How commands are imported."""

from __future__ import annotations

import gc
from pathlib import Path

import click
import pytest

from edged import cli


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> click.Group:
    """With two more commands: one says whether there was a look-out for garbage meanwhile, one cannot be imported."""
    (tmp_path / "command_that_says.py").write_text("import gc, click\nsays = click.Command(str(gc.isenabled()))\n")
    (tmp_path / "command_that_fails.py").write_text("raise ValueError('not today')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli._COMMANDS, "says", "command_that_says")
    monkeypatch.setitem(cli._COMMANDS, "fails", "command_that_fails")
    assert isinstance(cli._edged, click.Group)
    return cli._edged


def test_nothing_looks_for_garbage_meanwhile_and_then_it_does(group: click.Group) -> None:
    command = group.get_command(click.Context(group), "says")
    assert command is not None
    assert command.name == "False"
    assert gc.isenabled()


def test_also_after_one_that_cannot_be_imported(group: click.Group) -> None:
    with pytest.raises(ValueError, match="not today"):
        group.get_command(click.Context(group), "fails")
    assert gc.isenabled()
