from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from bgp.static_route import StaticRoute
from tests.bgp.namespaces import Machine, machine
from tests.lab.lab import may_run

needs_root = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")

ROUTE = "169.254.255.1,10.0.0.2"
ROUTE6 = "fc00::e,2001:db8:1::2"


def test_as_ip_takes_it() -> None:
    assert str(StaticRoute(ip_address("169.254.255.1"), ip_address("10.0.0.2"))) == "169.254.255.1/32 via 10.0.0.2"
    link_local = StaticRoute(ip_address("fc00::e"), ip_address("fe80::1"), "eth0")
    assert str(link_local) == "fc00::e/128 via fe80::1 dev eth0"


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine() as made:
        made.run("ip", "link", "add", "out", "type", "veth", "peer", "name", "far")
        made.run("ip", "link", "set", "out", "up")
        made.run("ip", "link", "set", "far", "up")
        made.run("ip", "address", "add", "10.0.0.1/24", "dev", "out")
        made.run("ip", "address", "add", "2001:db8:1::1/64", "dev", "out", "nodad")
        yield made


@needs_root
def test_what_is_missing_is_said_and_the_remedy_works(here: Machine) -> None:
    problems = here.ask("check", ROUTE, ROUTE6)
    assert [message for message, _ in problems] == [
        "there is no route to 169.254.255.1",
        "there is no route to fc00::e",
    ]
    for _, remedy in problems:
        here.run(*remedy.split("`")[1].split())
    assert here.ask("check", ROUTE, ROUTE6) == []


@needs_root
def test_a_default_route_is_not_enough(here: Machine) -> None:
    here.run("ip", "route", "add", "default", "via", "10.0.0.2")
    assert len(here.ask("check", ROUTE)) == 1


@needs_root
def test_own_sets_what_is_missing_or_leads_elsewhere(here: Machine) -> None:
    here.run("ip", "route", "add", "169.254.255.1/32", "via", "10.0.0.3")
    message, _ = here.ask("check", ROUTE)[0]
    assert message == "the route to 169.254.255.1 leads via 10.0.0.3 dev out, not via 10.0.0.2"
    assert here.ask("keep_routes", ROUTE) == [message]
    both = ["169.254.255.1/32 via 10.0.0.2", "fc00::e/128 via 2001:db8:1::2"]
    assert here.ask("own_routes", ROUTE, ROUTE6) == [both, []]
    assert here.ask("own_routes", ROUTE, ROUTE6) == [[], []]
    assert here.ask("keep_routes", ROUTE, ROUTE6) == []
    assert here.ask("own_routes", "fc00::f,fe80::1,out") == [["fc00::f/128 via fe80::1 dev out"], []]
    assert here.ask("check", "fc00::f,fe80::1,other") != []


@needs_root
def test_a_gateway_that_no_interface_reaches_keeps_no_other_route_from_being_set(here: Machine) -> None:
    wrong, (left,) = here.ask("own_routes", "169.254.255.2,192.0.2.1", ROUTE)
    assert len(wrong) == 2
    assert "169.254.255.2/32 via 192.0.2.1" in left
    assert left.endswith("[bgp.network-setting-failed]")
    assert here.ask("check", ROUTE) == []
