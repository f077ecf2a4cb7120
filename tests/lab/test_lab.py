"""The lab itself: what it says of delays and cuts is so. Needs root, as all labs do."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.lab.lab import Lab, may_run
from tests.lab.topology import Topology

TEXT = """
[place.a]
[place.b]
[place.c]
[[link]]
between = ["a", "b"]
rtt_ms = 40
[[link]]
between = ["b", "c"]
"""

needs_lab = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")


@needs_lab
def test_packets_are_held_cut_and_let_through() -> None:
    with Lab(Topology.parse(TEXT)) as lab:
        # The shortest of several: a busy machine adds to a round trip, and never takes away.
        assert _rtt_ms(lab, "a", "c") >= 40
        lab.set_delay("a", "b", 10)
        assert 10 <= _rtt_ms(lab, "a", "b") < 40
        lab.set_delay("a", "b", None)
        assert "100% packet loss" in _ping(lab, "c", "a", count=1)
        lab.set_delay("a", "b", 10)
        assert " 0% packet loss" in _ping(lab, "c", "a", count=1)


@needs_lab
def test_nothing_is_left_behind() -> None:
    with Lab(Topology.parse(TEXT)) as lab:
        process = lab.start("a", ["sleep", "600"])
        name = lab.namespace("a")
        assert name in _namespaces()
    assert process.returncode is not None
    assert name not in _namespaces()


def _ping(lab: Lab, place: str, target: str, count: int) -> str:
    return lab.run(place, ["ping", "-n", "-c", str(count), "-i", "0.2", "-W", "2", lab.address(target)], check=False)


def _rtt_ms(lab: Lab, place: str, target: str) -> float:
    shortest = re.search(r"= ([0-9.]+)/", _ping(lab, place, target, count=5))
    assert shortest is not None
    return float(shortest[1])


def _namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
