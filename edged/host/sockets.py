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


def refused(_self: Resource, *_arguments: Any) -> NoReturn:
    """A method that can answer with an error-code."""
    raise Err(ACCESS_DENIED)


def impossible(_self: Resource, *_arguments: Any) -> NoReturn:
    """A method that cannot."""
    raise GuestTrap("a socket was used that cannot exist")


Method = Callable[..., NoReturn]


class Network(Resource):
    """`resource network`. Holding it permits nothing."""


class TcpSocket(Resource):
    """`resource tcp-socket`. There is never one."""

    start_bind: Method = refused
    finish_bind: Method = refused
    start_connect: Method = refused
    finish_connect: Method = refused
    start_listen: Method = refused
    finish_listen: Method = refused
    accept: Method = refused
    local_address: Method = refused
    remote_address: Method = refused
    is_listening: Method = impossible
    address_family: Method = impossible
    set_listen_backlog_size: Method = refused
    keep_alive_enabled: Method = refused
    set_keep_alive_enabled: Method = refused
    keep_alive_idle_time: Method = refused
    set_keep_alive_idle_time: Method = refused
    keep_alive_interval: Method = refused
    set_keep_alive_interval: Method = refused
    keep_alive_count: Method = refused
    set_keep_alive_count: Method = refused
    hop_limit: Method = refused
    set_hop_limit: Method = refused
    receive_buffer_size: Method = refused
    set_receive_buffer_size: Method = refused
    send_buffer_size: Method = refused
    set_send_buffer_size: Method = refused
    subscribe: Method = impossible
    shutdown: Method = refused


class UdpSocket(Resource):
    """`resource udp-socket`. There is never one."""

    start_bind: Method = refused
    finish_bind: Method = refused
    stream: Method = refused
    local_address: Method = refused
    remote_address: Method = refused
    address_family: Method = impossible
    unicast_hop_limit: Method = refused
    set_unicast_hop_limit: Method = refused
    receive_buffer_size: Method = refused
    set_receive_buffer_size: Method = refused
    send_buffer_size: Method = refused
    set_send_buffer_size: Method = refused
    subscribe: Method = impossible


class IncomingDatagramStream(Resource):
    """`resource incoming-datagram-stream`. There is never one."""

    receive: Method = refused
    subscribe: Method = impossible


class OutgoingDatagramStream(Resource):
    """`resource outgoing-datagram-stream`. There is never one."""

    check_send: Method = refused
    send: Method = refused
    subscribe: Method = impossible


class ResolveAddressStream(Resource):
    """`resource resolve-address-stream`. There is never one."""

    resolve_next_address: Method = refused
    subscribe: Method = impossible


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
