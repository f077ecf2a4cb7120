"""What the tests of database clients share: a way to servers of this machine only, and what is trusted there."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
import trustme

from edged.host.interface import Err
from edged.host.network.dialer import Dialer
from edged.host.network.gate import LOOPBACK, Address, AddressGate
from edged.host.network.grant import Grant
from edged.host.network.trust import ContextOf
from edged.manifest.outbound import AllowedHosts, parse_host


async def _resolve(host: str, _port: int) -> Sequence[Address]:
    if host not in ("localhost", "other.example"):
        raise OSError
    return [ip_address("127.0.0.1")]


def dialer(gate: AddressGate | None = None) -> Dialer:
    """Reaches this machine, which has two names."""
    return Dialer(gate or AddressGate(opened=LOOPBACK), _resolve)


def grant(*hosts: str, gate: AddressGate | None = None) -> Grant:
    return Grant(AllowedHosts(tuple(map(parse_host, hosts))), dialer(gate))


def trusting(authority: trustme.CA) -> ContextOf:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's authorities, which take long to read
    authority.configure_trust(context)
    return lambda _host: context


def failed(case: str, text: str):
    """An Err of that case whose text has that in it; spin:postgres 4 has some of it in a variant or record."""
    return pytest.raises(Err, check=lambda error: error.value[0] == case and text in repr(error.value[1]))
