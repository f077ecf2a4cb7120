"""Every form in which an address that is not public can be written."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from edged.host.network.gate import LOOPBACK, PRIVATE, AddressGate

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1", "64:ff9b::101:101"]

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.31.255.255",
    "192.168.1.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::101:101",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2002:7f00:1::",
    "2002:101:101::",
    "2001:db8::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1111%eth0",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_admitted(address) -> None:
    assert AddressGate().admits(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_address_is_admitted(address) -> None:
    assert not AddressGate().admits(ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "10.0.0.1", "fd00::1"])
def test_the_operator_opens_networks(address) -> None:
    assert AddressGate(opened=PRIVATE).admits(ip_address(address))


METADATA = ["100.100.100.200", "168.63.129.16", "::ffff:168.63.129.16", "fd00:ec2::254", "fd20:ce::254", "fd00:42::42"]


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_opened_by_their_own_address_alone(address) -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    for opened in ((), PRIVATE, everything, (ip_network("fd00::/16"), ip_network("100.100.100.200/31"))):
        assert not AddressGate(opened=opened).admits(ip_address(address))
    named = ip_address(address)
    assert AddressGate(opened=(ip_network(getattr(named, "ipv4_mapped", None) or named),)).admits(named)


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "fe80::1", "::", "0.0.0.0"])
def test_and_only_those(address) -> None:
    assert not AddressGate(opened=LOOPBACK).admits(ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.5", "203.0.113.9", "1.2.3.4", "::ffff:1.2.3.4", "2a00::1"])
def test_what_is_closed_stays_closed(address) -> None:
    closed = tuple(ip_network(text) for text in ("127.0.0.0/8", "203.0.113.0/24", "1.2.3.0/24", "2a00::/16"))
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert not AddressGate(opened=everything, closed=closed).admits(ip_address(address))
