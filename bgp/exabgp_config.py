"""A speaker's configuration and announcements as texts that ExaBGP 5 reads.

Written from typed values only: addresses, numbers, and an interface's name that is checked here. Nothing that a peer
or a publisher chose gets in, and no password does: ExaBGP repeats lines that it does not understand in its log, so the
child puts passwords where they are used once the text has been read.
"""

from __future__ import annotations

import re

from bgp.announcement import Announcement
from bgp.errors import PeerInvalid
from bgp.limits import HOLD_S_HIGHEST, HOLD_S_LOWEST
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import Address, Network, family

_interface = re.compile(r"[A-Za-z0-9._:@-]{1,15}").fullmatch  # IFNAMSIZ is 16, with its NUL
_TTL_HIGHEST = 255


def check(config: SpeakerConfig) -> None:
    """
    Raises:
        PeerInvalid: no session can be had, or two could not be told apart.
    """
    names = [peer.name for peer in config.peers]
    sessions = [(peer.address, peer.local_address) for peer in config.peers]
    if len(set(names)) != len(names) or len(set(sessions)) != len(sessions):
        raise PeerInvalid("two peers with one name, or with one pair of addresses")
    if config.router_id.is_unspecified:
        raise PeerInvalid("0.0.0.0 is nobody's router id")
    for peer in config.peers:
        problem = _problem(peer, config.asn)
        if problem:
            raise PeerInvalid(f"peer {peer.name}: {problem}")


def _problem(peer: Peer, asn: int) -> str:
    if peer.asn == asn:
        return "it is in our own AS, where a path cannot be made longer: no drain would be seen"
    for address in (peer.address, peer.local_address, *peer.next_hops.values()):
        if not _is_of_a_machine(address):
            return f"{str(address)[:60]!r} is the address of no machine"
    if peer.address.version != peer.local_address.version:
        return f"its address {peer.address} and ours, {peer.local_address}, are not of one family"
    if not HOLD_S_LOWEST <= peer.hold_s <= HOLD_S_HIGHEST:
        return f"a hold time of {peer.hold_s} s: {HOLD_S_LOWEST} to {HOLD_S_HIGHEST}"
    if peer.ttl_security and peer.multihop > 1:
        return "TTL security is for direct neighbours, and this one is several hops away"
    if peer.interface and not _interface(peer.interface):
        return f"{peer.interface!r} is no name of an interface"
    for of, hop in peer.next_hops.items():
        if family(hop) != of:
            return f"{hop} is no next hop for {of}"
    return ""


def _is_of_a_machine(address: Address) -> bool:
    """Without a zone, which may be any text and would be written as it is; `interface` says where a neighbour is."""
    if address.is_unspecified or address.is_multicast:
        return False
    return address.version == 4 or (address.scope_id is None and address.ipv4_mapped is None)


def render(config: SpeakerConfig) -> str:
    """The configuration as ExaBGP reads it, without passwords and routes.

    Graceful restart is left out on purpose: with it, a router keeps the routes of a dead node (RFC 4724).

    Raises:
        PeerInvalid
    """
    check(config)
    return "\n".join(_neighbor(peer, config) for peer in config.peers) + "\n"


def _neighbor(peer: Peer, config: SpeakerConfig) -> str:
    families = [of for of in ("ipv4", "ipv6") if peer.next_hop(of)]
    lines = [
        f"router-id {config.router_id};",
        f"local-address {peer.local_address};",
        f"local-as {config.asn};",
        f"peer-as {peer.asn};",
        f"hold-time {peer.hold_s};",
        f"connect {peer.port};",
        "passive false;",
        "adj-rib-out true;",  # what is compared with what is wanted
        "adj-rib-in false;",  # nothing is imported
        "capability { asn4 enable; route-refresh enable; graceful-restart disable; }",
        f"family {{ {' '.join(f'{of} unicast;' for of in families)} }}",
    ]
    if peer.interface:
        lines.append(f'source-interface "{peer.interface}";')
    if peer.ttl_security:  # RFC 5082
        lines += [f"outgoing-ttl {_TTL_HIGHEST};", f"incoming-ttl {_TTL_HIGHEST};"]
    elif peer.multihop > 1:
        lines.append(f"outgoing-ttl {peer.multihop};")
    return f"neighbor {peer.address} {{\n    " + "\n    ".join(lines) + "\n}"


def session_name(peer: Peer, config: SpeakerConfig) -> str:
    """Whom a line is for: all that tells one session from another."""
    return (
        f"neighbor {peer.address} local-ip {peer.local_address} local-as {config.asn}"
        f" peer-as {peer.asn} router-id {config.router_id}"
    )


def announce(peer: Peer, config: SpeakerConfig, announcement: Announcement) -> str:
    """The line that announces a prefix to a peer that has its family.

    RFC 4271 5.1.2: with no path given ExaBGP puts our AS there once; a longer one is given as a whole.
    """
    have = announcement.attributes
    words = [f"announce route {announcement.prefix} next-hop {peer.next_hop(family(announcement.prefix))}"]
    if have.med is not None:
        words.append(f"med {have.med}")
    if have.communities:
        words.append(f"community [ {' '.join(map(str, have.communities))} ]")
    if have.large_communities:
        words.append(f"large-community [ {' '.join(map(str, have.large_communities))} ]")
    if have.prepend:
        words.append(f"as-path [ {' '.join([str(config.asn)] * (have.prepend + 1))} ]")
    return f"{session_name(peer, config)} {' '.join(words)}"


def withdraw(peer: Peer, config: SpeakerConfig, prefix: Network) -> str:
    """The line that withdraws a prefix from a peer that has its family."""
    return f"{session_name(peer, config)} withdraw route {prefix} next-hop {peer.next_hop(family(prefix))}"


def difference(
    peer: Peer, config: SpeakerConfig, have: dict[Network, Announcement], want: dict[Network, Announcement]
) -> list[str]:
    """The lines that turn what a peer was told into what it is to be told: each prefix at most once."""
    gone = [withdraw(peer, config, prefix) for prefix in have if prefix not in want]
    return gone + [announce(peer, config, one) for prefix, one in want.items() if have.get(prefix) != one]
