"""Threads that are none: when their work is done, and what comes of it when nobody waits any more."""

from __future__ import annotations

import pytest
import trio

from tests.simulator.machine import Machine
from tests.simulator.world import World, run_world

SEEDS = range(20)  # of all the moments that chance may choose


def work(done: list[int]) -> int:
    done.append(1)
    return len(done)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thread_answers_or_raises(seed: int) -> None:
    async def main(world: World) -> None:
        def fail() -> None:
            raise KeyError("no")

        async with world.machine("one").process():
            assert await trio.to_thread.run_sync(work, []) == 1
            with pytest.raises(KeyError):
                await trio.to_thread.run_sync(fail)
            began = world.now
            world.machine("one").thread_s = 5.0
            for _ in range(10):
                await trio.to_thread.run_sync(work, [])
            assert world.now > began + 1

    run_world(seed, main)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_limiter_lets_only_so_many_work_at_once(seed: int) -> None:
    async def main(world: World) -> None:
        limiter = trio.CapacityLimiter(1)

        async def look() -> None:
            await trio.to_thread.run_sync(work, [], limiter=limiter)

        async with world.machine("one").process() as nursery:
            for _ in range(5):
                nursery.start_soon(look)
            await trio.lowlevel.checkpoint()
            while limiter.borrowed_tokens or limiter.statistics().tasks_waiting:
                assert limiter.borrowed_tokens <= 1
                await trio.sleep(0.0001)
        assert limiter.borrowed_tokens == 0

    run_world(seed, main)


@pytest.mark.parametrize("seed", SEEDS)
def test_who_is_cancelled_waits_for_the_work_unless_it_is_abandoned(seed: int) -> None:
    async def main(world: World) -> None:
        done: list[int] = []
        machine = world.machine("one")
        machine.thread_s = 1000.0
        async with machine.process():
            with trio.CancelScope() as scope:
                scope.cancel()
                await trio.to_thread.run_sync(work, done)
            assert (done, scope.cancelled_caught) == ([], True)  # before it began
            with trio.move_on_after(0.001) as scope:
                assert await trio.to_thread.run_sync(work, done) == 1
            assert (done, scope.cancelled_caught) == ([1], False)
            began, limiter = world.now, trio.CapacityLimiter(1)
            with trio.move_on_after(0.001):
                await trio.to_thread.run_sync(work, done, abandon_on_cancel=True, limiter=limiter)
            assert world.now < began + 0.01
            assert (done, limiter.borrowed_tokens) == ([1], 1)
            await trio.sleep(80_000)
            assert (done, limiter.borrowed_tokens) == ([1, 1], 0)

    run_world(seed, main)


def test_a_process_that_is_gone_does_no_more_and_hears_no_more() -> None:
    """Over many seeds: work that was not done, and work whose answer nobody heard; never one after the end."""
    seen = set()

    async def main(world: World) -> None:
        done: list[int] = []
        heard: list[int] = []
        machine = world.machine("one")
        machine.thread_s = 1.0

        async def program(_machine: Machine) -> None:
            heard.append(await trio.to_thread.run_sync(work, done))
            await trio.sleep_forever()

        async def kill() -> None:
            await trio.sleep(world.random("kill").uniform(0, 3))
            machine.kill()
            at_end.append(len(done))

        at_end: list[int] = []
        world.nursery.start_soon(kill)
        assert await machine.live(program) == "killed"
        await trio.sleep(1000)
        assert len(done) == at_end[0]
        seen.add((len(done), len(heard)))

    for seed in range(40):
        run_world(seed, main)
    assert seen == {(0, 0), (1, 0), (1, 1)}


def test_a_thread_may_speak_to_the_loop() -> None:
    async def main(world: World) -> None:
        def ask() -> float:
            return trio.from_thread.run_sync(trio.current_time)

        async with world.machine("one").process():
            assert await trio.to_thread.run_sync(ask) <= world.now
        assert await trio.to_thread.run_sync(ask) == world.now  # of the world outside

    run_world(1, main)


@pytest.mark.parametrize("seed", SEEDS)
def test_who_waited_for_a_place_ends_with_the_process(seed: int) -> None:
    """It gets the place of a work that ended with the process."""

    async def main(world: World) -> None:
        done: list[int] = []
        limiter = trio.CapacityLimiter(1)

        async def program(_machine: Machine) -> None:
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(look)

        async def look() -> None:
            await trio.to_thread.run_sync(work, done, limiter=limiter)

        machine = world.machine("one")
        machine.thread_s = 1000.0
        world.agenda.after(0.001, machine.kill)
        if await machine.live(program) == "killed":
            assert len(done) < 3
        assert limiter.borrowed_tokens == 0

    run_world(seed, main)
