"""A status with one of everything that can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from edged.status.view import AppNodeView, AppView, FleetView, NodeView, StatusView
from tests.status.anycast import FULL


def node(name: str, region: str, **others: Any) -> NodeView:
    known: dict[str, Any] = {
        "address": "192.0.2.1:7400",
        "url": "http://192.0.2.1",
        "state": "up",
        "since": 1_700_000_000.0,
        "heard_s": 1.5,
        "version": "0.1.0",
        "roster_version": 3,
        "in_sync": True,
        "workers_ready": 2,
        "workers_total": 2,
        "requests_s": 12.5,
        "p50_ms": 1.25,
        "p99_ms": 9.0,
        "certificate_days": 200.0,
        "disk_free_bytes": 10**10,
        "disk_used_bytes": 10**6,
    }
    return NodeView(name, region, **{**known, **others})


def on_node(node: str, region: str, **others: Any) -> AppNodeView:
    known: dict[str, Any] = {
        "state": "up",
        "desired": 2,
        "running": 2,
        "release": "sha256:" + "0" * 64,
        "stage": "live",
        "error_code": "",
        "error_message": "",
        "since": 1_700_000_000.0,
        "requests": 10,
        "failures": 1,
    }
    return AppNodeView(node, region, **{**known, **others})


def status_of(nodes: list[NodeView], apps: list[AppView], alarms: tuple[str, ...]) -> StatusView:
    fleet = FleetView("shop", "shop.example", 0, 3, (), ())
    return StatusView(1_700_000_100.0, "ams1", fleet, (), tuple(nodes), tuple(apps), alarms)


def app(name: str, *nodes: AppNodeView, **others: Any) -> AppView:
    known: dict[str, Any] = {
        "epoch": 0,
        "sequence": 2,
        "issued": 1_700_000_000,
        "message": "",
        "hosts": (f"{name}.shop.example",),
        "state": "live",
        "regions": {node.region: node.release for node in nodes},
    }
    return AppView(name, nodes=nodes, **{**known, **others})


@pytest.fixture
def well() -> StatusView:
    return status_of([node("ams1", "eu")], [app("cart", on_node("ams1", "eu"))], ())


@pytest.fixture
def unwell() -> StatusView:
    nodes = [
        node("ams1", "eu"),
        node("nyc1", "us", state="silent", heard_s=62.0, p50_ms=None, p99_ms=None, requests_s=None),
        node("sin1", "ap", certificate_days=3.2, anycast=FULL),
    ]
    behind = on_node("sin1", "ap", running=1, stage="failed", error_code="guest.trap", error_message="it <traps>")
    cart = app("cart", on_node("ams1", "eu"), behind, state="failed", message="<b>sale</b>")
    return status_of(nodes, [cart], ("!",))
