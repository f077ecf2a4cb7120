"""ExaBGP's reactor with its surroundings replaced. With `bgp.exabgp_session`, all that knows ExaBGP's private names.

What stays: its sessions, its timers, its adj-rib-out. What is replaced:

    Processes      helpers that it forks and speaks to by text: here it speaks to `Control`, in this process, and no
                   text of a peer is written into JSON and parsed again
    Peer, Protocol one session of them: see `bgp.exabgp_session`
    Reactor        leaves with a Cease; its own shutdown closes without a word
    Configuration  is read from memory, and passwords are put where they belong afterwards
    logger         becomes events

Importing this module imports ExaBGP, which reads the environment: `bgp.child` prepares that.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import exabgp.environment.setup  # noqa: F401 - getenv() does, when nobody may not be able to read our files any more
from exabgp.bgp.fsm import FSM
from exabgp.bgp.message import Notification
from exabgp.bgp.message.update.attribute import Attribute
from exabgp.configuration.configuration import Configuration
from exabgp.environment import getenv
from exabgp.logger import log
from exabgp.reactor import loop
from exabgp.reactor.interrupt import Signal

from bgp.announcement import Announcement, Attributes, Community, LargeCommunity
from bgp.channel import Channel
from bgp.deadman import Deadman
from bgp.errors import BgpError, SpeakerFailed
from bgp.exabgp_config import render
from bgp.exabgp_session import CEASE, RESET, SHUTDOWN, install
from bgp.limits import CEASE_READ_BYTES_MAX, CONNECTING_TICK_MS, READ_BYTES
from bgp.lines import printable
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import Network
from bgp.sessions import Sessions
from bgp.status import SessionState
from bgp.wire import (
    Beat,
    Cease,
    Kind,
    Log,
    LogLevel,
    NotificationSeen,
    Query,
    Ready,
    Request,
    RestartPeer,
    Rib,
    Sent,
    SetAnnouncements,
    canonical,
)

_SERVICE = "edged"
_CEASE_MESSAGE = b"\xff" * 16 + b"\x00\x15\x03" + bytes((CEASE, SHUTDOWN))  # RFC 4271 4.1, 4.5
_STATES: dict[int, SessionState] = {
    FSM.IDLE: "idle",
    FSM.ACTIVE: "connect",  # what ExaBGP calls so is the beginning of a connection of ours
    FSM.CONNECT: "connect",
    FSM.OPENSENT: "opensent",
    FSM.OPENCONFIRM: "openconfirm",
    FSM.ESTABLISHED: "established",
}
# What ExaBGP calls critical is that it was told to end.
_LEVELS: dict[str, LogLevel] = {"WARNING": "warning", "CRITICAL": "warning", "ERROR": "error", "FATAL": "error"}


class Control:
    """What ExaBGP takes for its helper processes. It asks `received` for commands on every turn of its loop.

    Attributes:
        error: why the child left, if it should not have.
    """

    terminate_on_error = True
    silence = False

    def __init__(self, channel: Channel, sessions: Sessions, config: SpeakerConfig, deadman: Deadman) -> None:
        self._channel = channel
        self._sessions = sessions
        self._config = config
        self._deadman = deadman
        self._names = {(str(peer.address), str(peer.local_address)): peer.name for peer in config.peers}
        self._connecting: set[str] = set()
        self._leaving = False
        self.error: BgpError | None = None
        self.reactor: _Reactor | None = None
        # Python's signal handlers run between two bytecodes, and poll(2) goes on after one: this ends its wait.
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self.fds = [channel.fileno(), self._wake_read]

    def name(self, neighbor: Any) -> str:
        return self._names[str(neighbor["peer-address"].top()), str(neighbor["local-address"].top())]

    def session(self, peer: Peer) -> Any:
        """ExaBGP's object for a session."""
        assert self.reactor is not None
        for one in self.reactor._peers.values():
            if self.name(one.neighbor) == peer.name:
                return one
        raise SpeakerFailed(f"ExaBGP has no session for {peer.name}")

    def leave(self, error: BgpError | None = None) -> None:
        """End all sessions with a Cease, and the reactor."""
        if self._leaving:
            return
        self._leaving = True
        self.error = error
        assert self.reactor is not None
        self.reactor.signal.received = Signal.SHUTDOWN
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it is awake
            os.write(self._wake_write, b"\0")

    def say_log(self, level: LogLevel, text: str) -> None:
        self._channel.say(Log(level, printable(" ".join(text.split()))))

    # --- what the daemon says ---

    def received(self) -> Iterator[tuple[str, str]]:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        self._channel.flush()
        try:
            for request in self._channel.read():
                self._deadman.heard()
                self._handle(request)
        except BgpError as error:
            self.say_log("error", f"the daemon said what cannot be understood, leaving: {error}")
            self.leave(error)
        if self._channel.ended:
            self.leave()
        elif self._channel.overrun:
            self.leave(SpeakerFailed("the daemon does not read"))
        elif self._deadman.expired():
            self.leave(SpeakerFailed("no word from the daemon"))
        if self._leaving:
            return
        for line in self._sessions.lines(self._ready):
            yield _SERVICE, line
            self._wake()  # answers come after this turn, and more lines may follow them

    def _handle(self, request: Request) -> None:
        match request:
            case Beat():
                pass
            case SetAnnouncements():
                self._sessions.set(request)
            case Query(number):
                self._channel.say(Rib(number, {peer.name: self._rib(peer) for peer in self._config.peers}))
            case RestartPeer(name):
                for peer in self._config.peers:
                    if peer.name == name:
                        self.session(peer).teardown(RESET)
            case Cease():
                self.leave()
            case _:
                raise SpeakerFailed("a second configuration: that is another child's")

    def _ready(self, peer: Peer) -> bool:
        session = self.session(peer)
        outgoing = session.neighbor.rib.outgoing
        if session.fsm == FSM.ESTABLISHED:
            return not outgoing.pending()
        outgoing.reset()  # all that is in the adj-rib-out is sent when the session begins, and in the right order
        return True

    def _rib(self, peer: Peer) -> tuple[Announcement, ...]:
        have = []
        for change in self.session(peer).neighbor.rib.outgoing.cached_changes():
            try:
                have.append(canonical(_announcement(change)))
            except (BgpError, ValueError, AttributeError) as error:
                self.say_log("error", f"the adj-rib-out has what was never announced: {error}")
        return tuple(sorted(have, key=lambda one: (one.prefix.version, one.prefix)))

    # --- what ExaBGP says ---

    def start(self, _configuration: object, _restart: bool = False) -> None:
        self._channel.say(Ready())

    def terminate(self) -> None:
        pass

    def broken(self, _neighbor: object) -> bool:
        return False

    def answer_done(self, _service: str, force: bool = False) -> None:  # noqa: ARG002 - ExaBGP's name
        self._sessions.answered(True)

    def answer_error(self, _service: str) -> None:
        self._sessions.answered(False)

    def fsm(self, neighbor: Any, fsm: Any) -> None:
        name, state = self.name(neighbor), _STATES[fsm.state]
        # ExaBGP is idle while it connects, and says so right after it said that it begins.
        if fsm.state == FSM.IDLE and name in self._connecting:
            self._connecting.discard(name)
            return
        if fsm.state == FSM.ACTIVE:
            self._connecting.add(name)
        self._sessions.changed(name, state)

    def negotiated(self, neighbor: Any, negotiated: Any) -> None:
        self._sessions.negotiated(self.name(neighbor), int(negotiated.holdtime))

    def closing(self, neighbor: Any, message: str, error: str) -> None:
        self._connecting.discard(self.name(neighbor))
        self._sessions.failed(self.name(neighbor), error or message)

    def sent(self, neighbor: Any, changes: list[tuple[Network, Kind]]) -> None:
        for prefix, kind in changes:
            self._channel.say(Sent(self.name(neighbor), prefix, kind))

    def notified(self, neighbor: Any, received: bool, notification: Any) -> None:
        self._channel.say(
            NotificationSeen(
                self.name(neighbor),
                "received" if received else "sent",
                notification.code,
                notification.subcode,
                printable(notification),
            )
        )

    def refuse(self, error: BgpError) -> None:
        """A prefix that is not allowed was about to be written: something here is broken, so nothing is announced."""
        self.say_log("error", f"refused at the last moment, leaving: {error.message}")
        self.leave(error)

    def check(self, prefix: Network) -> None:
        self._sessions.check(prefix)


