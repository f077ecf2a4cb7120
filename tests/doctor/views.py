"""What a node answers: one where all is well, to be changed by tests."""

from __future__ import annotations

from typing import Any

from edged.status.view import FleetView, NodeView, RegionView, StatusView
from tests.doctor.scene import NOW


def node(name: str = "n1", **others: Any) -> NodeView:
    known: dict[str, Any] = {
        "state": "up",
        "since": NOW - 9_000,
        "roster_version": 3,
        "workers_ready": 2,
        "workers_total": 2,
        "certificate_days": 300.0,
        "disk_free_bytes": 1 << 40,
    }
    return NodeView(name, "eu", "192.0.2.2:7400", "", **{**known, **others})


def view(*nodes: NodeView, **others: Any) -> StatusView:
    known: dict[str, Any] = {
        "time": NOW,
        "answered_by": "n1",
        "fleet": FleetView("demo", "demo.localhost", 1, 3, ("203.0.113.10/32",), ()),
        "regions": (RegionView("eu", len(nodes), len(nodes), 0.0, None, None),),
        "nodes": nodes,
        "apps": (),
        "alarms": (),
    }
    return StatusView(**{**known, **others})
