"""Machines: what is left of a process when it ends, and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.simulator.machine import Died, Machine, current_process
from tests.simulator.memory_disk import PowerCut
from tests.simulator.world import World, run_world

FILE = Path("/file")


def in_world(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        run_world(1, test)

    return run


@in_world
async def test_a_process_ends_as_a_nursery_does(world: World) -> None:
    machine = world.machine("one")

    async def child() -> None:
        process = current_process()
        assert process is not None
        assert process.machine is machine
        await trio.sleep(5)

    async with machine.process() as nursery:
        nursery.start_soon(child)
        assert machine.is_alive
    assert not machine.is_alive
    assert current_process() is None
    assert world.now == 5
    assert machine.process_count == 1


@in_world
async def test_what_a_program_raises_is_raised(world: World) -> None:
    machine = world.machine("one")
    with pytest.raises(ExceptionGroup) as caught:
        async with machine.process():
            raise KeyError("no")
    assert caught.group_contains(KeyError)
    assert not machine.is_alive


@in_world
async def test_it_lives_again_and_again(world: World) -> None:
    machine = world.machine("one")

    async def program(machine: Machine) -> None:
        if machine.process_count == 1:
            machine.kill()
        elif machine.process_count == 2:
            machine.power_cut()
        await trio.lowlevel.checkpoint()

    assert [await machine.live(program) for _ in range(3)] == ["killed", "power cut", "ended"]


@in_world
async def test_no_shield_and_no_finally_keeps_a_killed_process(world: World) -> None:
    machine = world.machine("one")
    seen: list[str] = []

    async def stubborn() -> None:
        try:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
        finally:
            seen.append("finally")
            with trio.CancelScope(shield=True):
                try:
                    await trio.to_thread.run_sync(seen.append, "thread")
                finally:
                    machine.disk.write(FILE, [b"x"])

    async def kill() -> None:
        await trio.sleep(3)
        machine.kill()

    world.nursery.start_soon(kill)
    async with machine.process() as nursery:
        nursery.start_soon(stubborn)
    assert seen == ["finally"]
    assert world.now == 3
    assert machine.disk.files() == {}


@in_world
async def test_a_killed_process_leaves_its_files_and_a_power_cut_only_durable_ones(world: World) -> None:
    async def program(machine: Machine) -> None:
        disk = machine.disk
        disk.write(FILE, [b"durable"])
        disk.sync(FILE)
        disk.sync_folder(FILE.parent)
        for number in range(20):
            disk.write(Path(f"/loose-{number}"), [bytes(8192)])
        await trio.sleep_forever()

    left = {}
    for end in ("kill", "power_cut"):
        machine = world.machine(end)

        async def fall(machine: Machine = machine, end: str = end) -> None:
            await trio.sleep(1)
            getattr(machine, end)()

        world.nursery.start_soon(fall)
        await machine.live(program)
        left[end] = machine.disk.files()
        assert left[end][FILE] == b"durable"
    assert all(left["kill"][Path(f"/loose-{number}")] == bytes(8192) for number in range(20))
    assert len(left["power_cut"]) < 21


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kind", ["killed", "power cut"])
def test_it_ends_at_the_disk_operation_that_was_named(count: int, kind: Any) -> None:
    async def main(world: World) -> None:
        done: list[str] = []
        machine = world.machine("one")

        async def program(machine: Machine) -> None:
            machine.crash_at(operations=count, kind=kind)
            for step in ("a", "b", "c"):
                machine.disk.write(Path(f"/{step}"), [b"x"])
                done.append(step)

        assert await machine.live(program) == kind
        assert done == ["a", "b", "c"][: count - 1]
        assert await machine.live(finish) == "ended"

    async def finish(machine: Machine) -> None:
        machine.disk.write(Path("/z"), [b"x"])

    run_world(1, main)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_ends_at_the_step_that_was_named(count: int) -> None:
    async def main(world: World) -> None:
        steps = [0]

        async def program(machine: Machine) -> None:
            machine.crash_at(awaits=count, kind="killed")  # in the first step
            while True:
                steps[0] += machine.is_alive
                await trio.lowlevel.checkpoint()

        async def others() -> None:
            while True:
                await trio.lowlevel.checkpoint()

        world.nursery.start_soon(others)  # whose steps are not counted
        assert await world.machine("one").live(program) == "killed"
        assert steps == [count]

    run_world(1, main)


@in_world
async def test_a_crash_that_was_not_reached_does_not_befall_the_next_process(world: World) -> None:
    async def first(machine: Machine) -> None:
        machine.crash_at(operations=3, awaits=1000)
        machine.disk.write(FILE, [b"x"])

    async def second(machine: Machine) -> None:
        for number in range(5):
            machine.disk.write(Path(f"/{number}"), [b"x"])
            await trio.lowlevel.checkpoint()

    machine = world.machine("one")
    assert await machine.live(first) == "ended"
    assert await machine.live(second) == "ended"


@in_world
async def test_a_disk_that_lost_power_by_itself_ends_the_process(world: World) -> None:
    async def program(machine: Machine) -> None:
        machine.disk.crash_after(1)
        with pytest.raises(PowerCut):
            machine.disk.write(FILE, [b"x"])
        machine.disk.write(FILE, [b"x"])

    assert await world.machine("one").live(program) == "power cut"


@in_world
async def test_a_token_calls_back_the_process_that_it_is_of(world: World) -> None:
    called: list[str] = []

    def call(word: str) -> None:
        process = current_process()
        assert process is not None
        called.append(f"{process.machine.name} {word}")

    tokens = []
    for name in ("one", "two"):

        async def program(machine: Machine) -> None:
            tokens.append(trio.lowlevel.current_trio_token())
            await trio.sleep_forever()

        world.nursery.start_soon(world.machine(name).live, program)
        await trio.sleep(1)
    one, two = tokens
    for token in (one, two):
        for word, idempotent in (("a", True), ("a", True), ("b", False), ("b", False)):
            token.run_sync_soon(call, word, idempotent=idempotent)
    await trio.sleep(1)
    assert called.count("one a") == called.count("two a") == 1
    assert [word for word in called if word.startswith("one")] == ["one a", "one b", "one b"]
    world.machine("one").kill()
    called.clear()
    two.run_sync_soon(call, "c")
    await trio.sleep(1)
    assert called == ["two c"]


@in_world
async def test_the_outside_ends_a_process_as_any_task(world: World) -> None:
    machine = world.machine("one")

    async def program(_machine: Machine) -> None:
        await trio.sleep_forever()

    with trio.move_on_after(2) as scope:
        await machine.live(program)
    assert scope.cancelled_caught
    assert not machine.is_alive


@in_world
async def test_who_is_gone_sees_nothing_but_that(world: World) -> None:
    machine = world.machine("one")
    async with machine.process():
        machine.kill()
        process = current_process()
        assert process is not None
        with pytest.raises(Died):
            process.check()
        with pytest.raises(PowerCut):
            machine.disk.read(FILE, 10)
