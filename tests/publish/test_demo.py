"""The demo fleet's folder: made once, kept, and completed where something is missing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edged.errors import FleetFileExists
from edged.node.check import check
from edged.node.config_file import load
from edged.publish.demo import DOMAIN, FLEET, REGIONS, fleet_folder, last_lines, make


def test_a_fleet_that_nodes_can_be_started_from(tmp_path: Path) -> None:
    nodes = make(tmp_path, now=time.time(), http_port=18081, fleet_port=17401)
    assert {node.region for node in nodes} == set(REGIONS)
    roster = fleet_folder(tmp_path).signed()
    assert roster is not None
    assert (roster.fleet, roster.domain, len(roster.nodes)) == (FLEET, DOMAIN, 3)
    for node in nodes:
        config = load(node.config)
        check(config)
        assert (config.node.name, config.node.region) == (node.name, node.region)
        assert node.url == f"http://{config.http.listen[0]}"


def test_it_stays_as_it_is(tmp_path: Path) -> None:
    nodes = make(tmp_path, now=time.time(), http_port=18081, fleet_port=17401)
    nodes[0].config.write_text(nodes[0].config.read_text() + '[log]\nlevel = "debug"\n')
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert make(tmp_path, now=time.time(), http_port=18081, fleet_port=17401) == nodes
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_what_is_missing_is_made(tmp_path: Path) -> None:
    """As when it was interrupted the first time: a node.toml, a node, the signature."""
    fleet = fleet_folder(tmp_path)
    nodes = make(tmp_path, now=time.time())
    nodes[1].config.unlink()
    fleet.roster_file.unlink()
    assert make(tmp_path, now=time.time()) == nodes
    assert nodes[1].config.exists()
    assert fleet.signed() is not None


def test_other_ports_than_it_was_made_with(tmp_path: Path) -> None:
    make(tmp_path, now=time.time(), http_port=18081, fleet_port=17401)
    with pytest.raises(FleetFileExists, match="18081"):
        make(tmp_path, now=time.time(), http_port=18091, fleet_port=17401)


def test_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log) == ()
    log.write_text("".join(f"{number}\n" for number in range(10_000)))
    assert last_lines(log) == ["9997", "9998", "9999"]
