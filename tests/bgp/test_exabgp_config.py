from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest

from bgp.announcement import Announcement, Attributes, Community, LargeCommunity
from bgp.errors import PeerInvalid
from bgp.exabgp_config import announce, difference, render, withdraw
from bgp.peer import Peer
from bgp.prefix import Network, parse_prefix
from tests.bgp.parent import config_of

PEER = Peer("a", ip_address("192.0.2.1"), 65101, ip_address("192.0.2.2"), password="s3cret")
V4 = parse_prefix("203.0.113.0/24")
V6 = parse_prefix("2001:db8::/48")
WHOM = "neighbor 192.0.2.1 local-ip 192.0.2.2 local-as 65200 peer-as 65101 router-id 10.9.9.9"


def test_a_direct_neighbour() -> None:
    text = render(config_of(PEER))
    for line in ("hold-time 9;", "connect 179;", "passive false;", "peer-as 65101;", "family { ipv4 unicast; }"):
        assert line in text
    for word in ("s3cret", "md5", "ttl", "source-interface", "ipv6"):
        assert word not in text


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"ttl_security": True}, "incoming-ttl 255;"),
        ({"ttl_security": True}, "outgoing-ttl 255;"),
        ({"multihop": 4}, "outgoing-ttl 4;"),
        ({"interface": "eth0.7"}, 'source-interface "eth0.7";'),
        ({"next_hops": {"ipv6": ip_address("2001:db8::1")}}, "family { ipv4 unicast; ipv6 unicast; }"),
        ({"hold_s": 3}, "hold-time 3;"),
        ({"hold_s": 240}, "hold-time 240;"),
    ],
)
def test_a_setting(fields: dict[str, object], line: str) -> None:
    assert line in render(config_of(replace(PEER, **fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"asn": 65200},
        {"local_address": ip_address("2001:db8::1")},
        {"hold_s": 0},
        {"hold_s": 2},
        {"hold_s": 241},
        {"ttl_security": True, "multihop": 2},
        {"interface": 'eth0"; md5-password "x'},
        {"interface": "a" * 16},
        {"next_hops": {"ipv6": ip_address("192.0.2.9")}},
        # Python takes anything behind a `%`, and writes it out again.
        {"address": ip_address("fe80::1%; } x"), "local_address": ip_address("fe80::2")},
        {"address": ip_address("fe80::1"), "local_address": ip_address("fe80::2%; } x")},
        {"next_hops": {"ipv6": ip_address("fe80::1%; } x")}},
        {"address": ip_address("::ffff:192.0.2.1"), "local_address": ip_address("2001:db8::1")},
        {"next_hops": {"ipv6": ip_address("::ffff:192.0.2.9")}},
        {"next_hops": {"ipv6": ip_address("::")}},
        {"next_hops": {"ipv6": ip_address("ff02::1")}},
        {"address": ip_address("0.0.0.0")},
        {"local_address": ip_address("224.0.0.5")},
    ],
)
def test_a_peer_that_no_session_can_be_had_with(fields: dict[str, object]) -> None:
    with pytest.raises(PeerInvalid, match="peer a: "):
        render(config_of(replace(PEER, **fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [{"address": ip_address("192.0.2.3")}, {"name": "b"}])
def test_peers_that_cannot_be_told_apart(fields: dict[str, object]) -> None:
    with pytest.raises(PeerInvalid, match="two peers"):
        render(config_of(PEER, replace(PEER, **fields)))  # type: ignore[arg-type]
    render(config_of(PEER, replace(PEER, name="b", address=ip_address("192.0.2.3"))))


def test_a_router_id_that_is_none() -> None:
    with pytest.raises(PeerInvalid, match="router id"):
        render(replace(config_of(PEER), router_id=IPv4Address("0.0.0.0")))


def test_lines() -> None:
    config = config_of(PEER)
    full = Attributes(5, (Community(1, 2), Community(65535, 0)), (LargeCommunity(1, 2, 3),), 2)
    assert announce(PEER, config, Announcement(V4)) == f"{WHOM} announce route {V4} next-hop 192.0.2.2"
    assert announce(PEER, config, Announcement(V4, full)) == (
        f"{WHOM} announce route {V4} next-hop 192.0.2.2 med 5 community [ 1:2 65535:0 ]"
        " large-community [ 1:2:3 ] as-path [ 65200 65200 65200 ]"
    )
    assert withdraw(PEER, config, V4) == f"{WHOM} withdraw route {V4} next-hop 192.0.2.2"


def test_a_med_of_zero_is_one() -> None:
    assert " med 0" in announce(PEER, config_of(PEER), Announcement(V4, Attributes(med=0)))


def test_the_difference_names_each_prefix_once() -> None:
    both = replace(PEER, next_hops={"ipv6": ip_address("2001:db8::1")})
    plain, longer, other = Announcement(V4), Announcement(V4, Attributes(prepend=4)), Announcement(V6)

    def lines(have: tuple[Announcement, ...], want: tuple[Announcement, ...]) -> list[str]:
        tables: list[dict[Network, Announcement]] = [{one.prefix: one for one in side} for side in (have, want)]
        return [line.partition("router-id 10.9.9.9 ")[2] for line in difference(both, config_of(both), *tables)]

    assert lines((plain, other), (plain, other)) == []
    assert [line.split()[:3:2] for line in lines((plain, other), (longer,))] == [
        ["withdraw", str(V6)],
        ["announce", str(V4)],
    ]
    assert lines((), ()) == []
