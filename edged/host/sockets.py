"""`wasi:sockets`: there, so that components link, and refused.

No socket can be created and no name looked up: `access-denied`. A guest therefore never holds a socket or one of its
streams, and their methods are here only to be bound. Spin grants sockets only where the manifest asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn

from edged.errors import GuestTrap
from edged.host.interface import Err, Interface, Invocation, Resource
from edged.host.streams import IoError

ACCESS_DENIED = "access-denied"


def _refused(_self: Resource, *_arguments: Any) -> NoReturn:
    """A method that can answer with an error-code."""
    raise Err(ACCESS_DENIED)


def _impossible(_self: Resource, *_arguments: Any) -> NoReturn:
    """A method that cannot."""
    raise GuestTrap("a socket was used that cannot exist")


_Method = Callable[..., NoReturn]


class Network(Resource):
    """`resource network`. Holding it permits nothing."""


class TcpSocket(Resource):
    """`resource tcp-socket`. There is never one."""

    start_bind: _Method = _refused
    finish_bind: _Method = _refused
    start_connect: _Method = _refused
    finish_connect: _Method = _refused
    start_listen: _Method = _refused
    finish_listen: _Method = _refused
    accept: _Method = _refused
    local_address: _Method = _refused
    remote_address: _Method = _refused
    is_listening: _Method = _impossible
    address_family: _Method = _impossible
    set_listen_backlog_size: _Method = _refused
    keep_alive_enabled: _Method = _refused
    set_keep_alive_enabled: _Method = _refused
    keep_alive_idle_time: _Method = _refused
    set_keep_alive_idle_time: _Method = _refused
    keep_alive_interval: _Method = _refused
    set_keep_alive_interval: _Method = _refused
    keep_alive_count: _Method = _refused
    set_keep_alive_count: _Method = _refused
    hop_limit: _Method = _refused
    set_hop_limit: _Method = _refused
    receive_buffer_size: _Method = _refused
    set_receive_buffer_size: _Method = _refused
    send_buffer_size: _Method = _refused
    set_send_buffer_size: _Method = _refused
    subscribe: _Method = _impossible
    shutdown: _Method = _refused


class UdpSocket(Resource):
    """`resource udp-socket`. There is never one."""

    start_bind: _Method = _refused
    finish_bind: _Method = _refused
    stream: _Method = _refused
    local_address: _Method = _refused
    remote_address: _Method = _refused
    address_family: _Method = _impossible
    unicast_hop_limit: _Method = _refused
    set_unicast_hop_limit: _Method = _refused
    receive_buffer_size: _Method = _refused
    set_receive_buffer_size: _Method = _refused
    send_buffer_size: _Method = _refused
    set_send_buffer_size: _Method = _refused
    subscribe: _Method = _impossible


class IncomingDatagramStream(Resource):
    """`resource incoming-datagram-stream`. There is never one."""

    receive: _Method = _refused
    subscribe: _Method = _impossible


class OutgoingDatagramStream(Resource):
    """`resource outgoing-datagram-stream`. There is never one."""

    check_send: _Method = _refused
    send: _Method = _refused
    subscribe: _Method = _impossible


class ResolveAddressStream(Resource):
    """`resource resolve-address-stream`. There is never one."""

    resolve_next_address: _Method = _refused
    subscribe: _Method = _impossible


class InstanceNetwork(Interface):
    """`wasi:sockets/instance-network`."""

    wit: ClassVar[str] = "wasi:sockets/instance-network"

    def instance_network(self, _invocation: Invocation) -> Network:
        return Network()


class NetworkTypes(Interface):
    """`wasi:sockets/network`."""

    wit: ClassVar[str] = "wasi:sockets/network"
    resources: ClassVar[Mapping[str, type[Resource]]] = {"network": Network}

    def network_error_code(self, _invocation: Invocation, _error: IoError) -> str | None:
        """None: no stream of a guest is a socket's."""
        return None


class IpNameLookup(Interface):
    """`wasi:sockets/ip-name-lookup`."""

    wit: ClassVar[str] = "wasi:sockets/ip-name-lookup"
    resources: ClassVar[Mapping[str, type[Resource]]] = {"resolve-address-stream": ResolveAddressStream}

    def resolve_addresses(self, _invocation: Invocation, _network: Network, _name: str) -> ResolveAddressStream:
        raise Err(ACCESS_DENIED)


class Tcp(Interface):
    """`wasi:sockets/tcp`."""

    wit: ClassVar[str] = "wasi:sockets/tcp"
    resources: ClassVar[Mapping[str, type[Resource]]] = {"tcp-socket": TcpSocket}


class TcpCreateSocket(Interface):
    """`wasi:sockets/tcp-create-socket`."""

    wit: ClassVar[str] = "wasi:sockets/tcp-create-socket"

    def create_tcp_socket(self, _invocation: Invocation, _address_family: str) -> TcpSocket:
        raise Err(ACCESS_DENIED)


class Udp(Interface):
    """`wasi:sockets/udp`."""

    wit: ClassVar[str] = "wasi:sockets/udp"
    resources: ClassVar[Mapping[str, type[Resource]]] = {
        "incoming-datagram-stream": IncomingDatagramStream,
        "outgoing-datagram-stream": OutgoingDatagramStream,
        "udp-socket": UdpSocket,
    }


class UdpCreateSocket(Interface):
    """`wasi:sockets/udp-create-socket`."""

    wit: ClassVar[str] = "wasi:sockets/udp-create-socket"

    def create_udp_socket(self, _invocation: Invocation, _address_family: str) -> UdpSocket:
        raise Err(ACCESS_DENIED)