def _announcement(change: Any) -> Announcement:
    """What is in the adj-rib-out, as we would have said it."""
    have = change.attributes
    communities = [each.pack() for each in have.get(Attribute.CODE.COMMUNITY, ())]
    large = [each.pack() for each in have.get(Attribute.CODE.LARGE_COMMUNITY, ())]
    path = [asn for segment in getattr(have.get(Attribute.CODE.AS_PATH), "aspath", ()) for asn in segment]
    med = have.get(Attribute.CODE.MED)
    return Announcement(
        ip_network(change.nlri.cidr.prefix()),
        Attributes(
            None if med is None else int(med.med),
            tuple(Community(*_words(each, 2)) for each in communities),
            tuple(LargeCommunity(*_words(each, 4)) for each in large),
            max(0, len(path) - 1),
        ),
    )


def _words(packed: bytes, size: int) -> list[int]:
    return [int.from_bytes(packed[at : at + size], "big") for at in range(0, len(packed), size)]


class _Configuration(Configuration):  # type: ignore[misc]
    def __init__(self, config: SpeakerConfig) -> None:
        super().__init__([render(config)], text=True)
        self._passwords = {(str(peer.address), str(peer.local_address)): peer.password for peer in config.peers}

    def reload(self) -> bool:
        if not super().reload():
            return False
        for neighbor in self.neighbors.values():
            for event in ("processes", "fsm", "negotiated"):
                neighbor.api[event] = [_SERVICE]
            pair = str(neighbor["peer-address"].top()), str(neighbor["local-address"].top())
            neighbor["md5-password"] = self._passwords[pair] or None
            neighbor["md5-base64"] = False
        return True


