"""Which worker calls an app's triggers: one, the same one for long, and each about as many."""

from __future__ import annotations

from collections import Counter

import pytest

from edged.node.pool_event import TickBegun, TickEnded
from edged.node.trigger_calls import _UNDER_WAY_MAX, TriggerCalls
from edged.worker.report import Tick
from edged.worker.table import Orders, TriggerOrder

AB = frozenset("ab")


def two_workers() -> TriggerCalls:
    calls = TriggerCalls()
    calls.serving(0, AB)
    calls.serving(1, AB)
    return calls


def test_nobody_calls_what_nobody_serves() -> None:
    calls = TriggerCalls()
    assert calls.runner("a") is None
    calls.serving(0, frozenset("b"))
    assert (calls.runner("a"), calls.runner("b")) == (None, 0)


def test_the_worker_stays_the_same_while_it_serves() -> None:
    calls = TriggerCalls()
    calls.serving(1, AB)
    calls.serving(0, AB)
    assert (calls.runner("a"), calls.runner("b")) == (1, 1)
    calls.serving(1, frozenset("b"))
    assert (calls.runner("a"), calls.runner("b")) == (0, 1)
    calls.serving(1, AB)
    assert (calls.runner("a"), calls.runner("b")) == (0, 1)


def test_apps_are_dealt_evenly() -> None:
    calls = TriggerCalls()
    apps = frozenset(map(str, range(30)))
    calls.serving(1, frozenset())
    calls.serving(2, frozenset())
    calls.serving(0, frozenset("0"))
    for worker in (1, 2, 0):
        calls.serving(worker, apps)
    assert calls.ended(0) == []
    calls.serving(0, apps)
    shares = Counter(calls.runner(app) for app in apps)
    assert set(shares) <= {1, 2}
    calls.ended(1)
    assert {calls.runner(app) for app in apps} == {0, 2}


def test_the_calls_of_a_worker_end_with_it() -> None:
    calls = two_workers()
    assert calls.tick(0, Tick("a", "t", 60, ended=False)) == TickBegun("a", "t", 60)
    assert calls.tick(0, Tick("a", "u", 60, ended=False)) == TickBegun("a", "u", 60)
    assert calls.tick(0, Tick("a", "u", 60, ended=True)) == TickEnded("a", "u", 60)
    assert calls.ended(0) == [TickEnded("a", "t", 60, was_cut=True)]
    assert calls.ended(0) == []
    assert calls.runner("a") == 1


@pytest.mark.parametrize(
    "tick", [Tick("a", "t", 120, ended=True), Tick("a", "u", 60, ended=True), Tick("b", "t", 60, ended=True)], ids=str
)
def test_the_end_of_what_did_not_begin_is_nothing(tick: Tick) -> None:
    calls = two_workers()
    calls.tick(0, Tick("a", "t", 60, ended=False))
    assert calls.tick(0, tick) is None


@pytest.mark.parametrize(("count", "counts"), [(_UNDER_WAY_MAX, True), (_UNDER_WAY_MAX + 1, False)])
def test_calls_under_way_are_bounded(count: int, counts: bool) -> None:
    calls = two_workers()
    events = [calls.tick(0, Tick("a", str(number), 60, ended=False)) for number in range(count)]
    assert (events[-1] is not None) is counts
    assert len(calls.ended(0)) == min(count, _UNDER_WAY_MAX)


def test_only_the_worker_that_calls_is_given_orders() -> None:
    calls = two_workers()
    orders = {"a": {"t": TriggerOrder(60, 1)}, "b": {"u": TriggerOrder(listen=True)}}
    calls.set(orders)
    assert (calls.orders(0), calls.orders(1)) == (Orders(orders), Orders({}))
    calls.set({"a": orders["a"]})
    assert calls.orders(0) == Orders({"a": orders["a"], "b": {}}), "it calls triggers without a scope"
    calls.set(orders)
    calls.ended(0)
    assert (calls.orders(0), calls.orders(1)) == (Orders({}), Orders(orders))


def test_orders_are_made_anew_only_where_they_are_others() -> None:
    """All workers are looked at whenever one says a word."""
    calls = two_workers()
    calls.set({"a": {"t": TriggerOrder(60, 1)}})
    before = [calls.orders(worker) for worker in range(3)]
    calls.serving(0, AB)
    calls.tick(0, Tick("a", "t", 60, ended=False))
    assert all(calls.orders(worker) is before[worker] for worker in range(3))
    calls.set({"a": {"t": TriggerOrder(120, 2)}})
    assert calls.orders(0) == Orders({"a": {"t": TriggerOrder(120, 2)}, "b": {}}) != before[0]
    calls.serving(0, frozenset("b"))
    assert calls.orders(0) == Orders({"b": {}})
    assert calls.orders(1) == Orders({"a": {"t": TriggerOrder(120, 2)}})
    calls.ended(1)
    assert calls.orders(1) == Orders()
