"""Who takes its turn for a shared trigger: one node's view, with the others' words made up."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from edged.fleet.report import NodeReport
from edged.fleet.scope import Duty, GivenUp, Heard, ScopedTrigger, Shares, TriggerReport, order
from edged.limits import (
    SCOPE_LATE_S_MAX,
    SCOPE_LISTEN_S,
    SCOPE_ORDER_S,
    SCOPE_RANK_MAX,
    SCOPE_SETTLE_S,
    SCOPE_SKEW_S_MAX,
    SCOPE_TAKEOVER_S,
    SCOPE_TRIGGER_COUNT_MAX,
)

START = 1_000_020
"""Unix time, a whole minute, when the monotonic clock is at 0."""

MINUTE = 60


def each_minute(after: int) -> int | None:
    return (after // MINUTE + 1) * MINUTE


TICKS = ScopedTrigger("app", "nightly", "fleet", "0 * * * * *", each_minute)
CHANNEL = ScopedTrigger("app", "news", "fleet")
ID, CHANNEL_ID = ("app", "nightly"), ("app", "news")

FIRST, SECOND, THIRD = order(TICKS.key, ["n1", "n2", "n3"])
CHANNEL_FIRST, CHANNEL_SECOND, CHANNEL_THIRD = order(CHANNEL.key, ["n1", "n2", "n3"])


def node(name: str, report: TriggerReport, *, key: str = TICKS.key, region: str = "eu", is_up: bool = True) -> Heard:
    return Heard(name, region, {key: report}, is_up)


class View:
    """One node, whose two clocks go together until a test sets the wall clock."""

    def __init__(self, name: str, trigger: ScopedTrigger = TICKS) -> None:
        self.shares = Shares(name)
        self.trigger = trigger
        self.set_by = 0.0
        self.shares.set([trigger], 0.0, START)

    def look(self, at: float, *heard: Heard, region: str = "eu") -> list[GivenUp]:
        """At a time in seconds since START."""
        return self.shares.look(heard, region, at, START + at + self.set_by)

    def duty(self, at: float, *heard: Heard, region: str = "eu") -> Duty:
        self.look(at, *heard, region=region)
        return self.shares.duties()[self.trigger.app, self.trigger.id]

    def tick(self, at: float, *heard: Heard, region: str = "eu") -> int:
        """What is to be called, in seconds since START; 0 for nothing."""
        tick = self.duty(at, *heard, region=region).tick
        return tick and tick - START

    def call(self, seconds: int) -> None:
        self.shares.begun(ID, START + seconds)
        self.shares.ended(ID, START + seconds)

    def said(self) -> TriggerReport:
        return self.shares.report()[self.trigger.key]


def done(seconds: int, *, since: int = 0, active: int = 0) -> TriggerReport:
    return TriggerReport(START + since, START + seconds, active and START + active)


# --- the order ---


def test_the_order_is_the_same_for_all_and_another_for_each_trigger() -> None:
    names = [f"n{number}" for number in range(20)]
    assert order("a", names) == order("a", reversed(names))
    assert sorted(order("a", names)) == sorted(names)
    assert len({order(f"trigger {number}", names)[0] for number in range(200)}) == 20


def test_one_that_goes_or_comes_moves_nothing_else() -> None:
    names = [f"n{number}" for number in range(20)]
    whole = order("a", names)
    for gone in names:
        assert order("a", [name for name in names if name != gone]) == [name for name in whole if name != gone]


def test_a_trigger_with_another_schedule_scope_app_or_name_is_another() -> None:
    one = ScopedTrigger("app", "a", "fleet", "@hourly")
    others = [
        ScopedTrigger("app", "a", "fleet", "@daily"),
        ScopedTrigger("app", "a", "region", "@hourly"),
        ScopedTrigger("app", "b", "fleet", "@hourly"),
        ScopedTrigger("blog", "a", "fleet", "@hourly"),
    ]
    assert len({each.key for each in (one, *others)}) == 5
    assert NodeReport.parse(NodeReport("n", "eu", 1, 1, 1.0, triggers={one.key: done(1)}).encode()).triggers


# --- ticks ---


def test_the_only_node_calls_each_tick_once_in_order() -> None:
    view = View("n1")
    assert view.tick(59.9) == 0
    assert view.tick(60) == 60
    view.shares.begun(ID, START + 60)
    assert view.said().active == START + 60
    assert view.tick(200) == 60
    view.shares.ended(ID, START + 60)
    assert view.said() == done(60)
    assert [view.tick(200), view.call(120), view.tick(200), view.call(180), view.tick(200)] == [120, None, 180, None, 0]


def test_a_trigger_that_has_just_come_waits() -> None:
    view = View("n1")
    view.shares.set([], 1, START + 1)
    at = 55.0
    view.shares.set([TICKS], at, START + at)
    assert view.tick(60) == 0
    assert view.tick(at + SCOPE_SETTLE_S - 0.1) == 0
    assert view.tick(at + SCOPE_SETTLE_S) == 60


def test_a_swap_or_another_worker_changes_nothing() -> None:
    view = View("n1")
    view.call(60)
    view.shares.set([], 100, START + 100)
    assert view.shares.duties() == {}
    assert view.shares.report() == {}
    view.shares.set([TICKS], 100 + SCOPE_SETTLE_S, START + 100 + SCOPE_SETTLE_S)
    assert view.tick(120) == 120


def test_what_has_gone_for_long_is_forgotten() -> None:
    for gone_s, is_known in ((SCOPE_LATE_S_MAX, True), (SCOPE_LATE_S_MAX + 1, False)):
        view = View("n1")
        view.call(60)
        view.shares.set([], 100, START + 100)
        view.shares.set([TICKS], 100 + gone_s, START + 100 + gone_s)
        assert (view.said() == done(60)) is is_known


def test_ticks_from_before_it_came_are_nobodys() -> None:
    view = View("n1")
    view.shares.set([], 0, START)
    view.shares.set([], 1 + SCOPE_LATE_S_MAX, START + 1 + SCOPE_LATE_S_MAX)
    view.shares.set([TICKS], 601, START + 601)
    assert view.tick(601 + SCOPE_SETTLE_S) == 0
    assert view.tick(660) == 660


@pytest.mark.parametrize(
    ("name", "late_s"), [(FIRST, 0.0), (SECOND, SCOPE_TAKEOVER_S), (THIRD, 2 * SCOPE_TAKEOVER_S)], ids=["1", "2", "3"]
)
def test_who_comes_later_waits_for_those_before(name: str, late_s: float) -> None:
    others = [node(other, done(0)) for other in (FIRST, SECOND, THIRD) if other != name]
    view = View(name)
    assert view.tick(60 + late_s - 0.1, *others) == 0
    assert view.tick(60 + late_s, *others) == 60


def test_a_rare_tick_is_taken_over_as_well() -> None:
    """So rare that all before it was too late long ago."""
    hourly = ScopedTrigger("app", "rare", "fleet", "@hourly", lambda after: (after // 3600 + 1) * 3600)
    first, second = order(hourly.key, ["n1", "n2"])
    view, at = View(second, hourly), float(3600 - START % 3600 + 3600)
    for late_s in range(-600, int(SCOPE_TAKEOVER_S)):
        assert view.tick(at + late_s, node(first, done(0), key=hourly.key)) == 0
    assert view.tick(at + SCOPE_TAKEOVER_S, node(first, done(0), key=hourly.key)) == at


def test_calls_that_lag_behind_are_left_to_whoever_makes_them() -> None:
    view = View(SECOND)
    for tick in range(60, 1200, 60):
        for at in range(tick + 100, tick + 160, 7):  # each takes the whole minute
            assert view.tick(at, node(FIRST, done(tick - 60, active=tick))) == 0
    assert view.tick(1240 + SCOPE_TAKEOVER_S, node(FIRST, done(1140))) == 0
    assert view.tick(1240 + 2 * SCOPE_TAKEOVER_S, node(FIRST, done(1140))) == 1200


def test_nobody_waits_for_more_than_a_few() -> None:
    names = [f"n{number}" for number in range(50)]
    last = order(TICKS.key, names)[-1]
    others = [node(name, done(0)) for name in names if name != last]
    view = View(last)
    late_s = SCOPE_RANK_MAX * SCOPE_TAKEOVER_S
    assert late_s < SCOPE_LATE_S_MAX
    assert [view.tick(60 + late_s - 0.1, *others), view.tick(60 + late_s, *others)] == [0, 60]


def test_what_another_has_done_is_not_done_again() -> None:
    view = View(SECOND)
    late = 60 + SCOPE_TAKEOVER_S
    assert view.tick(late, node(FIRST, done(60))) == 0
    assert view.said().done == START + 60


def test_what_another_is_at_is_left_to_it_as_long_as_it_is_heard_of() -> None:
    view = View(SECOND)
    late = 60 + SCOPE_TAKEOVER_S
    assert view.tick(late, node(FIRST, done(0, active=60))) == 0
    assert view.tick(late, node(FIRST, done(0, active=60), is_up=False)) == 60


@pytest.mark.parametrize(("since", "expected"), [(59, 0), (60, 60)], ids=["its-own", "before-it-came"])
def test_one_that_came_after_the_tick_is_at_others_only(since: int, expected: int) -> None:
    """It never gets to that one, however long it is at later ones."""
    view, busy = View(SECOND), node(FIRST, done(since, since=since, active=120))
    assert {view.tick(at, busy) for at in range(60, int(60 + SCOPE_TAKEOVER_S))} == {0}
    assert view.tick(60 + SCOPE_TAKEOVER_S, busy) == expected


def test_one_that_is_silent_is_not_waited_for() -> None:
    view = View(SECOND)
    assert view.tick(60, node(FIRST, done(0), is_up=False)) == 60
    assert view.tick(60, node(FIRST, done(60), is_up=False)) == 0


def test_one_that_does_not_have_the_trigger_does_not_count() -> None:
    assert View(SECOND).tick(60, Heard(FIRST, "eu", {})) == 60
    assert View(SECOND).tick(60, node(FIRST, done(60), key="0" * 32)) == 60


@pytest.mark.parametrize("scope", ["region", "fleet"])
def test_a_region_is_by_itself(scope: str) -> None:
    trigger = ScopedTrigger("app", "nightly", "region" if scope == "region" else "fleet", "0 * * * * *", each_minute)
    first, second = order(trigger.key, ["n1", "n2"])
    expected = 60 if scope == "region" else 0
    assert View(second, trigger).tick(60, node(first, done(0), key=trigger.key, region="us")) == expected
    assert View(second, trigger).tick(60, node(first, done(0), key=trigger.key, region="eu")) == 0


def test_a_tick_that_nobody_says_is_done_is_called_before_later_ones() -> None:
    """A node that was new at 90 does not know what became of the tick at 60; the first one died at it."""
    view = View(SECOND)
    newcomer = node(THIRD, done(180, since=90))
    assert view.tick(181, newcomer) == 60
    view.call(60)
    assert view.tick(182, newcomer) == 0
    assert view.said() == done(180)


def test_knowledge_is_passed_on_by_the_first_few_only() -> None:
    names = [f"n{number}" for number in range(SCOPE_RANK_MAX + 2)]
    ranked = order(TICKS.key, names)
    for rank, name in enumerate(ranked):
        others = [node(each, done(60) if each == ranked[0] else done(0)) for each in names if each != name]
        view = View(name)
        view.look(70, *others)
        if rank:
            assert view.said().done == START + (60 if rank < SCOPE_RANK_MAX else 0)
    view.call(120)
    assert view.said().done == START + 120


def test_an_order_that_nobody_begins_is_given_again() -> None:
    view = View("n1")
    first = view.duty(60)
    assert view.duty(60 + SCOPE_ORDER_S - 0.1) == first
    second = view.duty(60 + SCOPE_ORDER_S)
    assert (second.tick, second.order > first.order) == (first.tick, True)
    view.shares.begun(ID, second.tick)
    assert view.duty(60 + 2 * SCOPE_ORDER_S) == second


def test_a_tick_too_late_is_given_up_and_said() -> None:
    view = View("n1")
    assert view.look(60 + SCOPE_LATE_S_MAX) == [GivenUp(TICKS, START, START + 60)]
    assert view.look(60 + SCOPE_LATE_S_MAX) == []
    assert view.tick(60 + SCOPE_LATE_S_MAX) == 120
    assert View("n1").tick(59.9 + SCOPE_LATE_S_MAX) == 60


def test_what_others_did_meanwhile_was_not_given_up() -> None:
    assert View(SECOND).look(3600, node(FIRST, done(3600))) == []


def test_a_call_longer_than_that_gives_up_nothing_that_is_under_way() -> None:
    view = View("n1")
    view.shares.begun(ID, START + 60)
    assert view.look(1000) == []
    view.shares.ended(ID, START + 60)
    assert view.tick(1000) == 720


# --- clocks, lies ---


def test_a_clock_set_back_does_not_lose_what_it_did_in_the_future() -> None:
    view = View("n1")
    view.set_by = 86_400
    assert view.tick(60) == 86_400 + 60 - SCOPE_LATE_S_MAX + MINUTE
    view.call(86_460)
    view.set_by = 0
    assert view.tick(61) == 61 // MINUTE * MINUTE - SCOPE_LATE_S_MAX + MINUTE  # again, what it did once perhaps
    for seconds in range(int(-SCOPE_LATE_S_MAX) + 2 * MINUTE, 61, MINUTE):
        view.call(seconds)
    assert view.tick(120) == 120


@pytest.mark.parametrize(("ahead_s", "counts"), [(SCOPE_SKEW_S_MAX, True), (SCOPE_SKEW_S_MAX + 1, False)])
def test_what_is_said_of_the_future_counts_so_far(ahead_s: float, counts: bool) -> None:
    view = View(FIRST)
    lie = TriggerReport(0, int(START + 60 + ahead_s))
    assert view.tick(60, node(SECOND, lie)) == (0 if counts else 60)


def test_a_lie_is_forgotten_with_its_teller() -> None:
    view = View(FIRST)
    assert view.tick(60, node(SECOND, TriggerReport(0, int(START + 60 + SCOPE_SKEW_S_MAX)))) == 0
    assert view.tick(120) == 0
    assert view.tick(180) == 180


@pytest.mark.parametrize(
    "value",
    [None, [], [1, 2], [1, 2, 3, 4], ["1", 2, 3], [True, 2, 3], [-1, 2, 3], [1, 2, -3], [3, 2, 0], [1, 2**64, 0]],
    ids=str,
)
def test_reports_of_triggers_are_parsed_strictly(value: object) -> None:
    good = NodeReport("n1", "eu", 1, 1, 1.0, triggers={TICKS.key: done(60)}).encode()
    assert NodeReport.parse(good).triggers == {TICKS.key: done(60)}
    with pytest.raises(Exception, match=r"report|trigger"):
        NodeReport.parse(good | {"triggers": {TICKS.key: value}})


@pytest.mark.parametrize("key", ["", "a" * 31, "a" * 33, "A" * 32, 7], ids=str)
def test_keys_of_triggers_are_parsed_strictly(key: object) -> None:
    good = NodeReport("n1", "eu", 1, 1, 1.0).encode()
    with pytest.raises(Exception, match="32 hex digits"):
        NodeReport.parse(good | {"triggers": {key: [1, 2, 3]}})


@pytest.mark.parametrize(("count", "fits"), [(SCOPE_TRIGGER_COUNT_MAX, True), (SCOPE_TRIGGER_COUNT_MAX + 1, False)])
def test_triggers_of_a_report_are_bounded(count: int, fits: bool) -> None:
    shape = NodeReport("n1", "eu", 1, 1, 1.0).encode()
    shape["triggers"] = {f"{number:032x}": [1, 2, 0] for number in range(count)}
    if fits:
        assert len(NodeReport.parse(shape).triggers) == count
    else:
        with pytest.raises(Exception, match="triggers"):
            NodeReport.parse(shape)


def test_a_node_tells_of_no_more_than_that() -> None:
    shares = Shares("n1")
    shares.set([ScopedTrigger("app", str(number), "fleet") for number in range(SCOPE_TRIGGER_COUNT_MAX + 1)], 0, START)
    assert len(shares.report()) == SCOPE_TRIGGER_COUNT_MAX
    assert len(shares.duties()) == SCOPE_TRIGGER_COUNT_MAX + 1


# --- channels ---


def listening(name: str, is_so: bool = True, *, is_up: bool = True) -> Heard:
    return node(name, TriggerReport(active=int(is_so)), key=CHANNEL.key, is_up=is_up)


def test_the_first_listens_at_once() -> None:
    view = View(CHANNEL_FIRST, CHANNEL)
    assert view.duty(0, listening(CHANNEL_SECOND)).listen


def test_one_that_listens_goes_on_until_an_earlier_one_says_that_it_does() -> None:
    view = View(CHANNEL_SECOND, CHANNEL)
    assert view.duty(0).listen
    assert view.duty(1, listening(CHANNEL_FIRST, False)).listen
    assert view.duty(100, listening(CHANNEL_THIRD)).listen
    assert not view.duty(101, listening(CHANNEL_FIRST)).listen


def test_the_next_one_listens_when_the_first_is_silent() -> None:
    view = View(CHANNEL_SECOND, CHANNEL)
    assert not view.duty(0, listening(CHANNEL_FIRST)).listen
    assert view.duty(1, listening(CHANNEL_FIRST, is_up=False)).listen


@pytest.mark.parametrize(("name", "waits"), [(CHANNEL_SECOND, 1), (CHANNEL_THIRD, 2)], ids=["2", "3"])
def test_the_next_one_listens_when_the_first_cannot(name: str, waits: int) -> None:
    """It is up, and has no way to the server."""
    others = [listening(each, False) for each in (CHANNEL_FIRST, CHANNEL_SECOND, CHANNEL_THIRD) if each != name]
    view = View(name, CHANNEL)
    assert not view.duty(0, *(listening(each.name) for each in others)).listen
    assert not view.duty(1, *others).listen
    assert not view.duty(1 + waits * SCOPE_LISTEN_S - 0.1, *others).listen
    assert view.duty(1 + waits * SCOPE_LISTEN_S, *others).listen


def test_whether_it_listens_is_what_the_worker_says() -> None:
    view = View("n1", CHANNEL)
    view.look(0)
    assert not view.said().active
    view.shares.set_listening([CHANNEL_ID])
    assert view.said().active
    view.shares.set_listening([])
    assert not view.said().active


# --- odds and ends ---


def test_when_to_look_again() -> None:
    view = View("n1")
    assert view.shares.wake_at(START) == START + 60
    assert view.shares.wake_at(START + 60) == math.inf
    assert View("n1", CHANNEL).shares.wake_at(START) == math.inf


def test_words_about_what_is_not_here_are_nothing() -> None:
    shares = Shares("n1")
    shares.begun(ID, START)
    shares.ended(ID, START)
    shares.set_listening([ID])
    assert shares.look([node("n2", done(0))], "eu", 0, START) == []
    assert shares.duties() == {}


def test_the_end_of_another_call_ends_nothing() -> None:
    view = View("n1")
    view.shares.begun(ID, START + 60)
    view.shares.ended(ID, START + 120)
    assert view.said() == done(0, active=60)
    view.shares.ended(ID, START + 60)
    assert view.said() == done(60)


def test_a_trigger_without_ticks_left() -> None:
    def never(_after: int) -> int | None:
        return None

    view = View("n1", ScopedTrigger("app", "nightly", "fleet", "0 0 0 1 1 * 2020", never))
    others: Mapping[str, TriggerReport] = {view.trigger.key: done(60, since=30)}
    assert view.tick(60, Heard("n2", "eu", others)) == 0
    assert view.look(10_000) == []


def test_the_next_tick_is_looked_for_once_until_it_has_come() -> None:
    """A schedule that hardly ever fits takes milliseconds to search, and there are thousands of looks in between."""
    asked: list[int] = []

    def in_an_hour(after: int) -> int | None:
        asked.append(after)
        return START + 3600 if after < START + 3600 else None

    rare = ScopedTrigger("app", "rare", "fleet", "0 0 0 29 2 1", in_an_hour)
    other = node("n2", TriggerReport(START, START, 0), key=rare.key)
    view = View("n1", rare)
    for second in range(3600):
        assert not view.duty(float(second), other).tick
        assert view.shares.wake_at(START + second) == START + 3600
    assert len(asked) == 1
    tick = START + 3600
    assert view.duty(3600.0 + SCOPE_TAKEOVER_S).tick == tick
    view.shares.ended(("app", "rare"), tick)
    assert not view.duty(7200.0).tick
    assert view.shares.wake_at(START + 7200) == math.inf
    assert len(asked) == 2
    view.set_by = -7200.0  # a clock that is set back makes it due again
    view.look(7201.0)
    assert len(asked) == 3
