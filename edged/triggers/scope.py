"""Triggers that are not always on: one worker of a node calls them, and of those with a scope one node.

    worker/sites.py ── set, order, listen ──> Background ──┬─ own: on or off together
                   <── begun, ended ────────────────┘      ├─ ordered: a tick at a time
                                                           └─ channels: on or off, each

Who decides is the supervisor: `edged.node.pool_state` which worker, `edged.fleet.scope` which node. Where nobody does
(`edged up`), every trigger is the process's own, whatever its scope.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from edged.manifest.model import Scope
from edged.triggers.counts import Counts


class BackgroundTrigger(Protocol):
    """A trigger that calls guests by itself, not for a request."""

    counts: Counts

    async def run(self, calls: trio.Nursery) -> None:
        """Call guests until cancelled. Never raises.

        Args:
            calls: where the calls run, which this does not end with it.
        """


class TickNews(Protocol):
    """Whoever gives orders is told what became of them."""

    async def begun(self, trigger: str, tick: int) -> None:
        """Returns when it is known even if this process does not survive the call."""

    async def ended(self, trigger: str, tick: int) -> None: ...


class OrderedTrigger(Protocol):
    """A trigger that calls its guest when it is told to."""

    counts: Counts

    @property
    def expression(self) -> str:
        """Of its schedule."""

    @property
    def scope(self) -> Scope: ...

    def order(self, tick: int, calls: trio.Nursery) -> None:
        """Call the guest for a tick, unix s. One that is at a call is not called again, nor later."""


class Channel(Protocol):
    """A trigger that may be connected to where its messages come from."""

    counts: Counts

    @property
    def is_connected(self) -> bool: ...

    @property
    def scope(self) -> Scope: ...

    async def run(self, calls: trio.Nursery) -> None: ...


@dataclass(frozen=True, slots=True)
class SharedTrigger:
    """A trigger with a scope, as it is here.

    Attributes:
        expression: of its schedule; "" for a channel.
        listening: messages of the channel arrive.
    """

    scope: Scope
    expression: str = ""
    listening: bool = False


class Switched:
    """Triggers that run while they are switched on. Calls that they have begun end by themselves."""

    def __init__(self, triggers: Sequence[BackgroundTrigger | Channel]) -> None:
        self._triggers = triggers
        self._is_on = False
        self._running = trio.CancelScope()
        self._change = trio.Event()

    def set(self, is_on: bool) -> None:
        """Quick; does nothing where it is so already."""
        if is_on == self._is_on:
            return
        self._is_on = is_on
        if not is_on:
            self._running.cancel()
        self._change.set()

    async def run(self, calls: trio.Nursery) -> None:
        """Until cancelled."""
        while True:
            self._change = trio.Event()
            if not self._is_on:
                await self._change.wait()
                continue
            with trio.CancelScope() as self._running:
                async with trio.open_nursery() as nursery:
                    for trigger in self._triggers:
                        nursery.start_soon(trigger.run, calls)
                    await trio.sleep_forever()


class Background:
    """All triggers of an app that no request starts.

    Args:
        own: that run on every node.
        ordered, channels: with a scope, by trigger id.
    """

    def __init__(
        self,
        own: Sequence[BackgroundTrigger] = (),
        ordered: Mapping[str, OrderedTrigger] | None = None,
        channels: Mapping[str, Channel] | None = None,
    ) -> None:
        self.own = own
        self._ordered = ordered or {}
        self._channels = channels or {}
        self._own_switch = Switched(own)
        self._switches = {id_: Switched([channel]) for id_, channel in self._channels.items()}
        self._calls: trio.Nursery | None = None

    @property
    def counts(self) -> list[Counts]:
        own = [each.counts for each in self.own]
        ordered = [each.counts for each in self._ordered.values()]
        return [*own, *ordered, *(each.counts for each in self._channels.values())]

    def set(self, is_on: bool) -> None:
        """Whether this process calls the app's triggers. While it does not, it takes no orders either."""
        self._own_switch.set(is_on)
        if not is_on:
            self.listen(())

    def order(self, trigger: str, tick: int) -> None:
        """Call a tick, if there is such a trigger here, and the app runs."""
        found = self._ordered.get(trigger)
        if found is not None and self._calls is not None:
            found.order(tick, self._calls)

    def listen(self, triggers: Collection[str]) -> None:
        """To these channels, and no others of those with a scope."""
        for id_, switch in self._switches.items():
            switch.set(id_ in triggers)

    def shared(self) -> dict[str, SharedTrigger]:
        """Those with a scope, by id."""
        found = {id_: SharedTrigger(each.scope, each.expression) for id_, each in self._ordered.items()}
        for id_, channel in self._channels.items():
            found[id_] = SharedTrigger(channel.scope, listening=channel.is_connected)
        return found

    async def run(self, calls: trio.Nursery) -> None:
        """Until cancelled.

        Args:
            calls: where the calls run, which this does not end with it.
        """
        self._calls = calls
        try:
            async with trio.open_nursery() as nursery:
                for switch in (self._own_switch, *self._switches.values()):
                    nursery.start_soon(switch.run, calls)
        finally:
            self._calls = None
