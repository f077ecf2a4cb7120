"""The gate that an operator's words make."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from edged.host.network.configured import configured_gate
from edged.runtime_config.model import OutboundNetworking
from edged.runtime_config.networks import NetworkName, parse_network

ADDRESSES = ("127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd00::1", "169.254.169.254", "8.8.8.8", "2606:4700::1")
PUBLIC = {"8.8.8.8", "2606:4700::1"}


def admitted(*, allow: str = "", block: str = "", allowed: str = "", closed: str = "") -> set[str]:
    """Which of the addresses pass; networks are given in one text each."""

    def names(text: str) -> tuple[NetworkName, ...]:
        return tuple(parse_network(word) for word in text.split())

    gate = configured_gate(
        OutboundNetworking(names(block), names(allow)),
        allowed=names(allowed),
        closed=[ip_network(word) for word in closed.split()],
    )
    return {address for address in ADDRESSES if gate.admits(ip_address(address))}


@pytest.mark.parametrize(
    ("networks", "more"),
    [
        ("", set()),
        ("loopback", {"127.0.0.1", "::1"}),
        ("private", {"127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd00::1"}),
        ("10.0.0.0/8", {"10.1.2.3"}),
        ("169.254.169.254/32 loopback", {"169.254.169.254", "127.0.0.1", "::1"}),
    ],
)
def test_what_is_allowed(networks: str, more: set[str]) -> None:
    assert admitted(allow=networks) == PUBLIC | more
    assert admitted(allowed=networks) == PUBLIC | more


def test_what_is_blocked() -> None:
    assert admitted(block="8.8.0.0/16") == {"2606:4700::1"}
    assert admitted(block="0.0.0.0/0 ::/0", allow="private") == set()
    assert admitted(block="10.0.0.0/9 loopback", allow="private") == PUBLIC | {"192.168.1.1", "fd00::1"}


def test_private_blocks_all_that_is_not_public() -> None:
    everything = "private 169.254.0.0/16 10.0.0.0/8"
    assert admitted(block="private", allow=everything, allowed=everything) == PUBLIC


def test_what_the_node_closes_stays_closed() -> None:
    assert admitted(allow="8.8.8.8 private", closed="8.8.8.8/32 10.1.2.3/32") == {
        "2606:4700::1", "127.0.0.1", "::1", "192.168.1.1", "fd00::1",
    }  # fmt: skip
