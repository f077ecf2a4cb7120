"""docs/node.md and docs/status.md name every key of a node.toml and of the status, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from edged.cli.node import node
from edged.node import status_view
from edged.node.config_file import LIMITS, Context, parse, tables
from edged.node.stores import __doc__ as layout
from tests.docs.tables import DOCS, names, rows

PAGE = "node.md"
TABLES = tables(Context(Path("/")))


def test_keys() -> None:
    documented = [(names(table)[0], names(key)[0], key.startswith("**")) for table, key, _what in rows(PAGE, "table")]
    known = [
        (table, key, field.required)
        for table, keys in TABLES.items()
        if table != "limits"
        for key, field in keys.items()
    ]
    assert sorted(documented) == sorted([*known, ("limits", "memory_bytes_max", False)])


def test_limits() -> None:
    (said,) = re.findall(r"All keys of `\[limits\]`:(.*?)\.\n", (DOCS / PAGE).read_text(), re.DOTALL)
    assert tuple(names(said)) == LIMITS
    assert set(TABLES["limits"]) == set(LIMITS)


def test_the_example() -> None:
    page = (DOCS / PAGE).read_text()
    example = "\n".join(line[4:] for line in page.split("\n## ")[0].splitlines() if line.startswith("    "))
    config = parse(example.encode(), DOCS / "node.toml")
    assert (config.node.name, config.node.region, len(config.certificates)) == ("fra1", "eu", 1)


def test_folders() -> None:
    documented = {names(folder)[0] for folder, _what in rows(PAGE, "folder")}
    assert layout is not None
    assert documented == set(re.findall(r"^ *(\w+)/", layout, re.MULTILINE))


def keys_of(title: str) -> set[str]:
    return {name for cells in rows("status.md", title) for name in names(cells[0])}


def test_status() -> None:
    shapes = {
        "key": status_view.StatusView,
        "key of `fleet`": status_view.FleetView,
        "key of `regions`": status_view.RegionView,
        "key of `nodes`": status_view.NodeView,
        "key of `apps`": status_view.AppView,
        "key of `apps.nodes`": status_view.AppNodeView,
        "key of `watch`": status_view.RolloutView,
    }
    for title, shape in shapes.items():
        assert keys_of(title) == {field.name for field in fields(shape)}, title


def test_stages() -> None:
    assert keys_of("stage") == set(status_view.Stage.__args__)


@pytest.mark.parametrize("name", ["backup", "restore", "reseed"])
def test_options(name: str) -> None:
    documented = {names(cells[0])[0].split()[0] for cells in rows(PAGE, f"option of `node {name}`")}
    options = {text for option in node.commands[name].params for text in option.opts if text.startswith("-")}
    assert documented == options
