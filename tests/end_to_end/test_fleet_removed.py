"""A node that is taken out of the roster, as an operator does it: it learns that while it runs, and says so."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fleets import app_folder, fleet_on_loopback, saying


def test_a_removed_node_learns_it(tmp_path: Path) -> None:
    with fleet_on_loopback(tmp_path, {"eu-1": "eu", "us-1": "us"}) as fleet:
        fleet.push(app_folder(tmp_path / "app", "hello", saying("hello")))
        mark = fleet["us-1"].mark()
        toml = fleet.operator / "fleet.toml"
        text = toml.read_text()
        (table,) = re.findall(r'(?m)^\[\[node\]\]\nname = "us-1"\n(?:[^\[\n].*\n)*', text)
        toml.write_text(text.replace(table, ""))
        fleet.run("fleet", "sign", "--yes", "--dir", fleet.operator, "--json")
        fleet.run("fleet", "publish", "--dir", fleet.operator, "--json")
        said = fleet["us-1"].wait_for(
            lambda event: event.get("event") == "alarm.raised" and event["code"] == "node.removed", since=mark
        )
        assert "taken this node out" in said["message"]
        assert said["subject"] == "node us-1"
        for node in fleet.nodes.values():
            assert node.get(host="hello.edged.localhost") == (200, b"hello")  # it is told to announce nothing, no more
        assert [node["name"] for node in fleet.status()["nodes"]] == ["eu-1"]
