from __future__ import annotations

from collections import Counter

import pytest
import trio
import trio.testing

from edged.limits import PASS_GUEST_S_MAX, PASS_START_COUNT_MAX
from edged.wasm.engine import Engine
from edged.wasm.instance import Instance
from edged.wasm.pool import InstancePool
from edged.wasm.turnstile import Turnstile
from tests.wasm.conftest import Link
from tests.wasm.hosts import invocation


class Passes(trio.abc.Instrument):
    """Counts passes of the loop."""

    def __init__(self) -> None:
        self.count = 0

    def after_io_wait(self, timeout: float) -> None:
        self.count += 1


@pytest.fixture
async def passes() -> Passes:
    counting = Passes()
    trio.lowlevel.add_instrument(counting)
    return counting


class Crowd:
    """Requests that all come at once, and compute for so long each."""

    def __init__(self, turnstile: Turnstile, passes: Passes, cost_s: float) -> None:
        self._turnstile = turnstile
        self._passes = passes
        self._cost_s = cost_s
        self.began: list[int] = []
        self.in_pass: Counter[int] = Counter()

    async def one(self, number: int) -> None:
        await self._turnstile.start()
        self._turnstile.spent_s += self._cost_s
        self.began.append(number)
        self.in_pass[self._passes.count] += 1

    async def all(self, count: int) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(self.one, number)


async def test_nobody_waits_while_passes_are_short(passes: Passes) -> None:
    crowd = Crowd(Turnstile(), passes, PASS_GUEST_S_MAX / 1_000)
    await crowd.all(500)
    assert len(crowd.in_pass) == 1


async def test_of_requests_that_take_long_one_begins_in_a_pass(passes: Passes) -> None:
    crowd = Crowd(Turnstile(), passes, 1.0)
    await crowd.all(50)
    assert len(crowd.began) == 50
    assert max(crowd.in_pass.values()) == 1


async def test_small_ones_begin_by_the_dozen_and_their_pass_is_no_longer_for_it(passes: Passes) -> None:
    cost_s = PASS_GUEST_S_MAX / 20
    crowd = Crowd(Turnstile(), passes, cost_s)
    await crowd.all(2_000)
    assert len(crowd.in_pass) < 400
    assert max(crowd.in_pass.values()) <= PASS_START_COUNT_MAX
    # Doubled until it is too many, halved then.
    assert max(crowd.in_pass.values()) * cost_s <= 4 * PASS_GUEST_S_MAX


async def test_first_come_first_served(passes: Passes) -> None:
    turnstile = Turnstile()
    crowd = Crowd(turnstile, passes, 1.0)
    await crowd.one(-1)  # from here on all queue
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(crowd.one, number)
            turnstile.spent_s = 1.0
            await trio.lowlevel.checkpoint()
    assert crowd.began == sorted(crowd.began)


async def test_who_is_cancelled_leaves_the_queue(passes: Passes) -> None:
    turnstile = Turnstile()
    crowd = Crowd(turnstile, passes, 1.0)
    await crowd.one(0)
    with trio.CancelScope() as scope:
        scope.cancel()
        await crowd.one(1)
    await crowd.one(2)
    assert crowd.began == [0, 2]


async def test_where_nothing_else_moves_the_queue_still_does(passes: Passes) -> None:
    """The loop would sleep: nobody who computed is left to say that others may."""
    turnstile = Turnstile()
    crowd = Crowd(turnstile, passes, 1.0)
    with trio.fail_after(60):
        await crowd.all(5)


def test_an_engine_outlives_a_loop() -> None:
    """Its queue of before, with a task that was cancelled, is not that of the next loop."""
    turnstile = Turnstile()

    async def cut_off() -> None:
        passes = Passes()
        trio.lowlevel.add_instrument(passes)
        crowd = Crowd(turnstile, passes, 1.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd.all, 10)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    async def whole() -> int:
        passes = Passes()
        trio.lowlevel.add_instrument(passes)
        crowd = Crowd(turnstile, passes, 1.0)
        await crowd.all(10)
        return max(crowd.in_pass.values())

    trio.run(cut_off)
    assert trio.run(whole) == 1


async def test_guests_that_compute_leave_room_in_each_pass(link: Link, engine: Engine, passes: Passes) -> None:
    """Sixty requests at once, of which each would spin: few of them are polled in any pass, and all get their turn."""
    program = link()
    export = program.export("test:guest/run", "spin")
    assert export is not None
    pool = InstancePool(program)
    began: list[Instance] = []

    async def spin() -> None:
        instance = await pool.acquire(invocation())
        began.append(instance)
        try:
            await instance.call(export)
        finally:
            pool.release(instance)

    most = 0
    async with trio.open_nursery() as nursery:
        for _ in range(60):
            nursery.start_soon(spin)
        while len(began) < 60:
            before = engine.polls
            await trio.lowlevel.checkpoint()
            most = max(most, engine.polls - before)
        nursery.cancel_scope.cancel()
    # Five ms of slices of one to two ms begin, each goes on for three passes, and one of the busy ones has its turn.
    assert most <= 40
    assert pool.statistics().alive == 0


async def test_a_program_that_goes_first_waits_for_nobody(link: Link, engine: Engine) -> None:
    ordinary, first = InstancePool(link()), InstancePool(link())
    first.turnstile = None
    order: list[str] = []

    async def ask(pool: InstancePool, name: str) -> None:
        instance = await pool.acquire(invocation())
        order.append(name)
        pool.release(instance)

    await engine.turnstile.start()  # of this loop from now on
    engine.turnstile.spent_s = 1.0
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask, ordinary, "ordinary")
        await ask(first, "first")
    assert order.index("first") == 0
    assert len(order) == 11


async def test_a_request_that_is_cancelled_in_the_queue_gives_its_place_back(link: Link, engine: Engine) -> None:
    pool = InstancePool(link(concurrent_max=1))
    await engine.turnstile.start()  # of this loop from now on
    engine.turnstile.spent_s = 1.0
    with trio.CancelScope() as scope:
        scope.cancel()
        await pool.acquire(invocation())
    assert scope.cancelled_caught
    assert pool.statistics().alive == 0
