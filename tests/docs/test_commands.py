"""docs/commands.md names every command about a fleet and every option of it, and no other; docs/push.md its events."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import import_module

import click
import pytest

from edged.cli import _COMMANDS
from edged.up.event import Building, Built
from tests.docs.tables import DOCS, events_of, names, rows

PAGE = "commands.md"
OF_ALL = {"--fleet", "--json"}
COMMANDS = {
    name: getattr(import_module(_COMMANDS[name]), name)
    for name in (
        "login", "push", "apps", "status", "releases", "rollback", "logs", "variables", "remove",
        "drain", "undrain", "completion", "bench",
    )
}  # fmt: skip


def leaves() -> dict[str, click.Command]:
    """`variables set` and the like in place of groups."""
    found: dict[str, click.Command] = {}
    for name, command in COMMANDS.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": inner for sub, inner in command.commands.items()}
        else:
            found[name] = command
    return found


def test_every_command_has_its_section() -> None:
    assert re.findall(r"(?m)^## (\S+)$", (DOCS / PAGE).read_text()) == list(COMMANDS)


@pytest.mark.parametrize("name", leaves())
def test_options(name: str) -> None:
    documented = {
        word for cells in rows(PAGE, f"option of `{name}`") for text in names(cells[0]) for word in text.split()[:1]
    }
    command = leaves()[name]
    options = {text for option in command.params for text in option.opts if text.startswith("-")}
    if name not in ("login", "completion"):
        assert options >= OF_ALL
        options -= OF_ALL
    assert documented == options


def test_options_of_all() -> None:
    assert {names(cells[0])[0].split()[0] for cells in rows(PAGE, "option of all")} == OF_ALL


@pytest.mark.parametrize("name", leaves())
def test_help(name: str) -> None:
    command = leaves()[name]
    assert command.help
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []


def test_events_and_fields() -> None:
    documented = {names(cells[0])[0]: names(cells[1]) for cells in rows("push.md", "event")}
    kinds = {kind.name: kind for kind in (*events_of("edged.publish.event"), Building, Built)}
    own = {"error": ["code", "message", "remedy"]}
    assert documented == {name: [field.name for field in fields(kind)] for name, kind in kinds.items()} | own
