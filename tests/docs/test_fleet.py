"""docs/fleet.md names every key of fleet.toml, every role and every command, and no other."""

from __future__ import annotations

import re

from edged.cli.fleet import fleet
from edged.fleet import fleet_toml
from edged.fleet.roster import ROLES
from tests.docs.tables import DOCS, names, rows

PAGE = "fleet.md"


def test_keys_of_fleet_toml() -> None:
    table = {names(cells[0])[0]: cells for cells in rows(PAGE, "key")}
    documented = {name for cells in table.values() for name in names(cells[0])}
    top = {name.split(".")[0].strip("[]") for name in documented}
    assert top == fleet_toml._TOP
    assert {name.removeprefix("root.") for name in documented if name.startswith("root.")} == fleet_toml._ROOT
    assert set(names(table["[[node]]"][1])) == fleet_toml._NODE
    assert set(names(table["[[key]]"][1])) - {"*"} == fleet_toml._KEY


def test_roles() -> None:
    assert tuple(names(cells[0])[0] for cells in rows(PAGE, "role")) == ROLES


def test_commands() -> None:
    text = (DOCS / PAGE).read_text()
    assert set(re.findall(r"edged fleet ([a-z-]+)", text)) == set(fleet.commands)
