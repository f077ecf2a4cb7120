"""docs/provisioning.md names every key, provider, command and option of provisioning, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from edged.cli.provision import provision
from edged.node.config_file import parse
from provisioning import paths
from provisioning.files import node_toml
from provisioning.inventory import _FILLED_IN, TABLES, read
from provisioning.limits import USER_DATA_BYTES_MAX
from provisioning.providers.provider import PROVIDERS
from provisioning.render import render
from provisioning.terraform import main_tf_json
from tests.docs.tables import DOCS, names, rows
from tests.provisioning.inventories import SSH_KEY, VOUCHER

PAGE = "provisioning.md"
TEXT = (DOCS / PAGE).read_text()


def test_keys() -> None:
    documented = [(names(table)[0], names(key)[0], key.startswith("**")) for table, key, _what in rows(PAGE, "table")]
    known = [(table, key, field.required) for table, keys in TABLES.items() for key, field in keys.items()]
    assert sorted(documented) == sorted(known)


def test_what_follows_from_the_machine() -> None:
    (said,) = re.findall(r"Of node\.toml, (.*?) follow from", TEXT, re.DOTALL)
    assert {tuple(name.split(".")) for name in names(said)} == set(_FILLED_IN)


def test_providers() -> None:
    table = {names(cells[0])[0]: cells for cells in rows(PAGE, "provider")}
    assert table.keys() == PROVIDERS.keys()
    for name, (_, network, metadata, packages, terraform) in table.items():
        provider = PROVIDERS[name]
        assert ("[machine.network]" in network) == provider.takes_network
        assert ("names no peer" in metadata) == provider.tells_routers
        assert tuple(names(packages)) == provider.packages
        assert bool(names(terraform)) == (provider.terraform is not None)


def test_the_example() -> None:
    head = TEXT.split("\n`edged provision render ams-2`")[0]
    example = "\n".join(line[4:] for line in head.splitlines() if line.startswith("    "))
    inventory = read(example, PAGE)
    assert [machine.name for machine in inventory.machines] == ["ams-2", "lax-1"]
    for machine in inventory.machines:
        parse(node_toml(machine).encode(), Path(paths.CONFIG))
        size = len(render(machine, VOUCHER, [SSH_KEY]).user_data.encode())
    (said,) = re.findall(r"three\sseeds has ([0-9.]+) KiB", TEXT)
    assert float(said) * 1024 == pytest.approx(size, abs=200)
    assert f"{USER_DATA_BYTES_MAX // 1024} KiB" in TEXT
    assert "vultr_bare_metal_server" in main_tf_json(inventory.machines)


def test_commands() -> None:
    assert set(re.findall(r"edged provision ([a-z]+)", TEXT)) == set(provision.commands)


@pytest.mark.parametrize("name", provision.commands)
def test_options(name: str) -> None:
    documented = [
        word for cells in rows(PAGE, f"option of `{name}`") for text in names(cells[0]) for word in text.split()[:1]
    ]
    options = [
        text
        for option in provision.commands[name].params
        if isinstance(option, click.Option)
        for text in option.opts
        if text.startswith("-")
    ]
    assert sorted(documented) == sorted(options)
    assert [
        option.name
        for option in provision.commands[name].params
        if isinstance(option, click.Option) and not option.help
    ] == []