class _Reactor(loop.Reactor):  # type: ignore[misc]
    def _wait_for_io(self, sleeptime: int) -> Iterator[int]:
        """Sockets that connect are not in the poll set: until all sessions are up they are looked at by time."""
        if any(peer.fsm.state != FSM.ESTABLISHED for peer in self._peers.values()):
            sleeptime = min(sleeptime, CONNECTING_TICK_MS)
        yield from super()._wait_for_io(sleeptime)

    def shutdown(self) -> None:
        self.cease()
        super().shutdown()

    def cease(self) -> None:
        """RFC 4486: a Cease on every session that has said OPEN, without waiting for anybody."""
        for peer in self._peers.values():
            io = peer.proto.connection.io if peer.proto and peer.proto.connection else None
            if io is None or peer.fsm.state not in (FSM.OPENSENT, FSM.OPENCONFIRM, FSM.ESTABLISHED):
                continue
            try:
                io.setblocking(False)
                io.send(_CEASE_MESSAGE)
                self.processes.notified(peer.neighbor, False, Notification(CEASE, SHUTDOWN))
                # Bytes that nobody read make close(2) a reset, which overtakes the Cease. A router that says more than
                # its window holds gets one: the others wait for theirs.
                for _ in range(CEASE_READ_BYTES_MAX // READ_BYTES):
                    if not io.recv(READ_BYTES):
                        break
            except OSError:
                continue


def run(channel: Channel, sessions: Sessions, config: SpeakerConfig, deadman: Deadman) -> None:
    """Speaks BGP until told to leave. Always leaves with a Cease.

    Raises:
        PeerInvalid
        SpeakerFailed
        WireInvalid: of the daemon.
    """
    control = Control(channel, sessions, config, deadman)

    def logged(_logger: object, message: Any, _source: str, level: str) -> None:
        if level in _LEVELS:
            control.say_log(_LEVELS[level], str(message() if callable(message) else message))

    log.init(getenv())
    log.logger = logged
    loop.Processes = lambda: control
    loop.Peer = install()
    reactor = _Reactor(_Configuration(config))
    control.reactor = reactor
    reactor.processes = control
    reactor.daemon.drop_privileges = lambda: True  # bgp.privileges did
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is the daemon's, which drains first
    try:
        status = reactor.run()
    except Exception as error:
        reactor.cease()
        raise SpeakerFailed(f"ExaBGP failed: {type(error).__name__}: {error}") from error
    if control.error is not None:
        raise control.error
    if status != reactor.Exit.normal:
        raise SpeakerFailed(printable(f"ExaBGP did not begin: {reactor.configuration.error}"))
