"""The gate that an operator's words make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edged.host.network.gate import LOOPBACK, PRIVATE, AddressGate, Network
from edged.runtime_config.model import OutboundNetworking
from edged.runtime_config.networks import NetworkName

_NAMED: dict[str, Sequence[Network]] = {"loopback": LOOPBACK, "private": PRIVATE}


def configured_gate(
    config: OutboundNetworking, *, allowed: Iterable[NetworkName] = (), closed: Iterable[Network] = ()
) -> AddressGate:
    """The gate of an app.

    Args:
        allowed: opened as `config.allow_networks` is: what a command line adds.
        closed: never let pass, whatever the config says: the node's own prefix and peers.
    """
    blocked = config.block_networks
    # Nothing that is not public is let pass but what is opened: so this is all that `private` can mean in
    # `block_networks`, where it stands for every network that is not public.
    opened = () if "private" in blocked else (*config.allow_networks, *allowed)
    return AddressGate(tuple(_networks(opened)), (*closed, *_networks(blocked)))


def _networks(names: Iterable[NetworkName]) -> Iterable[Network]:
    for name in names:
        if isinstance(name, str):
            yield from _NAMED[name]
        else:
            yield name
