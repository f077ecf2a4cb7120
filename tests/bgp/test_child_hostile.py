"""A router that wears the child down, a clock that is set, and signals of others: the child's other sessions go on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from bgp.announcement import Community, LargeCommunity
from bgp.limits import CEASE_READ_BYTES_MAX, COMMUNITY_COUNT_MAX
from bgp.peer import Peer
from bgp.wire import Applied, NotificationSeen, PeerChanged, Query, Rib, Sent, SetAnnouncements
from tests.bgp import sink
from tests.bgp.parent import Child, announcement, config_of, peer_of, speaking
from tests.bgp.sink import Keepalive, Other, Session, Update

V4 = "203.0.113.0/24"
LONG = {  # an UPDATE of 600 bytes
    "communities": tuple(Community(65200, number) for number in range(COMMUNITY_COUNT_MAX)),
    "large_communities": tuple(LargeCommunity(65200, number, 0) for number in range(COMMUNITY_COUNT_MAX)),
}
REFRESH = sink.message(sink.ROUTE_REFRESH, bytes((0, 1, 0, 1)))  # RFC 2918 3: of IPv4, unicast
_STEPPED = (sys.executable, "-m", "tests.bgp.stepped_child")


async def test_a_hold_time_of_0_is_refused() -> None:
    """RFC 4271 4.2 lets a router offer it, and then nobody would notice that the other died."""
    async with sink.listening(hold_s=0) as router, speaking(config_of(peer_of(router))) as child:
        seen = await child.event(NotificationSeen)
        assert (seen.direction, seen.code, seen.subcode) == ("sent", 2, 6)
        down = await child.event(PeerChanged, lambda event: event.error != "")
        assert down.state == "idle"
        assert not any(isinstance(event, PeerChanged) and event.state == "established" for event in child.got)


async def _refreshing(router: sink.Router, *capabilities: bytes) -> Session:
    """A session of a router that says more of itself."""
    session = await router.connection()
    await session.until(lambda one: isinstance(one, sink.Open))
    inside = b"".join((bytes((1, 4, 0, 1, 0, 1)), *capabilities, bytes((65, 4)) + struct.pack(">I", router.asn)))
    parameters = bytes((2, len(inside))) + inside
    fixed = struct.pack(">BHH4sB", 4, router.asn, 90, bytes((192, 0, 2, 1)), len(parameters))
    await session.send(sink.message(sink.OPEN, fixed + parameters) + sink.message(sink.KEEPALIVE))
    return session


def _is_end_of_rib(one: sink.Message) -> bool:
    return isinstance(one, Update) and one.end_of_rib


async def test_an_enhanced_refresh_is_marked_and_ends_no_session() -> None:
    """RFC 7313 4: what BIRD and FRR ask for, unless they are told not to."""
    async with sink.listening(answers=False) as router, speaking(config_of(peer_of(router))) as child:
        session = await _refreshing(router, bytes((2, 0)), bytes((70, 0)))
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)
        after = len(session.got)
        await session.send(REFRESH)
        end = await session.until(lambda one: isinstance(one, Other) and one.raw[21] == 2, after=after)
        between = [one for one in session.got[after:] if not isinstance(one, Keepalive) and not _is_end_of_rib(one)]
        assert isinstance(between[0], Other)
        assert between[0].raw[21] == 1
        assert [one.announced for one in between if isinstance(one, Update)] == [session.announced[V4].announced]
        assert between[-1] is end
        assert not session.over


async def test_a_router_that_asks_again_and_again_is_told_now_and_then() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)
        await session.send(REFRESH * 5000)
        await session.send(sink.notification_message(6, 4))
        await child.event(NotificationSeen)  # it has read all before
        assert len([event for event in child.got if isinstance(event, Sent)]) < 500


async def test_the_last_of_many_refreshes_is_answered_too() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)
        for _ in range(3):
            after = len(session.got)
            await session.send(REFRESH)
            await session.update(announces=V4, after=after)


async def test_a_router_that_takes_nothing_is_left_and_others_are_not() -> None:
    """RFC 9687: it says that it lives, and reads nothing, so no withdrawal would ever reach it."""
    listener = trio.socket.socket()
    # The least that there is: with segments like loopback's, the kernel would keep megabytes for who takes nothing.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    await listener.bind(("127.0.0.1", 0))
    listener.listen()
    address, port = listener.getsockname()
    deaf_peer = Peer("deaf", ip_address(address), 65102, ip_address("127.0.0.3"), port=port, hold_s=3)
    with listener:
        async with sink.listening() as router, speaking(config_of(deaf_peer, peer_of(router)), beats=True) as child:
            deaf, _ = await listener.accept()
            with deaf:
                await deaf.send(sink.open_message(65102, 3, "192.0.2.2", ("ipv4",)) + sink.message(sink.KEEPALIVE))
                session = await router.session()
                await child.event(PeerChanged, lambda event: event.name == "deaf" and event.state == "established")
                down = await _told_until_it_is_left(child, deaf)
            assert down.state == "idle"
            assert "what was sent was not taken" in down.error
            await child.say(SetAnnouncements(99, ()))
            await session.update(withdraws=V4)
            assert not session.over


async def _told_until_it_is_left(child: Child, deaf: trio.socket.SocketType) -> PeerChanged:
    """One set after another, until the buffers are full and its time is up."""
    before, number = len(child.got), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_live, deaf)
        while not [each for each in child.got[before:] if isinstance(each, PeerChanged) and each.name == "deaf"]:
            number += 1
            after = len(child.got)
            await child.say(SetAnnouncements(number, (announcement(V4, med=number, **LONG),)))
            await child.event(Applied, after=after)
        nursery.cancel_scope.cancel()
    return await child.event(PeerChanged, lambda event: event.name == "deaf", after=before)


async def _live(connection: trio.socket.SocketType) -> None:
    """Say so, once a second at a hold time of 3 s."""
    while True:
        with contextlib.suppress(OSError):
            await connection.send(sink.message(sink.KEEPALIVE))
        await trio.sleep(1)


@pytest.mark.parametrize("step", [signal.SIGWINCH, signal.SIGURG], ids=["forward", "back"])
async def test_a_clock_that_is_set_ends_no_session(step: signal.Signals) -> None:
    """By an hour. The session's own keepalives, one a second at this hold time, show that it goes on."""
    async with (
        sink.listening(hold_s=3) as router,
        speaking(config_of(peer_of(router)), program=_STEPPED, beats=True) as child,
    ):
        session = await router.session()
        await child.event(PeerChanged, lambda event: event.state == "established")
        await session.until(lambda one: isinstance(one, Keepalive), after=len(session.got))
        await child.say(Query(0))
        await child.event(Rib)  # it has read the router's answer, and nothing else is on its way
        os.kill(child.pid, step)
        for _ in range(3):
            await session.until(lambda one: isinstance(one, Keepalive), after=len(session.got))
        assert not session.over
        await child.say(Query(1))
        await child.event(Rib)


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGWINCH"])
async def test_a_signal_that_is_not_ours_changes_nothing(name: str) -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await session.update(announces=V4)
        os.kill(child.pid, getattr(signal, name))
        await child.say(SetAnnouncements(2, ()))
        await session.update(withdraws=V4)
        assert not session.over


