from __future__ import annotations

import tomllib
from ipaddress import ip_address
from pathlib import Path

import pytest

from bgp.peer import BfdTimes
from tests.lab.internet import Internet

LAB = Path(__file__).parent
HEAD = '[anycast]\nhost = "a.example"\nprefixes = ["203.0.113.10/32"]\nasn = 65200\n'
LINK = '[[link]]\nbetween = ["r", "n"]\n'


@pytest.mark.parametrize("file", ["anycast.toml", "ecmp.toml", "two-regions.toml"])
def test_every_node_and_client_has_a_router(file: str) -> None:
    internet = Internet.load(LAB / file)
    for place in (*internet.nodes, *internet.clients):
        assert [end.neighbor for end in internet.topology.ends(place) if end.neighbor in internet.routers] != []


def test_sessions_are_seen_from_both_ends() -> None:
    internet = Internet.load(LAB / "anycast.toml")
    ends = {(router, each.name, each.asn) for router in internet.routers for each in internet.neighbors(router)}
    assert ("ams", "ams-1", 65200) in ends
    assert ("ams", "nyc", 65105) in ends
    assert ("nyc", "ams", 65101) in ends
    assert not any("c-ams" in each for each in ends)


def test_a_node_is_told_its_router() -> None:
    internet = Internet.load(LAB / "two-regions.toml").but(hold_s=9, bfd=BfdTimes(50, 4))
    table = tomllib.loads(internet.node_toml("dal-1", Path("/secrets")))["bgp"]
    (peer,) = table.pop("peer")
    assert table == {"asn": 65200, "router_id": str(internet.topology.addresses["dal-1"]), "hold_s": 9}
    (end,) = internet.topology.ends("dal-1")
    assert (ip_address(peer["address"]), ip_address(peer["local_address"])) == (end.other, end.address)
    assert ip_address(peer["next_hop"]) == end.address6
    assert peer["password_file"] == "/secrets/dal"
    assert peer["ttl_security"] is True
    assert peer["bfd"] == {"interval_ms": 50, "multiplier": 4}


def test_without_password_bfd_and_ttl_nothing_is_said_of_them() -> None:
    text = Internet.load(LAB / "anycast.toml").node_toml("ams-1", Path("/secrets"))
    assert "password" not in text
    assert "bfd" not in tomllib.loads(text)["bgp"]["peer"][0]
    assert "ttl" not in text


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ('[place.r]\nasn = 1\nrouter = "bird"\n[place.n]\n', "n is to be one of"),
        ('[place.r]\nasn = 1\nrouter = "bird"\n[place.n]\nregion = "n"\nclient = true\n', "n is to be one of"),
        ('[place.r]\nasn = 1\nrouter = "cisco"\n[place.n]\nregion = "n"\n', "cisco is no router"),
    ],
)
def test_what_is_no_internet_is_refused(places: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Internet.parse(HEAD + places + LINK)


def test_frr_cannot_be_told_to_ignore_graceful_shutdown() -> None:
    places = '[place.r]\nasn = 1\nrouter = "{}"\n[place.n]\nregion = "n"\n'
    head = HEAD + "graceful_shutdown = false\n"
    assert not Internet.parse(head + places.format("bird") + LINK).graceful_shutdown
    with pytest.raises(ValueError, match="FRR"):
        Internet.parse(head + places.format("frr") + LINK)
