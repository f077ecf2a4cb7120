"""A world of seeds: what it decides, and that it decides the same in every process."""

from __future__ import annotations

import inspect
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
import trio

from edged.fleet.gossip import Gossip
from tests.simulator.parties import START
from tests.simulator.trace import Trace
from tests.simulator.world import World, run_world

log = structlog.get_logger()


def test_time_passes_when_nothing_else_is_to_be_done() -> None:
    async def main(world: World) -> float:
        await trio.sleep(80_000.0)
        return world.now

    assert run_world(1, main) == 80_000.0


def test_what_main_raises_is_raised_and_the_trace_is_there() -> None:
    trace = Trace(tail=2)

    async def main(world: World) -> None:
        for number in range(4):
            world.trace.note("step", number)
        raise KeyError("no")

    with pytest.raises(KeyError):
        run_world(1, main, trace=trace)
    assert list(trace.tail) == ["0.000000 step 2", "0.000000 step 3"]
    assert trace.count == 4


def test_what_a_task_outside_raises_ends_the_world() -> None:
    async def fail() -> None:
        raise KeyError("no")

    async def main(world: World) -> None:
        world.nursery.start_soon(fail)
        await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        run_world(1, main)
    assert caught.group_contains(KeyError)


def test_each_machine_has_its_own_time() -> None:
    def ask() -> float:
        return time.time()

    async def main(world: World) -> list[float]:
        one = world.machine("one")
        one.clock.jump(-86_400)
        seen = [time.time()]
        async with one.process():
            await trio.sleep(10)
            seen += [time.time(), await trio.to_thread.run_sync(ask)]
            one.clock.set_drift(0.5)
            await trio.sleep(10)
            seen.append(round(time.time(), 3))
            assert round(one.clock.error_s, 3) == -86_395
            one.clock.set()
            seen.append(time.time())
        return seen

    began, jumped, in_thread, drifted, right = run_world(1, main)
    assert began == START
    assert jumped == START - 86_390
    assert 0 <= in_thread - jumped < 1
    assert 15 <= drifted - jumped < 16
    assert 20 <= right - START < 21


def test_a_clock_that_was_taken_as_a_default_is_replaced_for_the_run_only() -> None:
    def default() -> Callable[[], float]:
        clock: Callable[[], float] = inspect.signature(Gossip).parameters["clock"].default
        return clock

    async def main(world: World) -> float:
        return default()()

    assert run_world(1, main) == START
    assert default() is time.time


def test_chance_comes_from_the_seed_and_what_was_before_comes_back() -> None:
    async def main(world: World) -> tuple[object, ...]:
        return secrets.token_hex(8), secrets.token_bytes(4), random.random(), world.random("a").random()

    random.seed(5)
    expected = random.random()
    random.seed(5)
    assert run_world(1, main) == run_world(1, main)
    assert len(set(run_world(1, main) + run_world(2, main))) == 8
    assert random.random() == expected
    assert secrets.token_hex(8) != secrets.token_hex(8)


def test_more_chance_for_one_purpose_changes_nothing_for_another() -> None:
    async def main(world: World) -> None:
        one, other = world.random("one"), world.random("other")
        assert one.random() != other.random()
        assert world.random("one").random() == world.random("one").random()

    run_world(1, main)


def test_logs_are_counted_by_event_until_their_process_is_gone() -> None:
    async def main(world: World) -> dict[str, int]:
        seen: list[tuple[str, object]] = []
        world.log_seen = lambda machine, fields: seen.append((machine, fields["peer"]))
        machine = world.machine("one")
        async with machine.process():
            log.info("peer.connected", peer="a")
            machine.kill()
            log.info("peer.connected", peer="b")
        log.warning("peer.disconnected", peer="c")
        assert seen == [("one", "a"), ("", "c")]
        return dict(world.log_counts)

    assert run_world(1, main) == {"peer.connected": 1, "peer.disconnected": 1}


def test_two_processes_see_the_same_and_other_seeds_see_something_else() -> None:
    """Ten nodes that talk, under faults; see `talk`."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.simulator.talk", "--seeds", "1:4"]
    folder = Path(__file__).parents[2]
    running = [
        subprocess.Popen(command, env={**environment, "LENGTH": "x" * number}, cwd=folder, stdout=subprocess.PIPE)
        for number in (1, 4_000)
    ]
    one, other = (process.communicate()[0].decode().splitlines() for process in running)
    assert [process.returncode for process in running] == [0, 0]
    assert one == other
    assert len(set(one)) == 3
