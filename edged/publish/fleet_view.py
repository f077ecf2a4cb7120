"""What a node says of the fleet (the call `status`, docs/status.md), as records.

It comes from a node that the roster names, so it is believed; but what has another shape than the page says ends here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edged.errors import ProtocolError
from edged.publish.answer import Answer

FORMAT = 1


@dataclass(frozen=True, slots=True)
class KeyView:
    """A publisher or operator; days until the certificate expires."""

    name: str
    roles: tuple[str, ...]
    certificate_days: float | None


@dataclass(frozen=True, slots=True)
class RegionView:
    name: str
    nodes_up: int
    nodes_total: int
    requests_s: float | None
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node; None for a number that the answering node does not know."""

    name: str
    region: str
    address: str
    url: str
    state: str
    heard_s: float | None
    version: str
    roster_version: int | None
    in_sync: bool | None
    workers_ready: int | None
    workers_total: int | None
    requests_s: float | None
    p50_ms: float | None
    p99_ms: float | None
    certificate_days: float | None
    disk_free_bytes: int | None
    disk_used_bytes: int | None
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppNodeView:
    """An app on one node."""

    node: str
    region: str
    state: str
    desired: int
    running: int
    release: str
    stage: str
    error_code: str
    error_message: str
    requests: int
    failures: int


@dataclass(frozen=True, slots=True)
class AppView:
    """One app.

    Attributes:
        regions: region -> digest of the release that it should run there.
    """

    name: str
    sequence: int
    issued: int
    message: str
    hosts: tuple[str, ...]
    state: str
    regions: Mapping[str, str]
    nodes: tuple[AppNodeView, ...]


@dataclass(frozen=True, slots=True)
class FleetView:
    """The whole fleet, as one node knows it."""

    name: str
    domain: str
    roster_version: int
    answered_by: str
    keys: tuple[KeyView, ...]
    regions: tuple[RegionView, ...]
    nodes: tuple[NodeView, ...]
    apps: tuple[AppView, ...]
    alarms: tuple[str, ...]

    def app(self, name: str) -> AppView | None:
        return next((app for app in self.apps if app.name == name), None)


def parse_fleet_view(value: object) -> FleetView:
    """The answer to `status`.

    Raises:
        ProtocolError: it has another shape.
    """
    view = Answer(value, "status")
    if (number := view.get("format", int)) != FORMAT:
        raise ProtocolError(f"the node's status has the format {number}, and this edged knows {FORMAT}")
    fleet = view.table("fleet")
    return FleetView(
        name=fleet.get("name", str),
        domain=fleet.get("domain", str),
        roster_version=fleet.get("roster_version", int),
        answered_by=view.get("answered_by", str),
        keys=tuple(
            KeyView(key.get("name", str), key.texts("roles"), key.number("certificate_days"))
            for key in fleet.tables("keys")
        ),
        regions=tuple(map(_region, view.tables("regions"))),
        nodes=tuple(map(_node, view.tables("nodes"))),
        apps=tuple(map(_app, view.tables("apps"))),
        alarms=view.texts("alarms"),
    )


def _region(region: Answer) -> RegionView:
    return RegionView(
        region.get("name", str),
        region.get("nodes_up", int),
        region.get("nodes_total", int),
        region.number("requests_s"),
        region.number("p50_ms"),
        region.number("p99_ms"),
    )


def _node(node: Answer) -> NodeView:
    return NodeView(
        name=node.get("name", str),
        region=node.get("region", str),
        address=node.get("address", str),
        url=node.get("url", str),
        state=node.get("state", str),
        heard_s=node.number("heard_s"),
        version=node.get("version", str),
        roster_version=node.maybe("roster_version", int),
        in_sync=node.maybe("in_sync", bool),
        workers_ready=node.maybe("workers_ready", int),
        workers_total=node.maybe("workers_total", int),
        requests_s=node.number("requests_s"),
        p50_ms=node.number("p50_ms"),
        p99_ms=node.number("p99_ms"),
        certificate_days=node.number("certificate_days"),
        disk_free_bytes=node.maybe("disk_free_bytes", int),
        disk_used_bytes=node.maybe("disk_used_bytes", int),
        alarms=node.texts("alarms"),
    )


def _app(app: Answer) -> AppView:
    return AppView(
        name=app.get("name", str),
        sequence=app.get("sequence", int),
        issued=app.get("issued", int),
        message=app.get("message", str),
        hosts=app.texts("hosts"),
        state=app.get("state", str),
        regions=app.text_map("regions"),
        nodes=tuple(map(_app_node, app.tables("nodes"))),
    )


def _app_node(node: Answer) -> AppNodeView:
    return AppNodeView(
        node=node.get("node", str),
        region=node.get("region", str),
        state=node.get("state", str),
        desired=node.get("desired", int),
        running=node.get("running", int),
        release=node.get("release", str),
        stage=node.get("stage", str),
        error_code=node.get("error_code", str),
        error_message=node.get("error_message", str),
        requests=node.get("requests", int),
        failures=node.get("failures", int),
    )