def test_a_router_that_never_stops_to_speak_keeps_no_other_waiting_for_its_cease() -> None:
    """The session's socket always has something to read: the end of the child must not wait for the end of that."""
    # Here, since they import ExaBGP, which reads the environment.
    from exabgp.bgp.fsm import FSM  # noqa: PLC0415

    from bgp import exabgp_reactor  # noqa: PLC0415

    class Endless:
        def __init__(self) -> None:
            self.sent = b""
            self.read_bytes = 0

        def setblocking(self, _on: bool) -> None:
            pass

        def send(self, data: bytes) -> None:
            self.sent += data

        def recv(self, size: int) -> bytes:
            self.read_bytes += size
            assert self.read_bytes <= CEASE_READ_BYTES_MAX
            return b"\xff" * size

    sockets = [Endless(), Endless()]

    def peers() -> Iterator[tuple[int, SimpleNamespace]]:
        for number, io in enumerate(sockets):
            connection = SimpleNamespace(connection=SimpleNamespace(io=io))
            state = SimpleNamespace(state=FSM.ESTABLISHED)
            yield number, SimpleNamespace(proto=connection, fsm=state, neighbor=number)

    told: list[int] = []
    processes = SimpleNamespace(notified=lambda neighbor, _received, _what: told.append(neighbor))
    reactor: Any = SimpleNamespace(_peers=dict(peers()), processes=processes)
    exabgp_reactor._Reactor.cease(reactor)
    assert [io.sent[-2:] for io in sockets] == [bytes((6, 2))] * 2
    assert told == [0, 1]
