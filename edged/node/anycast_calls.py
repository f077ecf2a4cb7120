"""The calls `drain` and `undrain`: a node leaves traffic, or comes back, and says how far it is.

What was begun goes on although nobody listens any more: who asks may be cut off by the very thing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import trio

from bgp.status import AnycastStatus
from edged.anycast.anycast import Anycast
from edged.errors import AnycastMissing
from edged.fleet.calls import Handler
from edged.fleet.peer import Peer
from edged.limits import DRAIN_WATCH_S

Items = AsyncIterator[dict[str, Any]]

_UNDERWAY = ("warming", "hold-down", "draining", "drained", "suspect")
"""States that a prefix does not stay in by itself after `undrain`."""


class AnycastCalls:
    """See the module.

    Args:
        anycast: None where this node announces nothing.
        connections: that are open.
    """

    def __init__(self, anycast: Anycast | None, connections: Callable[[], int]) -> None:
        self._anycast = anycast
        self._connections = connections
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Until cancelled, which ends what goes on."""
        async with trio.open_nursery() as self._nursery:
            await trio.sleep_forever()

    def handlers(self) -> Mapping[str, Handler]:
        """For the dispatcher."""
        return {"drain": self.drain, "undrain": self.undrain}

    async def drain(self, peer: Peer) -> Items:
        """Leave; ends when the node has left, or stays after all."""
        anycast = self._known()
        ended = trio.Event()

        async def leave() -> None:
            await anycast.drain(f"`edged drain` by {peer.name}")
            ended.set()

        self._start(leave)
        async for item in self._changes(anycast, ended.is_set):
            yield item

    async def undrain(self, _peer: Peer) -> Items:
        """Come back; ends when each prefix is announced, or cannot be."""
        anycast = self._known()
        done = trio.Event()

        async def come_back() -> None:
            await anycast.undrain()
            done.set()

        self._start(come_back)

        def is_settled() -> bool:
            return done.is_set() and all(each.state not in _UNDERWAY for each in anycast.status().prefixes)

        async for item in self._changes(anycast, is_settled):
            yield item

    async def _changes(self, anycast: Anycast, is_over: Callable[[], bool]) -> Items:
        """How it is, each time that it is another, and at the end. How it was before is no answer, and left out."""
        told: dict[str, Any] | None = None
        while True:
            with trio.move_on_after(DRAIN_WATCH_S):
                await anycast.wait_changed()
            is_last = is_over()
            item = _item(anycast.status(), self._connections())
            if item != told:
                told = item
                yield item
            if is_last:
                return

    def _start(self, work: Callable[[], Any]) -> None:
        assert self._nursery is not None, "it runs"
        self._nursery.start_soon(work)

    def _known(self) -> Anycast:
        if self._anycast is None:
            raise AnycastMissing("this node announces nothing: its node.toml has no [bgp]")
        return self._anycast


def _item(status: AnycastStatus, connections: int) -> dict[str, Any]:
    report = status.drain
    return {
        "step": "" if report is None else report.step,
        "withdrawal_proven": report is not None and report.withdrawal_proven,
        "connections": connections,
        "prefixes": [
            {"prefix": each.prefix, "state": each.state, "level": each.desired, "reason": each.reason}
            for each in status.prefixes
        ],
    }
