"""Which worker calls the triggers of an app that no request starts, and what it is told to call. Sans-IO.

    serving, ended, tick ──> TriggerCalls ──> runner of each app, orders of each worker, ticks that were cut

One worker of the node calls all such triggers of an app: each of them has the app, and each would call. It stays the
same one as long as it serves the app. Apps are dealt to those that call the fewest.
"""

from __future__ import annotations

from collections.abc import Mapping

from edged.limits import SCOPE_APP_COUNT_MAX
from edged.node.pool_event import TickBegun, TickEnded
from edged.worker.report import Tick
from edged.worker.table import Orders, TriggerOrder


class TriggerCalls:
    """See the module."""

    def __init__(self) -> None:
        self._serving: dict[int, frozenset[str]] = {}
        self._runners: dict[str, int] = {}
        self._orders: Mapping[str, Mapping[str, TriggerOrder]] = {}
        self._under_way: dict[int, dict[tuple[str, str], int]] = {}
        self._by_worker: dict[int, Orders] | None = None
        """What `orders` gives; None once that is another."""

    # --- inputs ---

    def serving(self, worker: int, apps: frozenset[str]) -> None:
        """A worker lets requests reach these apps, and no others."""
        if self._serving.get(worker) != apps:
            self._serving[worker] = apps
            self._assign()

    def tick(self, worker: int, tick: Tick) -> TickBegun | TickEnded | None:
        """What a worker told of a call; None if it is nothing that could be."""
        calls = self._under_way.setdefault(worker, {})
        id_ = tick.app, tick.trigger
        if tick.ended:
            return TickEnded(*id_, tick.tick) if calls.pop(id_, None) == tick.tick else None
        if id_ not in calls and len(calls) >= _UNDER_WAY_MAX:
            return None
        calls[id_] = tick.tick
        return TickBegun(*id_, tick.tick)

    def ended(self, worker: int) -> list[TickEnded]:
        """A worker has ended, and with it the calls that it was at."""
        self._serving.pop(worker, None)
        self._assign()
        return [TickEnded(*id_, tick, was_cut=True) for id_, tick in self._under_way.pop(worker, {}).items()]

    def set(self, orders: Mapping[str, Mapping[str, TriggerOrder]]) -> None:
        """These are the orders of all apps from now on."""
        self._orders = orders
        self._by_worker = None

    # --- outputs ---

    def runner(self, app: str) -> int | None:
        """The worker that calls the app's triggers; None while none serves it."""
        return self._runners.get(app)

    def orders(self, worker: int) -> Orders:
        """All that a worker is told."""
        if self._by_worker is None:
            found: dict[int, dict[str, Mapping[str, TriggerOrder]]] = {}
            for app, runner in self._runners.items():
                found.setdefault(runner, {})[app] = self._orders.get(app, {})
            self._by_worker = {runner: Orders(apps) for runner, apps in found.items()}
        return self._by_worker.get(worker, _NO_ORDERS)

    # --- inside ---

    def _assign(self) -> None:
        self._by_worker = None
        self._runners = {app: worker for app, worker in self._runners.items() if app in self._serving.get(worker, ())}
        load = dict.fromkeys(sorted(self._serving), 0)
        for worker in self._runners.values():
            load[worker] += 1
        for app in sorted(frozenset().union(*self._serving.values()) - self._runners.keys()):
            worker = min((each for each in load if app in self._serving[each]), key=lambda each: load[each])
            self._runners[app] = worker
            load[worker] += 1


_NO_ORDERS = Orders()

_UNDER_WAY_MAX = 64 * SCOPE_APP_COUNT_MAX
"""Calls that a worker may be at: one of each trigger, and workers are not trusted with the supervisor's memory."""
