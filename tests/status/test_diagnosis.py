"""What is wrong with a fleet, said in words; and answers of a node that have another shape."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from edged.errors import ProtocolError, RecordOrphaned
from edged.fleet.deployment import Deployment
from edged.limits import CERTIFICATE_DAYS_WARNED, DISK_FREE_BYTES_WARNED, REPORT_UP_S
from edged.status.diagnosis import diagnose
from edged.status.parse import parse_status
from edged.status.problem import duration
from registry.digest import digest_of
from tests.publish.fakes import NOW, FakeFleet, status

DIGEST = digest_of(b"release")


@pytest.fixture
def shape(tmp_path: Path) -> dict[str, Any]:
    fleet = FakeFleet(tmp_path, ("eu", "us"))
    shop = Deployment("demo", "shop", 1, 42, {"eu": DIGEST, "us": DIGEST}, issued=NOW)
    return copy.deepcopy(status(fleet, {"shop": shop}))


def said(shape: dict[str, Any]) -> list[tuple[str, str]]:
    return [(problem.severity, problem.text) for problem in diagnose(parse_status(shape))]


def test_all_well(shape: dict[str, Any]) -> None:
    assert said(shape) == []


def test_a_dead_node(shape: dict[str, Any]) -> None:
    shape["nodes"][1].update(state="silent", heard_s=200.0)
    shape["nodes"].append(shape["nodes"][1] | {"name": "b2", "state": "up"})
    assert said(shape) == [("error", "node b in us is dead: not heard of for 3 min")]


def test_a_dead_region_of_one(shape: dict[str, Any]) -> None:
    shape["nodes"][1].update(state="never", heard_s=None)
    assert said(shape) == [("error", "node b in us was never heard of, the only one of us: the region is dead")]


def test_a_dead_region_of_two(shape: dict[str, Any]) -> None:
    shape["nodes"][1].update(state="silent")
    shape["nodes"].append(shape["nodes"][1] | {"name": "b2"})
    shape["regions"][1].update(nodes_up=0, nodes_total=2)
    assert said(shape)[0] == ("error", "region us is dead: none of its 2 nodes is heard of")
    assert len(said(shape)) == 3


def test_a_region_behind(shape: dict[str, Any]) -> None:
    shape["apps"][0]["nodes"][1].update(running=41, stage="compile")
    assert said(shape) == [("warning", "region us is behind with shop: it runs 41, should run 42")]
    shape["apps"][0]["nodes"][1].update(running=0)
    assert said(shape) == [("warning", "region us is behind with shop: it runs none, should run 42")]
    shape["apps"][0]["nodes"][1].update(running=42)
    assert said(shape) == [("warning", "region us is loading shop 42")]


def test_regions_that_are_behind_alike(shape: dict[str, Any]) -> None:
    for node in shape["apps"][0]["nodes"]:
        node.update(running=41, stage="compile")
    assert said(shape) == [("warning", "regions eu, us are behind with shop: they run 41, should run 42")]


def test_the_same_failure_is_said_once(shape: dict[str, Any]) -> None:
    for node in shape["apps"][0]["nodes"]:
        node.update(running=41, stage="failed", error_message="no memory")
    assert said(shape) == [("error", "shop failed in eu, us: no memory")]
    shape["apps"][0]["nodes"][1].update(error_message="no disk")
    assert said(shape) == [("error", "shop failed in eu: no memory"), ("error", "shop failed in us: no disk")]


def test_one_node_of_several_that_reverted(shape: dict[str, Any]) -> None:
    nodes = shape["apps"][0]["nodes"]
    nodes += [nodes[1] | {"node": "b2"}, nodes[1] | {"node": "b3"}]
    nodes[2].update(running=41, stage="reverted", error_message="it crashed")
    assert said(shape) == [("error", "shop reverted in us (node b2): it crashed")]
    nodes[3].update(running=41, stage="reverted", error_message="it crashed")
    nodes[0].update(running=41, stage="reverted", error_message="it crashed")
    assert said(shape) == [("error", "shop reverted in eu, us (nodes b2, b3): it crashed")]
    nodes[3].update(state="silent")  # whether it reverted there is not known
    nodes[1].update(state="silent")
    assert said(shape) == [("error", "shop reverted in eu, us: it crashed")]


@pytest.mark.parametrize(("up_s", "is_awaited"), [(0.0, True), (REPORT_UP_S, True), (REPORT_UP_S + 1, False)])
def test_right_after_a_start_others_are_only_not_heard_of_yet(
    shape: dict[str, Any], up_s: float, is_awaited: bool
) -> None:
    shape["nodes"][0].update(since=NOW - up_s)
    shape["nodes"][1].update(state="never", heard_s=None, since=None)
    shape["nodes"].append(shape["nodes"][1] | {"name": "b2"})
    shape["regions"][1].update(nodes_up=0, nodes_total=2)
    if is_awaited:
        text = "is not heard of yet: a, which answers, has only just started"
        assert said(shape) == [("warning", f"node {name} in us {text}") for name in ("b", "b2")]
    else:
        assert [severity for severity, _ in said(shape)] == ["error"] * 3


@pytest.mark.parametrize("stage", ["failed", "reverted"])
def test_a_region_that_failed(shape: dict[str, Any], stage: str) -> None:
    shape["apps"][0]["nodes"][1].update(running=41, stage=stage, error_message="GET /healthz answered 500")
    assert said(shape) == [("error", f"shop {stage} in us: GET /healthz answered 500")]
    (problem,) = diagnose(parse_status(shape))
    assert "edged rollback shop" in problem.remedy


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (CERTIFICATE_DAYS_WARNED, []),
        (CERTIFICATE_DAYS_WARNED - 0.1, [("warning", "the certificate of node a expires in 29 days")]),
        (1.5, [("warning", "the certificate of node a expires in 1 day")]),
        (0.5, [("warning", "the certificate of node a expires in less than a day")]),
        (-0.1, [("error", "the certificate of node a has expired")]),
        (None, []),
    ],
)
def test_certificates(shape: dict[str, Any], days: float | None, found: list[Any]) -> None:
    shape["nodes"][0]["certificate_days"] = days
    assert said(shape) == found


def test_a_certificate_that_its_node_speaks_of_is_said_once(shape: dict[str, Any]) -> None:
    alarm = "certificate of node a: it expires in less than 7 days [fleet.certificate-expiring]"
    shape["nodes"][0].update(certificate_days=6.5, alarms=[alarm])
    [(severity, text)] = said(shape)
    assert (severity, text.endswith(alarm)) == ("error", True)
    shape["nodes"][0].update(alarms=[alarm.replace("node a:", "node abc:")])
    assert ("warning", "the certificate of node a expires in 6 days") in said(shape)


def test_a_publisher_s_certificate(shape: dict[str, Any]) -> None:
    shape["fleet"]["keys"][0]["certificate_days"] = 3.0
    assert said(shape) == [("warning", "the certificate of key ada expires in 3 days")]


def test_workers_disk_alarms_and_rosters(shape: dict[str, Any]) -> None:
    shape["nodes"][0].update(workers_ready=0, disk_free_bytes=DISK_FREE_BYTES_WARNED - 1)
    shape["nodes"][1].update(workers_ready=3, alarms=["two records"], roster_version=1)
    shape["fleet"]["roster_version"] = 2
    shape["nodes"][0]["roster_version"] = 2
    shape["alarms"] = ["shop: two deployments 41"]
    assert said(shape) == [
        ("error", "node a in eu has 0 of 4 workers ready"),
        ("error", "node b in us: two records"),
        ("error", "shop: two deployments 41"),
        ("warning", "node a in eu has 1023 MiB of disk left"),
        ("warning", "node b in us has 3 of 4 workers ready"),
        ("warning", "node b has roster 1, not 2"),
    ]


def test_an_alarm_of_the_node_that_answers_is_said_once_and_each_with_the_remedy_of_its_code(
    shape: dict[str, Any],
) -> None:
    alarm = "deployment shop: nobody of the roster signed it [fleet.record-orphaned]"
    shape["nodes"][0]["alarms"] = shape["nodes"][1]["alarms"] = [alarm]
    shape["alarms"] = [alarm, "roster: of no code [no.such-code]"]
    assert shape["answered_by"] == shape["nodes"][0]["name"]
    found = [(problem.text, problem.remedy) for problem in diagnose(parse_status(shape))]
    remedy = RecordOrphaned.default_remedy
    assert found == [
        (f"nodes a, b: {alarm}", remedy),
        ("roster: of no code [no.such-code]", ""),
    ]


@pytest.mark.parametrize(("count", "named"), [(5, "a, n1, n2, n3, n4"), (6, "a, n1, n2, n3, n4 and 1 more")])
def test_an_alarm_of_many_nodes_is_one_problem(shape: dict[str, Any], count: int, named: str) -> None:
    first = shape["nodes"][0] | {"alarms": ["two records"]}
    shape["nodes"] = [first, *(first | {"name": f"n{number}"} for number in range(1, count))]
    assert said(shape) == [("error", f"nodes {named}: two records")]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def breakages() -> list[tuple[list[str | int], object]]:
    return [
        (["format"], 2),
        (["format"], True),
        (["fleet"], []),
        (["fleet", "name"], 5),
        (["fleet", "keys"], {}),
        (["regions", 0, "nodes_up"], "1"),
        (["nodes"], [1]),
        (["nodes", 0, "p50_ms"], "fast"),
        (["nodes", 0, "p50_ms"], True),
        (["nodes", 0, "in_sync"], 1),
        (["nodes", 0, "alarms"], [5]),
        (["apps", 0, "regions"], {"eu": 5}),
        (["apps", 0, "nodes", 0, "running"], None),
        (["alarms"], "none"),
    ]


@pytest.mark.parametrize(("path", "value"), breakages())
def test_another_shape(shape: dict[str, Any], path: list[str | int], value: object) -> None:
    at: Any = shape
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(ProtocolError):
        parse_status(shape)


@pytest.mark.parametrize("value", [None, [], "status", 5])
def test_no_table_at_all(value: object) -> None:
    with pytest.raises(ProtocolError, match="no table"):
        parse_status(value)
