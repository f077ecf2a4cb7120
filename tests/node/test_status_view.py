"""`status` and `watch`: a dead node, a region behind and an app that failed are told apart."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest

from edged.fleet.board import Board
from edged.fleet.certificate import make_identity
from edged.fleet.deployment import Deployment
from edged.fleet.record import Head, Key, Version
from edged.fleet.report import AppReport, NodeReport
from edged.fleet.roster import Key as RosterKey
from edged.fleet.roster import Node, Region, Roster
from edged.fleet.view import Record, View
from edged.limits import REPORT_UP_S
from edged.node.status_view import Moment, RolloutView, StatusView, rollout_views, status_view
from registry.digest import digest_of

TIME = 1_790_000_000.0
RELEASE = digest_of(b"release")
NAMES = {"a1": "eu", "a2": "eu", "b1": "us"}
ROSTER = Roster(
    fleet="demo",
    epoch=1,
    version=3,
    previous="",
    domain="demo.localhost",
    regions=(Region("us"), Region("eu")),
    nodes=tuple(
        Node(name, region, f"192.0.2.{number}:7400", make_identity(name, now=TIME, days=100 * number).certificate)
        for number, (name, region) in enumerate(NAMES.items(), start=1)
    ),
    keys=(RosterKey("ann", make_identity("ann", now=TIME, days=20).certificate, frozenset({"deploy"}), ("*",)),),
    root_keys=(b"\0" * 32,),
    threshold=1,
    prefixes=("203.0.113.0/24",),
)


def view(*deployments: Deployment) -> View:
    records = {
        each.key: Record(Head(each.key, each.version, digest_of(b"")), b"", each, b"", "ann", 0) for each in deployments
    }
    return View(records, ROSTER)


def deployment(sequence: int = 2, regions: tuple[str, ...] = ("eu", "us"), app: str = "shop") -> Deployment:
    return Deployment("demo", app, 1, sequence, dict.fromkeys(regions, RELEASE), message="a change", issued=7)


def report(name: str, **apps: AppReport) -> NodeReport:
    return NodeReport(
        name, NAMES[name], 1, 1, TIME, version="0.1", heads_hash="same", apps=apps, requests_s=5.0, p99_ms=len(name)
    )


def board(*reports: NodeReport, now: float = 0.0) -> Board:
    found = Board("a1", NAMES.__contains__, 0.0)
    for each in reports:
        if each.node == "a1":
            found.put(each, now)
        else:
            found.merge([each], each.node, now)
    return found


def status(found: Board, *deployments: Deployment, at: float = 0.0) -> StatusView:
    return status_view("a1", view(*deployments), (), found, Moment(TIME + at, at))


LIVE = AppReport(desired=2, running=2, release=RELEASE, stage="live", requests=9)


def test_all_well() -> None:
    found = status(board(*(report(name, shop=LIVE) for name in NAMES)), deployment())
    assert (found.answered_by, found.fleet.name, found.fleet.roster_version) == ("a1", "demo", 3)
    assert found.fleet.keys[0].certificate_days == pytest.approx(20, abs=0.1)
    assert [(region.name, region.nodes_up, region.nodes_total, region.requests_s) for region in found.regions] == [
        ("us", 1, 1, 5.0),
        ("eu", 2, 2, 10.0),
    ]
    assert [(node.name, node.state, node.in_sync) for node in found.nodes] == [(name, "up", True) for name in NAMES]
    assert [node.certificate_days for node in found.nodes] == pytest.approx([100, 200, 300], abs=0.1)
    (app,) = found.apps
    assert (app.state, app.message, app.issued) == ("live", "a change", 7)
    assert [(node.node, node.stage, node.running, node.requests) for node in app.nodes] == [
        (name, "live", 2, 9) for name in NAMES
    ]


def test_a_node_that_fell_silent() -> None:
    late = REPORT_UP_S + 10
    found = board(report("a2", shop=LIVE), report("b1", shop=LIVE))
    found.put(report("a1", shop=LIVE), late)
    answer = status(found, deployment(), at=late)
    assert [(node.name, node.state, node.since) for node in answer.nodes] == [
        ("a1", "up", TIME + late),
        ("a2", "silent", TIME),
        ("b1", "silent", TIME),
    ]
    assert [node.stage for node in answer.apps[0].nodes] == ["live", "silent", "silent"]
    assert answer.apps[0].state == "live"
    assert [region.nodes_up for region in answer.regions] == [0, 1]


@pytest.mark.parametrize(("free", "used", "shown"), [(0, 0, (None, None)), (0, 5, (0, 5)), (7, 0, (7, 0))])
def test_a_disk_that_was_not_measured_yet_is_not_full(
    free: int, used: int, shown: tuple[int | None, int | None]
) -> None:
    found = board(replace(report("a1"), disk_free_bytes=free, disk_used_bytes=used))
    (node, *_) = status(found, deployment()).nodes
    assert (node.disk_free_bytes, node.disk_used_bytes) == shown


def test_a_node_that_was_never_heard_of_is_waited_for_at_first() -> None:
    found = board(report("a1", shop=LIVE))
    assert [item.stage for item in rollout_views("shop", 2, view(deployment()), found, Moment(TIME, 0.0))] == [
        "live",
        "waiting",
        "waiting",
    ]
    late = REPORT_UP_S + 1
    items = rollout_views("shop", 2, view(deployment()), found, Moment(TIME, late))
    assert [item.stage for item in items] == ["live", "silent", "silent"]
    assert status(found, deployment(), at=late).nodes[1].state == "never"


@pytest.mark.parametrize(
    ("other", "stage", "state"),
    [
        (LIVE, "live", "live"),
        (AppReport(desired=2, running=1, stage="fetch"), "fetch", "rolling"),
        (AppReport(desired=1, running=1, stage="live"), "waiting", "rolling"),
        (AppReport(desired=2, running=1, stage="failed", error_code="guest.trap"), "failed", "failed"),
        (AppReport(desired=2, running=1, stage="reverted", error_code="guest.trap"), "reverted", "failed"),
        (AppReport(desired=3, running=2, stage="fetch"), "superseded", "rolling"),
        (AppReport(desired=2), "waiting", "rolling"),
        (None, "waiting", "rolling"),
    ],
)
def test_how_far_a_region_is(other: AppReport | None, stage: str, state: str) -> None:
    late = {} if other is None else {"shop": other}
    found = board(report("a1", shop=LIVE), report("a2", shop=LIVE), report("b1", **late))
    app = status(found, deployment()).apps[0]
    assert (app.nodes[2].stage, app.state) == (stage, state)
    assert app.nodes[2].error_code == (other.error_code if other else "")


def test_only_nodes_that_should_run_it_or_still_do() -> None:
    found = board(report("a1", shop=LIVE), report("a2", shop=LIVE), report("b1", shop=LIVE))
    assert [node.node for node in status(found, deployment(regions=("us",))).apps[0].nodes] == ["a1", "a2", "b1"]
    found = board(report("a1"), report("a2"), report("b1", shop=LIVE))
    assert [node.node for node in status(found, deployment(regions=("us",))).apps[0].nodes] == ["b1"]
    items = rollout_views("shop", 2, view(deployment(regions=("us",))), found, Moment(TIME, 0.0))
    assert items == [RolloutView("us", "b1", "live", 0, 0, 0, "", "", 2)]
    assert rollout_views("other", 1, view(), found, Moment(TIME, 0.0)) == []


def test_a_removed_app_is_left_out() -> None:
    assert status(board(report("a1")), deployment(regions=())).apps == ()


def test_it_travels_and_says_no_secret() -> None:
    secret = Deployment("demo", "shop", 1, 2, {"eu": RELEASE}, variables={"password": "hunter2"})
    found = status(board(report("a1", shop=LIVE)), secret)
    packed = msgpack.packb(found.as_plain())
    assert b"hunter2" not in packed
    assert msgpack.unpackb(packed)["apps"][0]["regions"] == {"eu": RELEASE}
    assert Key("deployment", "shop") == secret.key
    assert secret.version == Version(1, 2)


@pytest.mark.parametrize(
    ("app", "found"),
    [
        (None, ("removed", "", "")),
        (AppReport(), ("removed", "", "")),
        (LIVE, ("waiting", "", "")),
        (AppReport(desired=2), ("waiting", "", "")),
        (replace(LIVE, error_code="app.removal-held", error_message="many"), ("held", "app.removal-held", "many")),
    ],
)
def test_how_far_a_removal_is(app: AppReport | None, found: tuple[str, str, str]) -> None:
    heard = board(report("a1"), report("a2", **({} if app is None else {"shop": app})))
    views = rollout_views("shop", 3, view(deployment(3, ())), heard, Moment(TIME, 0.0))
    assert {(each.node, (each.stage, each.error_code, each.error)) for each in views} == {
        ("a1", ("removed", "", "")), ("a2", found), ("b1", ("waiting", "", ""))
    }  # fmt: skip


def test_waves_that_wait_and_that_are_held() -> None:
    waits = replace(LIVE, desired=3, stage="waiting", error_message="eu is late")
    held = replace(LIVE, desired=3, stage="held", error_message="eu/a1 failed: no", error_code="rollout.held")
    for each, state in ((waits, "rolling"), (held, "failed")):
        (app,) = status(board(report("b1", shop=each)), deployment(3, ("us",))).apps
        (node,) = app.nodes
        assert (app.state, node.stage, node.error_message) == (state, each.stage, each.error_message)
