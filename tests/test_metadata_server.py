"""The provider that tests play: nodes read its shapes as they read real ones, and each fault is an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio.testing

from bgp.errors import BgpError, MetadataInvalid, MetadataUnavailable
from bgp.metadata.provider import PROVIDERS, fetch
from tests import metadata_server
from tests.metadata_server import EQUINIX_PATH, FAULTS, VULTR_PATH, Server

LOCAL = {4: "10.0.0.3", 6: "2001:db8:1::3"}
EQUINIX = metadata_server.equinix(
    asn=65000,
    peer_asn=65530,
    routers={4: ("169.254.255.1", "169.254.255.2"), 6: ("fc00::e", "fc00::f")},
    local=LOCAL,
    gateways={4: "10.0.0.2", 6: "2001:db8:1::2"},
    password="of the rack",
)
VULTR = metadata_server.vultr(
    asn=65000,
    peer_asn=64515,
    routers={4: "169.254.169.254", 6: "2001:19f0:ffff::1"},
    local=LOCAL,
    gateway="10.0.0.2",
)
WRONG: dict[str, tuple[type[BgpError], str]] = {
    "missing": (MetadataUnavailable, "answered 404"),
    "error": (MetadataUnavailable, "answered 500"),
    "elsewhere": (MetadataUnavailable, "answered 302"),
    "malformed": (MetadataInvalid, "no JSON"),
    "not-json": (MetadataInvalid, "no JSON"),
    "short": (MetadataUnavailable, "metadata: "),
    "slow": (MetadataUnavailable, "did not answer in 5 s"),
    "silent": (MetadataUnavailable, "did not answer in 5 s"),
    "endless": (MetadataUnavailable, "more than"),
    "reset": (MetadataUnavailable, "metadata: "),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with metadata_server.serving(tmp_path) as server:
        server.say(EQUINIX)
        yield server


async def test_equinix(server: Server) -> None:
    found = await fetch(PROVIDERS["equinix"], server.url + EQUINIX_PATH)
    assert found.asn == 65000
    assert [(str(peer.address), peer.asn, str(peer.local_address), peer.password) for peer in found.peers] == [
        (router, 65530, LOCAL[version], "of the rack")
        for version, routers in ((4, ("169.254.255.1", "169.254.255.2")), (6, ("fc00::e", "fc00::f")))
        for router in routers
    ]
    assert [str(route.gateway) for route in found.routes] == ["10.0.0.2"] * 2 + ["2001:db8:1::2"] * 2


async def test_vultr(server: Server) -> None:
    server.say(VULTR)
    found = await fetch(PROVIDERS["vultr"], server.url + VULTR_PATH)
    assert found.asn == 65000
    assert [(str(peer.address), peer.asn, str(peer.local_address), peer.multihop) for peer in found.peers] == [
        ("169.254.169.254", 64515, LOCAL[4], 2),
        ("2001:19f0:ffff::1", 64515, LOCAL[6], 2),
    ]
    assert [(route.destination, str(route.gateway)) for route in found.routes] == [
        (ip_address("169.254.169.254"), "10.0.0.2")
    ]


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults(server: Server, fault: str, autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = 0.3  # real seconds: threads and packets take none of the clock's
    server.fail(fault)
    error, said = WRONG[fault]
    with pytest.raises(error, match=said):
        await fetch(PROVIDERS["equinix"], server.url + EQUINIX_PATH)
    server.fail("")
    assert (await fetch(PROVIDERS["equinix"], server.url + EQUINIX_PATH)).asn == 65000
