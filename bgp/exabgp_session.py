"""One session of ExaBGP with what had to be different: what is said, what is taken, and by which clock.

    Protocol   says what was written, writes no prefix that is not allowed, and insists on a hold time
    Peer       says why a session ended; is not kept busy by its router
    timers     count by a clock that is never set

Its methods are called by ExaBGP; `install` puts them in place. What they tell goes to `bgp.exabgp_reactor.Control`,
which ExaBGP knows as its helper processes.
"""

from __future__ import annotations

import time
import typing
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any, cast

from exabgp.bgp import timer
from exabgp.bgp.message import Action, Message, Notification, Notify, Update
from exabgp.bgp.message.direction import Direction
from exabgp.reactor import delay
from exabgp.reactor import peer as exabgp_peer
from exabgp.reactor.protocol import Protocol

from bgp.errors import BgpError
from bgp.limits import REFRESH_S
from bgp.prefix import Network
from bgp.wire import Kind

CEASE, SHUTDOWN, RESET = 6, 2, 4  # RFC 4486
_SEND_HOLD_TIMER = 8  # RFC 9687
_OPEN_ERROR, _UNACCEPTABLE_HOLD_TIME = 2, 6  # RFC 4271 6.2
_KIND_AT, _HEADER_BYTES = 18, 19  # RFC 4271 4.1


class Told(typing.Protocol):
    """Who is told what happens on a session; `neighbor` is ExaBGP's object for it."""

    def check(self, prefix: Network) -> None:
        """
        Raises:
            PrefixRefused
        """

    def refuse(self, error: BgpError) -> None: ...

    def sent(self, neighbor: Any, changes: list[tuple[Network, Kind]]) -> None: ...

    def notified(self, neighbor: Any, received: bool, notification: Any) -> None: ...


class _Clock:
    """In place of the module `time` where timers count by it: a wall clock that is set would end sessions, or stop
    their keepalives for as long as it was set back."""

    time = staticmethod(time.monotonic)


class _Protocol(Protocol):  # type: ignore[misc]
    def _told(self) -> Told:
        return cast(Told, self.peer.reactor.processes)

    def validate_open(self) -> None:
        """RFC 4271 4.2: we may reject any hold time. With that of 0 nobody would notice a death without a word."""
        super().validate_open()
        if not self.negotiated.holdtime:
            raise Notify(_OPEN_ERROR, _UNACCEPTABLE_HOLD_TIME, "a hold time of 0")

    def send(self, raw: bytes) -> Iterator[bool]:
        """Says what was written; after it was, since only that is proof."""
        changes = self._changes(raw) if raw[_KIND_AT] == Message.CODE.UPDATE else []
        for prefix, kind in changes:
            if kind == "announce":
                self._check(prefix)
        yield from self._in_time(super().send(raw))
        if self.connection is not None and self.connection.io is not None:
            self._told().sent(self.neighbor, changes)

    def _changes(self, raw: bytes) -> list[tuple[Network, Kind]]:
        update = Update.unpack_message(raw[_HEADER_BYTES:], Direction.OUT, self.negotiated)
        return [
            (ip_network(nlri.cidr.prefix()), "announce" if nlri.action == Action.ANNOUNCE else "withdraw")
            for nlri in update.nlris
        ]

    def _check(self, prefix: Network) -> None:
        try:
            self._told().check(prefix)
        except BgpError as error:
            self._told().refuse(error)
            raise Notify(CEASE, SHUTDOWN) from None

    def _in_time(self, written: Iterator[bool]) -> Iterator[bool]:
        """RFC 9687: a router that lives and reads nothing would keep a route for ever. It has heard nothing of us for
        the hold time, so it should have ended the session itself."""
        late = time.monotonic() + int(self.negotiated.holdtime)
        for done in written:
            if not done and time.monotonic() >= late:
                raise Notify(_SEND_HOLD_TIMER, 0, "what was sent was not taken")
            yield done

    def write(self, message: Any, negotiated: Any = None) -> Iterator[bool]:
        for done in super().write(message, negotiated):
            if message.ID == Message.CODE.NOTIFICATION and not done:
                return  # a router that reads nothing is not waited for
            yield done
        if message.ID == Message.CODE.NOTIFICATION:
            self._told().notified(self.neighbor, False, message)

    def read_message(self) -> Iterator[Any]:
        try:
            yield from super().read_message()
        except Notification as seen:
            if not isinstance(seen, Notify):  # that is ours, about to be sent
                self._told().notified(self.neighbor, True, seen)
            raise


class _Peer(exabgp_peer.Peer):  # type: ignore[misc]
    _refresh_at = 0.0
    _refresh: bool | None = None  # one that is due, and whether it is an enhanced one (RFC 7313)

    def run(self) -> Any:
        if self._refresh is not None and time.monotonic() >= self._refresh_at:
            enhanced, self._refresh = self._refresh, None
            self._refresh_at = time.monotonic() + REFRESH_S
            super().resend(enhanced)
        return super().run()

    def resend(self, enhanced: bool, family: Any = None) -> None:  # noqa: ARG002 - all families, of which there are two
        """A router asks to be told everything again (RFC 2918): soon, and once for all that it asks meanwhile. What
        it is told is reported to the daemon, which must not drown in that."""
        self._refresh = bool(self._refresh or enhanced)

    def _read_ka(self) -> Iterator[Any]:
        """Until a router's first KEEPALIVE; ExaBGP would look for it without a pause."""
        for _ in super()._read_ka():
            yield exabgp_peer.ACTION.LATER

    def _close(self, message: str = "", error: object = "") -> None:
        self._refresh = None
        self.reactor.processes.closing(self.neighbor, message, str(error))
        super()._close(message, error)


def install() -> type[exabgp_peer.Peer]:
    """Have ExaBGP use all of this. Returns what its reactor is to make sessions of."""
    timer.time = delay.time = _Clock
    exabgp_peer.Protocol = _Protocol
    return _Peer
