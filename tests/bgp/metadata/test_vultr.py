from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from bgp.errors import MetadataInvalid
from bgp.metadata.vultr import parse
from bgp.peer import Peer
from bgp.static_route import StaticRoute
from tests.bgp.metadata.documents import GONE, changed, document


def test_one_router_of_each_family() -> None:
    sessions = parse(document("vultr"))
    assert sessions.asn == 64496
    assert sessions.peers == (
        Peer("vultr-v4", ip_address("169.254.169.254"), 64515, ip_address("192.0.2.2"), multihop=2),
        Peer(
            "vultr-v6",
            ip_address("2001:19f0:ffff::1"),
            64515,
            ip_address("2001:db8:7400:7ccf:5428:d5ff:fe28:1910"),
            multihop=2,
        ),
    )
    assert sessions.routes == (StaticRoute(ip_address("169.254.169.254"), ip_address("192.0.2.1")),)


EMPTY = {"my-address": "", "my-asn": "", "peer-address": "", "peer-asn": ""}


@pytest.mark.parametrize("value", [EMPTY, GONE])
def test_a_family_without_a_session_is_left_out(value: object) -> None:
    assert [peer.name for peer in parse(changed("vultr", ("bgp", "ipv6"), value)).peers] == ["vultr-v4"]


def test_without_interfaces_there_is_no_route() -> None:
    assert parse(changed("vultr", ("interfaces",), [])).routes == ()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("bgp",), GONE, "no BGP session at its provider"),
        (("bgp",), {"ipv4": EMPTY, "ipv6": EMPTY}, "no BGP session at its provider"),
        (("bgp",), "x", "bgp is no object"),
        (("bgp", "ipv4"), [], "bgp.ipv4 is no object"),
        (("bgp", "ipv4", "my-asn"), "", "my-asn is no number"),
        (("bgp", "ipv4", "my-asn"), "64497", "two AS numbers"),
        (("bgp", "ipv4", "peer-asn"), "٣", "peer-asn is no number"),
        (("bgp", "ipv4", "peer-address"), "2001:db8::1", "is no IPv4 address"),
        (("bgp", "ipv6", "my-address"), "fe80::1%2", "with a zone"),
        (("interfaces",), {}, "interfaces is no array"),
        (("interfaces", 0, "ipv4", "gateway"), "x", "is no IPv4 address"),
    ],
)
def test_what_is_no_session(path: Sequence[str | int], value: object, said: str) -> None:
    with pytest.raises(MetadataInvalid, match=said):
        parse(changed("vultr", path, value))
