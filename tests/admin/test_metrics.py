from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from edged.admin.loop_metrics import Loop
from edged.admin.metrics import metrics_text
from edged.fleet.depth import Depth
from edged.status.view import KeyView, StatusView
from tests.status.anycast import FULL, V4, V6, anycast, prefix

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
LOOP = Loop(0.25, (Depth("news", 3, 7, 1_000), Depth("links", 0, 2, 512)))


def samples(status: StatusView) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(metrics_text(status, LOOP, {"*.shop.example": 12.5}).decode())
    return {(s.name, s.labels.get("node", "")): s.value for family in families for s in family.samples}


def test_what_is_known_is_there_and_what_is_not_is_left_out(unwell: StatusView) -> None:
    found = samples(unwell)
    assert found["edged_node_up", "ams1"] == 1
    assert found["edged_node_up", "nyc1"] == 0
    assert found["edged_request_p50_milliseconds", "ams1"] == 1.25
    assert ("edged_request_p50_milliseconds", "nyc1") not in found
    assert found["edged_app_live", "ams1"] == 1
    assert found["edged_app_live", "sin1"] == 0
    assert found["edged_app_running_sequence", "sin1"] == 1
    assert found["edged_app_requests_total", "ams1"] == 10
    assert found["edged_alarms", ""] == 1


def labelled(status: StatusView) -> dict[tuple[str, ...], float]:
    """By the name, and the values of all labels but the node's region."""
    families = text_string_to_metric_families(metrics_text(status, LOOP, {"*.shop.example": 12.5}).decode())
    return {
        (s.name, *(value for key, value in s.labels.items() if key != "region")): s.value
        for family in families
        for s in family.samples
    }


def test_announcing(unwell: StatusView) -> None:
    found = labelled(unwell)
    assert found["edged_bgp_speaker_up", "sin1"] == 0
    assert found["edged_bgp_speaker_restarts_total", "sin1"] == 7
    assert found["edged_bgp_drained", "sin1"] == 0
    assert found["edged_bgp_session_up", "sin1", "tor1"] == 0
    assert found["edged_bgp_session_up", "sin1", "tor2"] == 1
    assert found["edged_bgp_session_hold_seconds", "sin1", "tor2"] == 9
    assert found["edged_bgp_session_flaps_total", "sin1", "tor1"] == 2
    assert found["edged_bgp_bfd_up", "sin1", "tor2"] == 1
    assert ("edged_bgp_bfd_up", "sin1", "tor1") not in found  # it has none
    assert found["edged_bgp_prefix_desired", "sin1", V4] == 2
    assert ("edged_bgp_prefix_announced", "sin1", V4) not in found  # it is not known
    assert found["edged_bgp_prefix_announced", "sin1", V6] == 0
    assert found["edged_bgp_prefix_state", "sin1", V4, "hold-down"] == 1
    assert found["edged_bgp_prefix_flaps_total", "sin1", V4] == 3


def test_time_left_of_a_hold_down(unwell: StatusView) -> None:
    held = anycast(prefixes=(prefix(V4, hold_until=unwell.time + 7.5), prefix(V6)))
    nodes = tuple(replace(node, anycast=held) for node in unwell.nodes)
    found = labelled(replace(unwell, nodes=nodes))
    assert found["edged_bgp_prefix_hold_down_seconds", "sin1", V4] == 7.5
    assert found["edged_bgp_prefix_hold_down_seconds", "sin1", V6] == 0


def test_a_dead_node_has_no_sessions(unwell: StatusView) -> None:
    nodes = tuple(replace(node, anycast=FULL, state="silent") for node in unwell.nodes)
    assert not [key for key in labelled(replace(unwell, nodes=nodes)) if key[0].startswith("edged_bgp")]


def test_drained_is_all_prefixes(unwell: StatusView) -> None:
    gone = (prefix(V4, state="drained"), prefix(V6, state="drained"))
    for prefixes, value in ((gone, 1), ((gone[0], prefix(V6)), 0)):
        nodes = tuple(replace(node, anycast=anycast(prefixes=prefixes)) for node in unwell.nodes)
        assert labelled(replace(unwell, nodes=nodes))["edged_bgp_drained", "ams1"] == value


def test_how_long_certificates_are_good_for(unwell: StatusView) -> None:
    fleet = replace(unwell.fleet, keys=(KeyView("ada", ("deploy",), 3.5), KeyView("unknown", (), None)))
    found = labelled(replace(unwell, fleet=fleet))
    assert found["edged_node_certificate_days", "sin1"] == 3.2
    assert found["edged_tls_certificate_days", "*.shop.example"] == 12.5
    assert {key: days for key, days in found.items() if key[0] == "edged_key_certificate_days"} == {
        ("edged_key_certificate_days", "ada"): 3.5
    }


def test_the_loop_and_its_queues(unwell: StatusView) -> None:
    found = labelled(unwell)
    assert found["edged_loop_lag_seconds",] == 0.25
    of_news = ("edged_queue_depth", "edged_queue_depth_highest", "edged_queue_depth_limit")
    assert [found[name, "news"] for name in of_news] == [3, 7, 1_000]
    assert [found[name, "links"] for name in of_news] == [0, 2, 512]


def test_the_docs_list_every_metric_and_no_other(unwell: StatusView) -> None:
    documented = set(re.findall(r"^\| `(edged_\w+)`", DOCS.read_text(), re.MULTILINE))
    fleet = replace(unwell.fleet, keys=(KeyView("ada", ("deploy",), 3.5),))
    assert documented == {name for name, _ in samples(replace(unwell, fleet=fleet))}
