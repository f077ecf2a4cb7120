"""BFD with all routers that ask for it: sessions, their sockets, and the clock. In the daemon's process, whose fate it
shares: who hears nothing of a hung daemon any more sends requests elsewhere.

Several peers of one router and one address here are one session. A direct neighbour is heard at both ports, and
answered at the one by which it speaks: FRR with `ttl-security` uses that of several hops between neighbours, too. The
TTL tells neighbours from strangers at either port.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
import trio

from bgp.bfd.network import (
    MULTIHOP_PORT,
    SINGLE_HOP_PORT,
    TTL,
    Endpoint,
    Network,
    Receiver,
    Sender,
    SocketNetwork,
    without_scope,
)
from bgp.bfd.packet import Packet, State
from bgp.bfd.session import Session
from bgp.errors import BfdPacketInvalid, BfdUnavailable
from bgp.limits import BFD_LEAVE_S, BFD_OPEN_RETRY_S
from bgp.peer import Peer
from bgp.prefix import Address
from bgp.status import BfdState

log: Any = structlog.get_logger()
_Opened = TypeVar("_Opened")

_NAMES: Mapping[State, BfdState] = {
    State.ADMIN_DOWN: "admin-down",
    State.DOWN: "down",
    State.INIT: "init",
    State.UP: "up",
}


@dataclass(slots=True)
class _Watched:
    """A router, as seen from one address here."""

    peer: Peer
    names: list[str]
    session: Session
    port: int
    wake: trio.Event = field(default_factory=trio.Event)
    told: bool = False  # that we leave
    complained: bool = False

    @property
    def direct(self) -> bool:
        return self.peer.multihop == 1


class Bfd:
    """Of one node.

    Args:
        peers: those without `bfd` are left alone.
        changed: told the name of a peer whose state changed, and the state. Called from `run`.
    """

    def __init__(
        self,
        peers: Iterable[Peer],
        *,
        changed: Callable[[str, BfdState], None],
        network: Network | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._rng = random.SystemRandom() if rng is None else rng
        self._network = SocketNetwork(self._rng) if network is None else network
        self._changed = changed
        self._peers = [peer for peer in peers if peer.bfd is not None]
        self._watched: dict[tuple[Address, str, Address], _Watched] = {}
        self._alarms: dict[object, str] = {}
        self._news = trio.Event()
        self.dropped = 0  # packets that were nobody's, invalid, or not of a neighbour

    def states(self) -> Mapping[str, BfdState]:
        """Of each peer with BFD, by its name."""
        states: dict[str, BfdState] = {peer.name: "down" for peer in self._peers}
        for watched in self._watched.values():
            states.update(dict.fromkeys(watched.names, _NAMES[watched.session.state]))
        return states

    def alarms(self) -> tuple[str, ...]:
        """Why there is no BFD with some: sentences."""
        return tuple(sorted(set(self._alarms.values())))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until it is cancelled. Never fails: BGP goes on without BFD, and what is missing is tried again."""
        self._watched = self._sessions(trio.current_time())
        endpoints = {
            Endpoint(watched.peer.local_address, watched.peer.interface, port)
            for watched in self._watched.values()
            for port in ((SINGLE_HOP_PORT, MULTIHOP_PORT) if watched.direct else (MULTIHOP_PORT,))
        }
        async with trio.open_nursery() as nursery:
            for endpoint in sorted(endpoints, key=str):
                nursery.start_soon(self._listen, endpoint)
            for watched in self._watched.values():
                nursery.start_soon(self._drive, watched)
            task_status.started()
            await trio.sleep_forever()

    async def leave(self) -> None:
        """Tell all routers that the sessions end by intention; at most `BFD_LEAVE_S`. `run` is to be cancelled then.

        They may end their BGP sessions on that, so it comes after everything is withdrawn.
        """
        everyone = self._watched.values()
        for watched in everyone:
            self._act(watched, lambda session, now: session.leave(now))
        with trio.move_on_after(BFD_LEAVE_S):
            while any(not each.told or each.session.remote_state in (State.INIT, State.UP) for each in everyone):
                self._news = trio.Event()
                await self._news.wait()

    def _sessions(self, now: float) -> dict[tuple[Address, str, Address], _Watched]:
        sessions: dict[tuple[Address, str, Address], _Watched] = {}
        taken: set[int] = set()
        for peer in self._peers:
            key = peer.local_address, peer.interface, without_scope(peer.address)
            if key in sessions:
                sessions[key].names.append(peer.name)
                continue
            assert peer.bfd is not None, "a peer without BFD"
            discriminator = self._rng.randrange(1, 2**32)
            while discriminator in taken:
                discriminator = self._rng.randrange(1, 2**32)
            taken.add(discriminator)
            session = Session(peer.bfd, discriminator, self._rng, now)
            port = SINGLE_HOP_PORT if peer.multihop == 1 else MULTIHOP_PORT
            sessions[key] = _Watched(peer, [peer.name], session, port)
        return sessions

    async def _listen(self, endpoint: Endpoint) -> None:
        while True:
            receiver: Receiver | None = self._open(endpoint, lambda: self._network.receiver(endpoint))
            if receiver is not None:
                with closing(receiver):
                    try:
                        while True:
                            self._received(endpoint, *await receiver.receive())
                    except BfdUnavailable as error:
                        self._alarm(endpoint, error)
            await trio.sleep(BFD_OPEN_RETRY_S)

    async def _drive(self, watched: _Watched) -> None:
        peer = watched.peer
        sender: Sender | None = None
        while sender is None:
            sender = self._open(
                peer.name, lambda: self._network.sender(peer.local_address, peer.interface, peer.address)
            )
            if sender is None:
                await trio.sleep(BFD_OPEN_RETRY_S)
        with closing(sender):
            while True:
                self._act(watched, Session.advance)
                watched.wake = trio.Event()
                for packet in watched.session.take():
                    await sender.send(packet.encode(), watched.port)
                    if packet.state == State.ADMIN_DOWN:
                        watched.told = True
                        self._news.set()
                with trio.move_on_at(watched.session.deadline()):
                    await watched.wake.wait()
                # After a pause of this process packets wait at the socket: they are read before anybody is silent.
                await trio.lowlevel.checkpoint()

    def _received(self, endpoint: Endpoint, data: bytes, source: Address, ttl: int) -> None:
        watched = self._watched.get((endpoint.local, endpoint.interface, source))
        if watched is None:
            self.dropped += 1
            return
        if watched.direct and ttl != TTL:  # RFC 5881 5
            self._drop(watched, f"a TTL of {ttl} where a neighbour's is {TTL}")
            return
        if not watched.direct and endpoint.port != MULTIHOP_PORT:
            self._drop(watched, f"port {endpoint.port} is that of neighbours")
            return
        try:
            packet = Packet.decode(data)
        except BfdPacketInvalid as error:
            self._drop(watched, error.message)
            return
        if not watched.direct and watched.session.state == State.UP and not packet.your_discriminator:
            # RFC 5880 6.3 would find the session by the source, which anybody can forge where no TTL tells. A router
            # that began anew is silent for this session, which ends by that.
            self._drop(watched, "no discriminator, where there is a session")
            return
        accepted = False

        def receive(session: Session, now: float) -> None:
            nonlocal accepted
            accepted = session.receive(packet, now)

        before = watched.session.state
        self._act(watched, receive)
        if not accepted:
            self.dropped += 1  # usual for a moment after a restart: it still speaks to the session before
            return
        if before != State.UP:
            watched.port = endpoint.port

    def _act(self, watched: _Watched, act: Callable[[Session, float], None]) -> None:
        """Anything that may change a session's state or what it has to send."""
        session = watched.session
        before = session.state
        act(session, trio.current_time())
        watched.wake.set()
        self._news.set()
        if session.state == before:
            return
        state = _NAMES[session.state]
        for name in watched.names:
            log.info(
                "bgp.bfd-changed",
                peer=name,
                state=state,
                diagnostic=int(session.diagnostic),
                remote_diagnostic=int(session.remote_diagnostic),
            )
            self._changed(name, state)

    def _drop(self, watched: _Watched, reason: str) -> None:
        self.dropped += 1
        if not watched.complained:
            watched.complained = True
            log.warning("bgp.bfd-dropped", peer=watched.names[0], reason=reason)

    def _open(self, key: object, opened: Callable[[], _Opened]) -> _Opened | None:
        try:
            result = opened()
        except BfdUnavailable as error:
            self._alarm(key, error)
            return None
        self._alarms.pop(key, None)
        return result

    def _alarm(self, key: object, error: BfdUnavailable) -> None:
        if self._alarms.get(key) != error.message:
            self._alarms[key] = error.message
            log.warning("bgp.bfd-unavailable", message=error.message, remedy=error.remedy)
