"""A speaker's child without ExaBGP: takes requests, gives events, and can be made to misbehave. Sans-IO."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network

from bgp.announcement import Announcement
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import AllowList, Network
from bgp.status import SessionState
from bgp.wire import (
    Applied,
    Cease,
    Configure,
    Event,
    PeerChanged,
    Query,
    Ready,
    Refused,
    Request,
    RestartPeer,
    Rib,
    Sent,
    SetAnnouncements,
    canonical,
)

V4 = ip_network("203.0.113.10/32")
V6 = ip_network("2001:db8:a::10/128")
OUTSIDE = ip_network("192.0.2.0/24")
ALLOWED = AllowList([V4, V6])

CONFIG = SpeakerConfig(
    asn=65200,
    router_id=IPv4Address("10.0.0.1"),
    peers=(
        Peer("a", ip_address("10.0.0.2"), 65101, ip_address("10.0.0.1"), {"ipv6": ip_address("2001:db8::1")}),
        Peer("b", ip_address("10.0.1.2"), 65102, ip_address("10.0.1.1"), {"ipv6": ip_address("2001:db8:1::1")}),
    ),
)
PLAIN = {prefix: Announcement(prefix) for prefix in (V4, V6)}


class PlayedChild:
    """One process.

    Attributes:
        announced: what it would have its peers know.
        up: names of peers with a session.
        on_wire: what each of these was sent.
        refuses: it takes no set with a prefix outside of `ALLOWED`.
        events: what it said, to be taken.
        left: it was asked to leave, and did.
        tried: peers that it was asked to try anew.
        stuck: peers that it cannot tell anything: their adj-rib-out stays empty.
    """

    def __init__(self) -> None:
        self.announced: dict[Network, Announcement] = {}
        self.up: set[str] = set()
        self.on_wire: dict[str, dict[Network, Announcement]] = {}
        self.events: list[Event] = []
        self.requests: list[Request] = []
        self.left = False
        self.tried: list[str] = []
        self.stuck: set[str] = set()

    def take(self, request: Request) -> None:
        self.requests.append(request)
        match request:
            case Configure():
                assert len(self.requests) == 1, "the configuration comes first, and once"
                self.events.append(Ready())
            case SetAnnouncements():
                self._set(request)
            case Query(number):
                whole = tuple(map(canonical, self.announced.values()))
                peers = {name: () if name in self.stuck else whole for name in self.up}
                self.events.append(Rib(number, peers))
            case RestartPeer(name):
                self.tried.append(name)
            case Cease():
                self.left = True

    def _set(self, request: SetAnnouncements) -> None:
        for announcement in request.announcements:
            if announcement.prefix not in ALLOWED:
                self.events.append(Refused(request.id, "bgp.prefix-refused", f"{announcement.prefix} may not"))
                return
        self.announced = {announcement.prefix: announcement for announcement in request.announcements}
        self.events.append(Applied(request.id))
        for name in self.up:
            self._send(name)

    def _send(self, name: str) -> None:
        sent = self.on_wire[name]
        for prefix in [prefix for prefix in sent if prefix not in self.announced]:
            del sent[prefix]
            self.events.append(Sent(name, prefix, "withdraw"))
        for prefix, announcement in self.announced.items():
            if sent.get(prefix) != announcement:
                sent[prefix] = announcement
                self.events.append(Sent(name, prefix, "announce"))

    def session_up(self, name: str) -> None:
        if name not in self.up:
            self.up.add(name)
            self.on_wire[name] = {}
            self.events.append(PeerChanged(name, "established", hold_s=9))
            self._send(name)

    def session_down(self, name: str, state: SessionState = "idle") -> None:
        if name in self.up:
            self.up.discard(name)
            del self.on_wire[name]
            self.events.append(PeerChanged(name, state))

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events
