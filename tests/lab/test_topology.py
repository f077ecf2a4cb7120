from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.topology import Topology

FIVE = Path(__file__).with_name("five-regions.toml")


def test_ways_are_the_quickest() -> None:
    topology = Topology.load(FIVE)
    assert topology.rtt_ms("ams", "fra") == 5
    assert topology.rtt_ms("ams", "syd") == 245
    assert topology.rtt_ms("nyc", "sin") == 220
    assert topology.rtt_ms("sin", "nyc") == 220
    assert topology.rtt_ms("ams", "ams") == 0


def test_a_route_leaves_by_the_first_link_of_its_way() -> None:
    topology = Topology.load(FIVE)
    routes = dict(topology.routes("ams"))
    assert routes["syd"].interface == "to-fra"
    assert routes["nyc"].interface == "to-nyc"
    assert "ams" not in routes
    assert set(dict(topology.routes("home"))) == set(topology.addresses) - {"home"}


def test_addresses_are_all_different() -> None:
    topology = Topology.load(FIVE)
    ends = [end.address for link in topology.links for end in link.ends]
    assert len({*ends, *topology.addresses.values()}) == len(ends) + len(topology.addresses)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[place.a]\n[[link]]\nbetween = ["a", "b"]', "a and b are not two places"),
        ('[place.a]\n[[link]]\nbetween = ["a", "a"]', "a and a are not two places"),
        ("[place.a]\n[place.b]", "no way leads from a to b"),
    ],
)
def test_what_cannot_be_built_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Topology.parse(text)
