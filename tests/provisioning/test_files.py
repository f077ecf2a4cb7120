"""What stands on a machine."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from bgp.metadata import provider as metadata
from edged.node.config import NodeConfig
from edged.node.config_file import parse
from provisioning import paths
from provisioning.files import TEMPLATES, machine_files, node_document, node_toml
from provisioning.inventory import of_provider
from provisioning.machine import Machine
from provisioning.providers.provider import PROVIDERS
from tests.provisioning.inventories import TEXT, machine

NAMES = ["ams-1", "ams-2", "nyc-1", "lax-1"]


def content(machine: Machine, path: object) -> str:
    (found,) = [file.content for file in machine_files(machine) if file.path == str(path)]
    return found


def as_edged_reads_it(machine: Machine) -> NodeConfig:
    return parse(content(machine, paths.CONFIG).encode(), Path(paths.CONFIG))


@pytest.mark.parametrize("name", NAMES)
def test_edged_takes_the_node_toml(name: str) -> None:
    of = machine(name)
    config = as_edged_reads_it(of)
    assert (config.node.name, config.node.region, config.node.state_dir) == (of.name, of.region, Path(paths.STATE))
    assert config.fleet.voucher == (None if of.begins else Path(paths.VOUCHER))
    assert config.fleet.roster == (Path(paths.ROSTER) if of.begins else None)
    assert tomllib.loads(node_toml(of)) == node_document(of)


@pytest.mark.parametrize(
    ("address", "listen"),
    [
        ("203.0.113.7:7400", ("0.0.0.0", 7400)),
        ("[2001:db8::1]:7401", ("::", 7401)),
        ("a.example.com:80", ("::", 80)),
    ],
)
def test_where_it_listens(address: str, listen: tuple[str, int]) -> None:
    found = as_edged_reads_it(replace(machine("ams-2"), address=address)).fleet.listen
    assert (found.host, found.port) == listen


def test_where_the_operator_says_that_it_listens() -> None:
    node = {**machine("ams-2").node, "fleet": {"listen": "192.0.2.7:7400", "rate_bytes_s": "10MiB"}}
    fleet = as_edged_reads_it(replace(machine("ams-2"), node=node)).fleet
    assert (fleet.listen.host, fleet.rate_bytes_s) == ("192.0.2.7", 10 * 1024 * 1024)
    assert fleet.voucher == Path(paths.VOUCHER)


def bgp_of(of: Machine) -> dict[str, Any]:
    found = node_document(of)["bgp"]
    assert isinstance(found, dict)
    return found


def test_bgp() -> None:
    """Where the provider tells the routers, it is asked; where they are named, or nobody announces, it is not."""
    assert bgp_of(machine("nyc-1"))["metadata"] == {"provider": "equinix", "own_routes": True}
    assert bgp_of(machine("lax-1"))["metadata"] == {
        "provider": "vultr", "own_routes": True, "source": "/etc/edged/metadata.json",
    }  # fmt: skip
    assert "metadata" not in bgp_of(machine("ams-1"))
    assert "metadata" not in bgp_of(of_provider(machine("ams-1"), "vultr"))
    assert all(bgp_of(machine(name))["own_addresses"] for name in ("ams-1", "nyc-1", "lax-1"))
    assert "bgp" not in node_document(machine("ams-2"))
    config = as_edged_reads_it(machine("ams-1"))
    assert config.bgp is not None
    assert [peer.address for peer in config.bgp.peers] == [ip_address("192.0.2.1"), ip_address("2001:db8::1")]


def test_edged_knows_whom_it_is_to_ask() -> None:
    assert {name for name, provider in PROVIDERS.items() if provider.tells_routers} == metadata.PROVIDERS.keys()


def test_what_the_operator_says_of_bgp_counts() -> None:
    text = TEXT.replace(
        "[machine.node.bgp.metadata]",
        "[machine.node.bgp]\nown_addresses = false\n[machine.node.bgp.metadata]\nown_routes = false",
    )
    bgp = bgp_of(machine("lax-1", text))
    assert (bgp["own_addresses"], bgp["metadata"]["own_routes"]) == (False, False)


def test_binary_env() -> None:
    of = machine("ams-1")
    assert content(of, paths.BINARY_ENV).splitlines() == [
        f"EDGED_SHA256={of.binary.sha256}",
        f"EDGED_URLS=http://203.0.113.7:7402/edged/{of.binary.sha256} https://downloads.example.com/edged",
        "EDGED_PATH=/media/edged",
    ]
    bare = replace(of, binary=replace(of.binary, urls=(), path=""))
    assert content(bare, paths.BINARY_ENV).splitlines()[1:] == ["EDGED_URLS=", "EDGED_PATH="]


def test_machine_json() -> None:
    of = machine("lax-1")
    files = machine_files(of)
    document = json.loads(content(of, paths.MACHINE))
    kept = document.pop("files")
    assert document == {
        "v": 1,
        "fleet": "demo",
        "machine": "lax-1",
        "region": "us",
        "provider": "vultr",
        "binary": {"sha256": of.binary.sha256, "urls": list(of.binary.urls), "path": "/media/edged"},
    }
    assert kept == {
        file.path: {"sha256": sha256(file.content.encode()).hexdigest(), "mode": file.mode, "owner": "root:root"}
        for file in files[:-1]
    }
    assert files[-1].path == str(paths.MACHINE)
    assert json.loads(content(replace(of, binary=replace(of.binary, path="")), paths.MACHINE))["binary"]["path"] is None


def test_each_is_where_it_belongs() -> None:
    files = {file.path: file.mode for file in machine_files(machine("ams-1"))}
    own = {str(path): "0644" for path in (paths.CONFIG, paths.BINARY_ENV, paths.MACHINE)}
    assert files == {str(path): mode for path, mode in TEMPLATES.values()} | own
    assert all(path.startswith("/") for path in files)
