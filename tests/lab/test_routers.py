"""What routers are told. That they take it is shown in test_anycast.py, by the real ones."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bgp.peer import BfdTimes
from tests.lab.internet import Internet
from tests.lab.routers import render, render_bfdd

LAB = Path(__file__).parent
TWO = Internet.load(LAB / "two-regions.toml")


def session(text: str, name: str) -> str:
    match = re.search(rf"^protocol bgp {name} {{\n(.*?)^}}", text, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def test_bird_lets_in_the_prefixes_of_a_node_and_hands_it_none() -> None:
    node = session(render(TWO, "ams"), "ams_1")
    assert node.count("export none") == 2
    assert "ipv4 { import filter service_ipv4; import limit 4 action disable; export none; }" in node
    assert 'password "between-us"' in node
    assert "ttl security on" in node
    assert "hold time 3;" in node
    assert "graceful restart off" in node
    assert "bfd" not in node


def test_routers_have_a_session_for_each_family_and_no_password_among_them() -> None:
    text = render(TWO, "ams")
    for name, family in (("dal", "ipv4"), ("dal6", "ipv6")):
        core = session(text, name)
        assert f"{family} {{ import filter service_{family}; export filter service_{family}; next hop self; }}" in core
        assert "password" not in core
        assert "ttl security" not in core


def test_graceful_shutdown_is_honoured_or_not() -> None:
    assert render(TWO, "ams").count("(65535, 0) ~ bgp_community") == 2
    assert "(65535, 0)" not in render(replace(TWO, graceful_shutdown=False), "ams")


def test_bfd_is_asked_of_nodes_only() -> None:
    internet = TWO.but(bfd=BfdTimes(50, 4))
    bird = render(internet, "ams")
    assert "min rx interval 50 ms; min tx interval 50 ms; multiplier 4;" in bird
    assert "bfd on" in session(bird, "ams_1")
    assert "bfd on" not in session(bird, "dal")
    frr = render(internet, "dal")
    assert re.findall(r"neighbor (\S+) bfd$", frr, re.MULTILINE) == ["10.0.0.4"]
    assert "detect-multiplier 4" in render_bfdd(internet)
    assert render_bfdd(TWO) == ""


@pytest.mark.parametrize(("merge", "bird", "frr"), [(True, 2, "maximum-paths 8"), (False, 0, "maximum-paths 1")])
def test_equal_paths_are_merged_or_not(merge: bool, bird: int, frr: str) -> None:
    internet = replace(TWO, merge_paths=merge)
    assert render(internet, "ams").count("merge paths on") == bird
    assert render(internet, "dal").count(frr) == 2


def test_frr_is_told_filters_before_sessions() -> None:
    text = render(TWO, "dal")
    begin = text.index("router bgp")
    named = set(re.findall(r"route-map (\S+) (?:in|out)$", text[begin:], re.MULTILINE))
    assert named == {"in", "out", "nothing"}
    assert {name for name in named if f"route-map {name} " in text[:begin]} == named
    assert "neighbor 10.0.0.4 password between-them" in text
    assert "neighbor 10.0.0.4 ttl-security hops 1" in text
