"""What a provider says about a machine's BGP sessions: the one type that all parsers of metadata end in."""

from __future__ import annotations

from dataclasses import dataclass

from bgp.peer import Peer
from bgp.static_route import StaticRoute


@dataclass(frozen=True, slots=True)
class ProviderSessions:
    """Checked.

    Attributes:
        asn: ours.
        peers: with what the provider says of them: address, asn, local address, password, hops. The rest is as
            `Peer` has it.
        routes: that lead to peers which no direct link and no default route is sure to reach.
    """

    asn: int
    peers: tuple[Peer, ...]
    routes: tuple[StaticRoute, ...] = ()
