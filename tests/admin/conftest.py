"""A status with one of everything that can be wrong."""

from __future__ import annotations

from typing import Any

import pytest


def node(name: str, region: str, **others: Any) -> dict[str, Any]:
    return {
        "name": name,
        "region": region,
        "address": "192.0.2.1:7400",
        "url": "http://192.0.2.1",
        "state": "up",
        "since": 1_700_000_000.0,
        "heard_s": 1.5,
        "hearsay": False,
        "version": "0.1.0",
        "roster_version": 3,
        "in_sync": True,
        "workers_ready": 2,
        "workers_total": 2,
        "requests_s": 12.5,
        "p50_ms": 1.25,
        "p99_ms": 9.0,
        "certificate_days": 200.0,
        "disk_free_bytes": 10**9,
        "disk_used_bytes": 10**6,
        "alarms": [],
        **others,
    }


def on_node(node: str, region: str, **others: Any) -> dict[str, Any]:
    return {
        "node": node,
        "region": region,
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
        **others,
    }


def status_of(nodes: list[dict[str, Any]], apps: list[dict[str, Any]], alarms: list[str]) -> dict[str, Any]:
    return {
        "format": 1,
        "time": 1_700_000_100.0,
        "answered_by": "ams1",
        "fleet": {
            "name": "shop",
            "domain": "shop.example",
            "epoch": 0,
            "roster_version": 3,
            "prefixes": [],
            "keys": [],
        },
        "regions": [],
        "nodes": nodes,
        "apps": apps,
        "alarms": alarms,
    }


def app(name: str, *nodes: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "name": name,
        "epoch": 0,
        "sequence": 2,
        "issued": 1_700_000_000,
        "message": "",
        "hosts": [f"{name}.shop.example"],
        "state": "live",
        "regions": {},
        "nodes": list(nodes),
        **others,
    }


@pytest.fixture
def well() -> dict[str, Any]:
    return status_of([node("ams1", "eu")], [app("cart", on_node("ams1", "eu"))], [])


@pytest.fixture
def unwell() -> dict[str, Any]:
    nodes = [
        node("ams1", "eu"),
        node("nyc1", "us", state="silent", heard_s=62.0, p50_ms=None, p99_ms=None, requests_s=None),
        node("sin1", "ap", certificate_days=3.2),
    ]
    behind = on_node("sin1", "ap", running=1, stage="failed", error_code="guest.trap", error_message="it <traps>")
    return status_of(nodes, [app("cart", on_node("ams1", "eu"), behind, state="failed", message="<b>sale</b>")], ["!"])
