from __future__ import annotations

from collections.abc import Sequence

import pytest

from edged.bench.fleet_targets import anycast_target, region_targets
from edged.errors import UsageError
from edged.status.view import FleetView, NodeView, RegionView, StatusView


def view(prefixes: Sequence[str] = ("203.0.113.10/32",), nodes: Sequence[NodeView] = ()) -> StatusView:
    regions = tuple(RegionView(name, 1, 1, 0.0, None, None) for name in dict.fromkeys(node.region for node in nodes))
    fleet = FleetView("main", "", 1, 1, tuple(prefixes), ())
    return StatusView(0.0, "ams1", fleet, regions, tuple(nodes), (), ())


def node(name: str, url: str, state: str = "up") -> NodeView:
    return NodeView(name, name[:3], "", url, state)  # type: ignore[arg-type]


AMS, NYC = node("ams1", "http://198.51.100.1:8080"), node("nyc1", "http://198.51.100.2:8080")


@pytest.mark.parametrize(
    ("prefixes", "url"),
    [
        (["203.0.113.10/32"], "http://203.0.113.10:8080/"),
        (["2001:db8::10/128", "203.0.113.0/24", "203.0.113.10/32"], "http://203.0.113.10:8080/"),
    ],
)
def test_the_prefix_that_is_one_address(prefixes: list[str], url: str) -> None:
    assert anycast_target(view(prefixes, [AMS]), "").url == url


def test_ipv6_alone() -> None:
    target = anycast_target(view(["2001:db8::10/128"], [node("ams1", "http://198.51.100.1")]), "shop.example")
    assert (target.name, target.url) == ("anycast", "http://[2001:db8::10]/")
    assert target.httping[-1] == "http://shop.example/"


@pytest.mark.parametrize(("prefixes", "nodes"), [(["203.0.113.0/24"], [AMS]), ([], [AMS]), (["203.0.113.10/32"], [])])
def test_nothing_to_measure(prefixes: list[str], nodes: list[NodeView]) -> None:
    with pytest.raises(UsageError) as raised:
        anycast_target(view(prefixes, nodes), "")
    assert "edged bench anycast http://" in raised.value.remedy


def test_a_node_of_each_region_that_is_up_if_there_is_one() -> None:
    nodes = [
        node("ams1", "http://198.51.100.1", "silent"),
        node("ams2", "http://198.51.100.3"),
        NYC,
        node("syd1", ""),
        node("sin1", "http://198.51.100.4", "silent"),
    ]
    assert [(target.name, target.address) for target in region_targets(view(nodes=nodes), "")] == [
        ("ams", "198.51.100.3"), ("nyc", "198.51.100.2"), ("sin", "198.51.100.4"),
    ]  # fmt: skip
