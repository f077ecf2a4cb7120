"""What a node says of the fleet: the answers of the calls `status` and `watch`, whose keys docs/status.md lists.

    the node's own records ── edged.node.status_view ──> StatusView ── as_plain ──> the wire, the admin API
                                                              ^                        │
                          edged.status.diagnosis <── StatusView ──── parse_status <────┘

What is not known is None or "", never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bgp.status import AnycastStatus

NodeState = Literal["up", "silent", "never"]
AppState = Literal["live", "rolling", "failed", "unknown"]
Stage = Literal[
    "waiting", "fetch", "verify", "compile", "probe", "live",
    "failed", "reverted", "held", "superseded", "silent", "removed",
]  # fmt: skip

FORMAT = 1

FAILED: tuple[Stage, ...] = ("failed", "reverted", "held")
"""Stages of a node that will not serve a deployment by itself."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """A publisher or operator of the roster. `certificate_days` is below 0 once it has expired."""

    name: str
    roles: tuple[str, ...]
    certificate_days: float | None


@dataclass(frozen=True, slots=True)
class FleetView:
    name: str
    domain: str
    epoch: int
    roster_version: int
    prefixes: tuple[str, ...]
    keys: tuple[KeyView, ...]


@dataclass(frozen=True, slots=True)
class RegionView:
    """A region; latencies are the highest of its nodes that are up."""

    name: str
    nodes_up: int
    nodes_total: int
    requests_s: float
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node, as far as the answering one has heard of it. `anycast` is None where nothing is announced."""

    name: str
    region: str
    address: str
    url: str
    state: NodeState
    since: float | None = None
    heard_s: float | None = None
    hearsay: bool = False
    version: str = ""
    roster_version: int | None = None
    in_sync: bool | None = None
    workers_ready: int | None = None
    workers_total: int | None = None
    requests_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    certificate_days: float | None = None
    disk_free_bytes: int | None = None
    disk_used_bytes: int | None = None
    alarms: tuple[str, ...] = ()
    anycast: AnycastStatus | None = None


@dataclass(frozen=True, slots=True)
class AppNodeView:
    """An app on a node. `desired` and `running` are sequences, 0 for none."""

    node: str
    region: str
    state: NodeState
    desired: int
    running: int
    release: str
    stage: Stage
    error_code: str
    error_message: str
    since: float | None
    requests: int
    failures: int


@dataclass(frozen=True, slots=True)
class AppView:
    """An app that has a deployment, and where it is."""

    name: str
    epoch: int
    sequence: int
    issued: int
    message: str
    hosts: tuple[str, ...]
    state: AppState
    regions: Mapping[str, str]
    nodes: tuple[AppNodeView, ...]


@dataclass(frozen=True, slots=True)
class StatusView:
    """The whole answer."""

    time: float
    answered_by: str
    fleet: FleetView
    regions: tuple[RegionView, ...]
    nodes: tuple[NodeView, ...]
    apps: tuple[AppView, ...]
    alarms: tuple[str, ...]
    format: int = FORMAT

    def app(self, name: str) -> AppView | None:
        return next((app for app in self.apps if app.name == name), None)

    def as_plain(self) -> dict[str, Any]:
        """Only what msgpack and JSON have; tuples count as arrays in both."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RolloutView:
    """An item of `watch`: how far one node is with one deployment. Bytes are plain ones."""

    region: str
    node: str
    stage: Stage
    bytes_done: int
    bytes_total: int
    bytes_saved: int
    error_code: str
    error: str
    sequence: int

    def as_plain(self) -> dict[str, Any]:
        return asdict(self)
