"""docs/upgrade.md names every option, step, event and field of `edged upgrade`, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import get_args

import click

from edged.cli.upgrade import upgrade
from edged.limits import UPGRADE_WATCH_S
from edged.upgrade.event import Stepped, Upgraded
from edged.upgrade.steps import Outcome, Step
from provisioning import paths
from tests.docs.tables import DOCS, names, rows

PAGE = "upgrade.md"
TEXT = (DOCS / PAGE).read_text()


def test_options() -> None:
    documented = {names(cells[0])[0].split()[0] for cells in rows(PAGE, "option of `upgrade`")}
    options = [param for param in upgrade.params if isinstance(param, click.Option)]
    assert documented == {text for option in options for text in option.opts if text.startswith("--")}
    assert [option.name for option in options if not option.help] == []


def test_what_options_are_if_nobody_says() -> None:
    said = {names(cells[0])[0].split()[0]: cells[1] for cells in rows(PAGE, "option of `upgrade`")}
    for option, value in {
        "--timeout": f"{UPGRADE_WATCH_S:g}",
        "--unit": "edged.service",
        "--config": str(paths.CONFIG),
        "--command": str(paths.COMMAND),
        "--versions": str(paths.BINARIES),
    }.items():
        assert value in said[option]
        assert option in {
            text for each in upgrade.params if str(each.default) in (value, f"{value}.0") for text in each.opts
        }


def test_steps_and_outcomes() -> None:
    forward = [names(cells[0])[0] for cells in rows(PAGE, "step")]
    others = set(get_args(Step)) - set(forward)
    assert set(forward) <= set(get_args(Step))
    assert [step for step in others if f"`{step}`" not in TEXT] == []
    shown: tuple[Outcome, ...] = ("upgraded", "switched")
    assert [outcome for outcome in shown if f"`{outcome}`" not in TEXT] == []


def test_events_and_fields() -> None:
    documented = {names(cells[0])[0]: names(cells[1]) for cells in rows(PAGE, "event")}
    own = {"error": ["code", "message", "remedy"]}
    assert documented == {kind.name: [field.name for field in fields(kind)] for kind in (Stepped, Upgraded)} | own


def test_exit_statuses() -> None:
    statuses = {names(cells[0])[0]: int(cells[1]) for cells in rows("errors.md", "code")}
    named = re.findall(r"`(upgrade\.[a-z-]+)` \((\d+)\)", TEXT)
    assert named
    assert [(code, status) for code, status in named if statuses[code] != int(status)] == []
