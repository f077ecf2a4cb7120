"""wasi:sockets 0.3: there and refused."""

from __future__ import annotations

import pytest

from edged.errors import GuestTrap
from edged.host.wasi3.sockets import IpNameLookup, SocketTypes, TcpSocket, UdpSocket
from tests.host.fakes import err, invocation


def test_no_socket_can_be_created_and_no_name_looked_up() -> None:
    with err("access-denied"):
        SocketTypes().tcp_socket_create(invocation(), "ipv4")
    with err("access-denied"):
        SocketTypes().udp_socket_create(invocation(), "ipv6")
    with err("access-denied"):
        IpNameLookup().resolve_addresses(invocation(), "example.com")


@pytest.mark.parametrize("socket", [TcpSocket, UdpSocket])
def test_a_method_refuses_with_an_error_or_a_trap(socket) -> None:
    without_result = {
        TcpSocket: {"send", "receive", "get_is_listening", "get_address_family"},
        UdpSocket: {"get_address_family"},
    }[socket]
    methods = {name for name in vars(socket) if not name.startswith("_")}
    assert without_result < methods
    for name in methods:
        refusal = pytest.raises(GuestTrap) if name in without_result else err("access-denied")
        with refusal:
            getattr(socket(), name)(None)
