"""`edged doctor` beside a real node: what it says while a node cannot join, and that it is well again afterwards."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleets import HTTP_PORT, Fleet, FleetNode, fleet_on_loopback


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_on_loopback(tmp_path_factory.mktemp("doctor"), {"eu-1": "eu"}, workers=1) as fleet:
        yield fleet


def voucher(fleet: Fleet, name: str) -> str:
    address = f"{fleet.place.address(name)}:7400"
    made = fleet.run("fleet", "voucher", name, "--region", "eu", "--address", address, "-C", fleet.operator, "--json")
    return str(made.last["token"])


def newcomer(fleet: Fleet, name: str, token: str) -> FleetNode:
    node = FleetNode(name, "eu", fleet.folder / f"{name}-{time.monotonic_ns()}", fleet.place)
    node.host = fleet.place.address(name)
    node.folder.mkdir()
    (node.folder / "voucher").write_text(token)
    node.config.write_text(
        f'[node]\nname = "{name}"\nregion = "eu"\nstate_dir = "state"\nworkers = 1\n'
        f'[fleet]\nlisten = "{node.address}"\nvoucher = "voucher"\n[http]\nlisten = ["{node.host}:{HTTP_PORT}"]\n'
    )
    fleet.run("node", "--config", node.config, "init", "--json")
    return node


def start_and_fail(fleet: Fleet, node: FleetNode) -> None:
    assert fleet.run("node", "--config", node.config, check=False).status != 0


def examined(fleet: Fleet, node: FleetNode) -> dict[tuple[str, str], str]:
    """Check and state -> message. The machine that this runs on is not the node's own: nothing is said of its clock."""
    done = fleet.run("doctor", "--config", node.config, "--json", check=False)
    findings = done.last["findings"]
    assert done.status == (1 if any(each["state"] == "problem" for each in findings) else 0)
    return {(each["check"], each["state"]): each["message"] for each in findings}


def is_well(found: dict[tuple[str, str], str]) -> bool:
    return {("config", "ok"), ("identity", "ok"), ("voucher", "ok"), ("node", "ok")} <= set(found)


def test_a_stolen_voucher_and_another(fleet: Fleet) -> None:
    token = voucher(fleet, "new-1")
    thief = newcomer(fleet, "new-1", token)
    thief.start()
    assert is_well(examined(fleet, thief))
    thief.stop()
    node = newcomer(fleet, "new-1", token)
    assert ("voucher", "ok") in examined(fleet, node), "nobody can tell before it is tried"
    start_and_fail(fleet, node)
    found = examined(fleet, node)
    assert "somebody else has joined as new-1" in found["voucher", "problem"]
    assert found["start", "note"].endswith("(follows from `voucher`)")
    assert token not in (node.state / "failure.json").read_text()
    (node.folder / "voucher").write_text(voucher(fleet, "new-1"))
    node.start()
    try:
        assert is_well(examined(fleet, node))
        assert not (node.state / "failure.json").exists()
    finally:
        node.stop()


def test_no_fleet_to_be_reached(fleet: Fleet) -> None:
    node = newcomer(fleet, "new-2", voucher(fleet, "new-2"))
    fleet["eu-1"].stop()
    start_and_fail(fleet, node)
    message = examined(fleet, node)["voucher", "problem"]
    assert f"{fleet['eu-1'].address}: " in message
    assert "[fleet.unreachable]" in message
    fleet["eu-1"].start()
    node.start()
    try:
        assert is_well(examined(fleet, node))
    finally:
        node.stop()


def test_an_address_that_is_taken_is_told_by_the_check_of_the_start(fleet: Fleet) -> None:
    node = newcomer(fleet, "new-3", voucher(fleet, "new-3"))
    host, port = node.address.split(":")
    with socket.create_server((host, int(port))):
        start_and_fail(fleet, node)
        found = examined(fleet, node)
    assert "[listen.failed" in found["start", "problem"]
    assert found["node", "note"].endswith("(follows from `start`)")
    node.start()
    try:
        assert is_well(examined(fleet, node))
    finally:
        node.stop()


def test_a_node_toml_that_is_wrong_while_the_node_runs(fleet: Fleet, tmp_path: Path) -> None:
    broken = tmp_path / "node.toml"
    broken.write_text(fleet["eu-1"].config.read_text().replace("[http]", "[htp]"))
    assert "node.toml:" in examined(fleet, FleetNode("x", "eu", tmp_path, fleet.place))["config", "problem"]
