"""docs/operating.md: its fleet.toml can be rendered, its commands exist with their options, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from importlib import import_module

import click
import pytest

from edged.cli import _COMMANDS
from provisioning.inventory import read
from provisioning.render import render
from tests.docs.tables import DOCS

TEXT = (DOCS / "operating.md").read_text()
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EDGED = re.compile(r"(?:^|[\s\"])edged ((?!-)\w.*)$")
_HEAD = 'fleet = "demo"\nregions = ["eu", "us"]\nprefixes = ["203.0.113.10/32"]\n'


def blocks(language: str) -> list[str]:
    return [text for name, text in _FENCE.findall(TEXT) if name == language]


def edged_commands() -> list[str]:
    """What is typed after `edged`, here or by ssh there; of loops and of `&&` each on its own."""
    typed = [line.partition("$ ")[2] for text in blocks("console") for line in text.splitlines() if "$ " in line]
    parts = (part for line in typed for part in re.split(r"&&|;", line))
    found = (match[1] for part in parts if (match := _EDGED.search(part.strip())))
    # The end of what ssh is given in quotes, whose beginning is not ours.
    return [text.removesuffix('"') if text.count('"') % 2 else text for text in found]


COMMANDS = edged_commands()


def test_fleet_toml_is_one() -> None:
    (fleet, https) = blocks("toml")
    before, after = fleet.split("[provision.node.bgp]")
    for text in (fleet, f"{before}{https}[provision.node.bgp]{after}"):
        inventory = read(_HEAD + text, "fleet.toml")
        assert {machine.name: machine.begins for machine in inventory.machines} == {"ams-1": True, "nyc-1": False}
        for machine in inventory.machines:
            assert render(machine, None if machine.begins else "voucher", ["ssh-ed25519 AAAA"]).user_data


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 15
    assert {command.split()[0] for command in COMMANDS} >= {"fleet", "provision", "login", "push", "status", "doctor"}


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_is_one(text: str) -> None:
    words = [word for word in shlex.split(text) if word not in ("|", ">")]
    name = words.pop(0)
    command: click.Command = getattr(import_module(_COMMANDS[name]), name)
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert not (isinstance(command, click.Group) and words)
    known = {option for param in command.params for option in param.opts}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", TEXT))))
def test_a_link_leads_somewhere(target: str) -> None:
    assert (DOCS / target).is_file()
