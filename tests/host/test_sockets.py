"""wasi:sockets: linked, and refused."""

from __future__ import annotations

import inspect

import pytest

from edged.errors import GuestTrap
from edged.host import sockets
from edged.host.streams import IoError
from tests.host.fakes import err, invocation

# Methods whose WIT result has no error case.
WITHOUT_ERROR = {"is_listening", "address_family", "subscribe"}

RESOURCES = [
    sockets.TcpSocket,
    sockets.UdpSocket,
    sockets.IncomingDatagramStream,
    sockets.OutgoingDatagramStream,
    sockets.ResolveAddressStream,
]

METHODS = [
    (resource, name)
    for resource in RESOURCES
    for name, value in vars(resource).items()
    if inspect.isfunction(value) and not name.startswith("_")
]


def test_a_network_is_there_and_permits_nothing() -> None:
    network = sockets.InstanceNetwork().instance_network(invocation())
    with err("access-denied"):
        sockets.IpNameLookup().resolve_addresses(invocation(), network, "example.com")
    network.drop()


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_no_socket_is_created(family) -> None:
    with err("access-denied"):
        sockets.TcpCreateSocket().create_tcp_socket(invocation(), family)
    with err("access-denied"):
        sockets.UdpCreateSocket().create_udp_socket(invocation(), family)


def test_every_socket_resource_has_its_methods() -> None:
    assert len(METHODS) == 28 + 13 + 2 + 3 + 2


@pytest.mark.parametrize(("resource", "name"), METHODS)
def test_every_method_refuses(resource, name) -> None:
    method = getattr(resource(), name)
    if name in WITHOUT_ERROR:
        with pytest.raises(GuestTrap):
            method()
    else:
        with err("access-denied"):
            method(None, None)


def test_no_stream_error_is_a_sockets() -> None:
    assert sockets.NetworkTypes().network_error_code(invocation(), IoError("of another kind")) is None
