from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from bgp.errors import MetadataInvalid
from bgp.limits import PASSWORD_CHARS_MAX, PEER_COUNT_MAX
from bgp.metadata.equinix import parse
from bgp.peer import Peer
from bgp.static_route import StaticRoute
from tests.bgp.metadata.documents import GONE, changed, document

NEIGHBOR = ("bgp_neighbors", 0)


def test_both_routers_of_both_families() -> None:
    sessions = parse(document("equinix"))
    assert sessions.asn == 65000
    assert sessions.peers == tuple(
        Peer(
            name=name,
            address=ip_address(address),
            asn=65530,
            local_address=ip_address(local),
            password="correct horse",
            multihop=5,
        )
        for name, address, local in (
            ("equinix-v4-1", "169.254.255.1", "10.99.182.129"),
            ("equinix-v4-2", "169.254.255.2", "10.99.182.129"),
            ("equinix-v6-1", "fc00::e", "2001:db8:45::3"),
            ("equinix-v6-2", "fc00::f", "2001:db8:45::3"),
        )
    )


def test_routers_are_behind_the_gateway_of_the_address_that_speaks() -> None:
    assert parse(document("equinix")).routes == tuple(
        StaticRoute(ip_address(to), ip_address(gateway))
        for to, gateway in (
            ("169.254.255.1", "10.99.182.128"),
            ("169.254.255.2", "10.99.182.128"),
            ("fc00::e", "2001:db8:45::2"),
            ("fc00::f", "2001:db8:45::2"),
        )
    )


def test_a_direct_neighbour_needs_no_route() -> None:
    sessions = parse(changed("equinix", (*NEIGHBOR, "multihop"), False))
    assert [peer.multihop for peer in sessions.peers] == [1, 1, 5, 5]
    assert [route.destination.version for route in sessions.routes] == [6, 6]


def test_without_addresses_there_are_no_routes() -> None:
    assert parse(changed("equinix", ("network",), GONE)).routes == ()
    assert parse(changed("equinix", ("network", "addresses", 2, "enabled"), False)).routes[0].destination.version == 6


def test_no_password_where_there_is_none() -> None:
    sessions = parse(changed("equinix", (*NEIGHBOR, "md5_enabled"), False))
    assert sessions.peers[0].password == ""
    assert sessions.peers[2].password == "correct horse"


def test_the_password_is_not_shown() -> None:
    assert "horse" not in repr(parse(document("equinix")))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("bgp_neighbors",), GONE, "no 'bgp_neighbors'"),
        (("bgp_neighbors",), [], "bgp_neighbors is empty"),
        (("bgp_neighbors",), {}, "bgp_neighbors is no array"),
        (NEIGHBOR, "x", "is no object"),
        ((*NEIGHBOR, "customer_as"), 0, "is no AS number"),
        ((*NEIGHBOR, "customer_as"), 2**32, "is no AS number"),
        ((*NEIGHBOR, "customer_as"), True, "is no number"),
        ((*NEIGHBOR, "customer_as"), 65001, "2 AS numbers"),
        ((*NEIGHBOR, "peer_as"), "9" * 5000, "is no number"),
        ((*NEIGHBOR, "peer_as"), None, "is no number"),
        ((*NEIGHBOR, "address_family"), 5, "neither 4 nor 6"),
        ((*NEIGHBOR, "address_family"), 6, "is no IPv6 address"),
        ((*NEIGHBOR, "customer_ip"), "10.99.182.300", "is no IPv4 address"),
        ((*NEIGHBOR, "peer_ips"), [], "peer_ips is empty"),
        ((*NEIGHBOR, "peer_ips"), ["169.254.255.1", "169.254.255.1"], "a router twice"),
        (("bgp_neighbors", 1, "peer_ips"), ["fe80::1%eth0"], "with a zone"),
        (("bgp_neighbors", 1, "peer_ips"), ["::ffff:192.0.2.1"], "of no machine"),
        ((*NEIGHBOR, "peer_ips"), ["0.0.0.0"], "of no machine"),
        ((*NEIGHBOR, "peer_ips"), ["224.0.0.5"], "of no machine"),
        ((*NEIGHBOR, "peer_ips"), ["127.0.0.1"], "of no machine"),
        (("network", "addresses", 2, "gateway"), "255.255.255.255", "of no machine"),
        ((*NEIGHBOR, "multihop"), "true", "is no true or false"),
        ((*NEIGHBOR, "md5_password"), None, "is no string"),
        ((*NEIGHBOR, "md5_password"), "", "is empty"),
        ((*NEIGHBOR, "md5_password"), "a\nb", "is no password"),
        ((*NEIGHBOR, "md5_password"), "x" * (PASSWORD_CHARS_MAX + 1), "is no password"),
        (("network",), [], "network is no object"),
        (("network", "addresses", 2, "gateway"), "x", "is no IPv4 address"),
    ],
)
def test_what_is_no_session(path: Sequence[str | int], value: object, said: str) -> None:
    with pytest.raises(MetadataInvalid, match=said) as raised:
        parse(changed("equinix", path, value))
    assert "horse" not in raised.value.message


def test_as_many_routers_as_there_may_be() -> None:
    def routers(count: int) -> list[str]:
        return [f"169.254.255.{number}" for number in range(1, count + 1)]

    whole = changed("equinix", (*NEIGHBOR, "peer_ips"), routers(PEER_COUNT_MAX))
    whole["bgp_neighbors"].pop()
    assert len(parse(whole).peers) == PEER_COUNT_MAX
    whole["bgp_neighbors"][0]["peer_ips"] = routers(PEER_COUNT_MAX + 1)
    with pytest.raises(MetadataInvalid, match="more than"):
        parse(whole)


def test_a_password_of_all_the_kernel_takes() -> None:
    longest = "x" * PASSWORD_CHARS_MAX
    assert parse(changed("equinix", (*NEIGHBOR, "md5_password"), longest)).peers[0].password == longest


def test_neighbors_of_one_family_have_names_of_their_own() -> None:
    whole = document("equinix")
    other = {**whole["bgp_neighbors"][0], "peer_ips": ["169.254.255.3", "169.254.255.4"]}
    whole["bgp_neighbors"].append(other)
    names = [peer.name for peer in parse(whole).peers if peer.address.version == 4]
    assert names == [f"equinix-v4-{number}" for number in (1, 2, 3, 4)]
