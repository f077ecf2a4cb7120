"""`wasi:sockets` 0.3: there, so that components link, and refused, as 0.2's.

No socket can be created and no name looked up: `access-denied`. A guest therefore never holds a socket, and the methods
of one are here only to be bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NoReturn

from edged.host.interface import Err, Interface, Invocation, Resource
from edged.host.sockets import ACCESS_DENIED, Method, impossible, refused
from edged.host.wasi3 import VERSIONS


class TcpSocket(Resource):
    """`resource tcp-socket`. There is never one."""

    __slots__ = ()

    bind: Method = refused
    connect: Method = refused
    listen: Method = refused
    send: Method = impossible
    receive: Method = impossible
    get_local_address: Method = refused
    get_remote_address: Method = refused
    get_is_listening: Method = impossible
    get_address_family: Method = impossible
    set_listen_backlog_size: Method = refused
    get_keep_alive_enabled: Method = refused
    set_keep_alive_enabled: Method = refused
    get_keep_alive_idle_time: Method = refused
    set_keep_alive_idle_time: Method = refused
    get_keep_alive_interval: Method = refused
    set_keep_alive_interval: Method = refused
    get_keep_alive_count: Method = refused
    set_keep_alive_count: Method = refused
    get_hop_limit: Method = refused
    set_hop_limit: Method = refused
    get_receive_buffer_size: Method = refused
    set_receive_buffer_size: Method = refused
    get_send_buffer_size: Method = refused
    set_send_buffer_size: Method = refused


class UdpSocket(Resource):
    """`resource udp-socket`. There is never one."""

    __slots__ = ()

    bind: Method = refused
    connect: Method = refused
    disconnect: Method = refused
    send: Method = refused
    receive: Method = refused
    get_local_address: Method = refused
    get_remote_address: Method = refused
    get_address_family: Method = impossible
    get_unicast_hop_limit: Method = refused
    set_unicast_hop_limit: Method = refused
    get_receive_buffer_size: Method = refused
    set_receive_buffer_size: Method = refused
    get_send_buffer_size: Method = refused
    set_send_buffer_size: Method = refused


class SocketTypes(Interface):
    """`wasi:sockets/types`."""

    wit: ClassVar[str] = "wasi:sockets/types"
    versions: ClassVar[tuple[str, ...]] = VERSIONS
    resources: ClassVar[Mapping[str, type[Resource]]] = {"tcp-socket": TcpSocket, "udp-socket": UdpSocket}

    def tcp_socket_create(self, _invocation: Invocation, _address_family: str) -> NoReturn:
        raise Err(ACCESS_DENIED)

    def udp_socket_create(self, _invocation: Invocation, _address_family: str) -> NoReturn:
        raise Err(ACCESS_DENIED)


class IpNameLookup(Interface):
    """`wasi:sockets/ip-name-lookup`."""

    wit: ClassVar[str] = "wasi:sockets/ip-name-lookup"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def resolve_addresses(self, _invocation: Invocation, _name: str) -> NoReturn:
        raise Err(ACCESS_DENIED)
