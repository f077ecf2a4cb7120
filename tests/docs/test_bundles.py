"""docs/bundles.md names every command and option of `edged bundle` and every key of a placement, and no others."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click

from edged.bundle.placement import Placement, parse_placement
from edged.cli.bundle import bundle

PAGE = (Path(__file__).parents[2] / "docs" / "bundles.md").read_text()


def test_commands_and_options() -> None:
    options = {
        option
        for command in bundle.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    } - {"--output"}  # the page has -o
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    assert named - {"--build", "--limit", "--bundle", "--sign"} == options, "those are of other commands"
    assert set(re.findall(r"edged bundle ([a-z-]+)", PAGE)) == set(bundle.commands)


def test_the_placement_of_the_page() -> None:
    (example,) = (block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "tool.edged" in block)
    placement = parse_placement(example.encode(), Path("spin.toml"))
    assert all(getattr(placement, field.name) for field in fields(Placement)), "the page shows every key"
