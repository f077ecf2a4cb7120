"""What a round of probes says of an address."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from edged.anycast.probe import Probe, Round, Serving, Target

V4, V6, OTHER = ip_address("203.0.113.10"), ip_address("2001:db8::10"), ip_address("203.0.113.11")
HTTP, HTTPS, HTTP6 = Target(V4, 80), Target(V4, 443, tls=True), Target(V6, 80)


def round_of(*failed: tuple[Target, int], targets: tuple[Target, ...] = (HTTP, HTTPS, HTTP6)) -> Round:
    probes = (
        Probe(worker, target, (target, worker) not in failed, 0.001, "it does not" * ((target, worker) in failed))
        for target in targets
        for worker in range(2)
    )
    return Round(tuple(probes), 0.0)


@pytest.mark.parametrize(
    ("failed", "v4", "v6"),
    [
        ([], "all", "all"),
        ([(HTTP, 0)], "some", "all"),
        ([(HTTP, 0), (HTTPS, 0)], "some", "all"),
        ([(HTTP, 0), (HTTPS, 1)], "none", "all"),  # each port has a worker that does not answer on it
        ([(HTTP6, 0), (HTTP6, 1)], "all", "none"),
    ],
)
def test_serving(failed: list[tuple[Target, int]], v4: Serving, v6: Serving) -> None:
    found = round_of(*failed)
    assert (found.serving([V4]), found.serving([V6])) == (v4, v6)


def test_several_addresses_are_one_prefix() -> None:
    found = round_of((HTTP6, 1))
    assert (found.serving([V4, V6]), found.serving([V4])) == ("some", "all")


def test_an_address_that_nobody_asked_is_not_served() -> None:
    assert round_of().serving([OTHER]) == "none"


def test_the_detail_is_of_the_first_that_fails() -> None:
    assert round_of().detail([V4]) == ""
    assert round_of((HTTP6, 1)).detail([V4]) == ""
    assert round_of((HTTP6, 1)).detail([V6]) == "worker 1 at 2001:db8::10 port 80: it does not"
    assert round_of((HTTP, 0), (HTTPS, 0), (HTTPS, 1)).detail([V4]).endswith("port 80: it does not (and 2 more)")
