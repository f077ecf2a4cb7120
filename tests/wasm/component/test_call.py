"""Calls of asynchronous functions: answers, concurrency, cancellation, and what becomes of one that fails."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from edged.errors import (
    GuestBudgetExhausted,
    GuestCpuExhausted,
    GuestError,
    GuestMemoryExhausted,
    GuestStackExhausted,
    GuestTimeout,
    GuestTrap,
    HostFailed,
)
from edged.limits import CANCEL_GRACE_S
from edged.wasm.component.instance import Instance
from tests.wasm.component.conftest import Link, Run, Tasks, call, instance_of, numbers


@pytest.mark.parametrize(
    ("function", "number"),
    [("wait", 0), ("wait", 5), ("block", 0), ("block", 5), ("later", 0)],
    ids=["at once", "a subtask", "on a fiber, at once", "on a fiber", "a future, at once"],
)
async def test_a_call_answers(run: Run, host: Tasks, function: str, number: int) -> None:
    host.released.set()
    assert await run(function, number) == number + (function != "later")


async def test_a_call_waits_for_its_host(run: Run, host: Tasks) -> None:
    answers: list[int] = []

    async def one(function: str) -> None:
        answers.append(await run(function, 5))

    async with trio.open_nursery() as nursery:
        for function in ("wait", "block", "later"):
            nursery.start_soon(one, function)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        assert host.waiting == 2
        host.released.set()
    assert sorted(answers) == [5, 6, 6]


async def test_a_thousand_calls_wait_in_one_instance(link: Link, host: Tasks) -> None:
    answers: dict[int, int] = {}
    async with instance_of(link()) as instance:

        async def one(number: int) -> None:
            answers[number] = await call(instance, "wait", number)

        async with trio.open_nursery() as nursery:
            for number in numbers(1000):
                nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
            assert host.waiting == 1000
            host.released.set()
        assert answers == {number: number + 1 for number in numbers(1000)}
        assert instance.handles() == 0
        assert instance.parked == 0


async def test_calls_answer_out_of_order(link: Link, host: Tasks) -> None:
    order: list[int] = []
    async with instance_of(link()) as instance:

        async def one(number: int) -> None:
            await call(instance, "wait", number)
            order.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, 5)
            await trio.testing.wait_all_tasks_blocked()
            await one(0)
            host.released.set()
    assert order == [0, 5]


async def test_tasks_that_block_take_turns(link: Link, host: Tasks) -> None:
    """One that is parked in the middle of its code keeps others of its instance from running, until it goes on."""
    async with instance_of(link()) as instance:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(call, instance, "block", 5)
            await trio.testing.wait_all_tasks_blocked()
            assert host.waiting == 1
            assert await call(instance, "count") == 1, "a synchronous function may enter"
            host.released.set()
        assert host.started == [5, 5, 5]


async def test_backpressure_keeps_others_out(link: Link, host: Tasks) -> None:
    async with instance_of(link()) as instance:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, instance, "refuse-others", 5)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(call, instance, "wait", 7)
            await trio.testing.wait_all_tasks_blocked()
            assert host.started == [5]
            host.released.set()
        assert host.started == [5, 7]


async def test_calls_share_an_instance_s_state(link: Link) -> None:
    async with instance_of(link()) as instance:
        assert [await call(instance, "count"), await call(instance, "count")] == [1, 2]


async def test_the_answer_is_there_before_the_end(link: Link, host: Tasks) -> None:
    seen: list[Any] = []

    async def returned(answer: int) -> None:
        await trio.testing.wait_all_tasks_blocked()
        seen.append((answer, host.waiting))
        host.released.set()

    async with instance_of(link()) as instance:
        assert await call(instance, "late", 5, returned=returned) == 5
    assert seen == [(5, 1)], "while the guest was parked"


async def test_a_guest_computes_on_while_its_answer_is_taken(link: Link, host: Tasks) -> None:
    """It is preempted right after it gave the answer."""

    async def returned(_answer: int) -> None:
        for _ in range(100_000):
            if host.notes:
                return
            await trio.lowlevel.checkpoint()
        pytest.fail("nobody drove the guest")

    async with instance_of(link()) as instance:
        assert await call(instance, "work-late", 20, returned=returned) == 20
    assert host.notes == [9]


async def test_what_the_answer_is_given_to_may_outlast_the_guest(link: Link) -> None:
    done = trio.Event()
    answers: list[int] = []

    async def returned(_answer: int) -> None:
        await done.wait()

    async def one(instance: Instance) -> None:
        answers.append(await call(instance, "wait", 0, returned=returned))

    async with instance_of(link()) as instance, trio.open_nursery() as nursery:
        nursery.start_soon(one, instance)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        done.set()
    assert answers == [1]


@pytest.mark.parametrize("function", ["wait", "late"], ids=["guest over", "guest under way"])
async def test_what_the_answer_is_given_to_may_fail(link: Link, host: Tasks, function: str) -> None:
    async def returned(_answer: int) -> None:
        raise GuestTrap("a fault of the answer")

    number = 0 if function == "wait" else 5
    async with instance_of(link()) as instance:
        with pytest.raises(GuestTrap, match="a fault of the answer"):
            await call(instance, function, number, returned=returned)
    assert host.waiting == 0


# --- cancellation ---


async def test_a_cancelled_task_cleans_up(link: Link, host: Tasks) -> None:
    async with instance_of(link()) as instance:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, instance, "wait", 5)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert host.notes == [6], "it was told"
        assert host.waiting == 0
        assert not instance.is_poisoned
        assert await call(instance, "count") == 1, "and the instance goes on"


async def test_a_task_that_does_not_hear_is_cut_off(link: Link, host: Tasks) -> None:
    async with instance_of(link()) as instance:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, instance, "deaf", 5)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert host.notes == [7]
        assert host.waiting == 0
        assert instance.is_poisoned or instance.is_retired


async def test_a_deaf_task_has_a_grace(link: Link, host: Tasks, autojump_clock: trio.testing.MockClock) -> None:
    """With another request under way the instance is no deadlock: the clock ends the grace."""
    async with instance_of(link()) as instance, trio.open_nursery() as nursery:
        nursery.start_soon(call, instance, "wait", 7)
        with trio.move_on_after(1.0):
            await call(instance, "deaf", 5)
        assert trio.current_time() == pytest.approx(autojump_clock.current_time())
        assert trio.current_time() >= 1.0 + CANCEL_GRACE_S * 0.9
        assert instance.is_retired
        assert not instance.is_poisoned
        host.released.set()


@pytest.mark.parametrize("function", ["block", "spin", "spin-in-callback"])
async def test_what_is_in_the_middle_of_its_code_goes_with_its_instance(link: Link, host: Tasks, function: str) -> None:
    async with instance_of(link()) as instance:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, instance, function, 5)
                for _ in range(8):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        assert host.waiting == 0
        assert instance.is_poisoned
        with pytest.raises(GuestTrap, match="cannot enter component instance"):
            await call(instance, "count")


async def test_a_task_that_yields_hears_that_it_is_cancelled(link: Link) -> None:
    async with instance_of(link()) as instance:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, instance, "yield-forever", 5)
                for _ in range(5):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        assert not instance.is_poisoned


async def test_a_task_that_has_not_begun_is_cancelled(link: Link, host: Tasks) -> None:
    async with instance_of(link()) as instance:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, instance, "block", 5)
            await trio.testing.wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(call, instance, "wait", 7)
                    await trio.testing.wait_all_tasks_blocked()
                    scope.cancel()
            host.released.set()
        assert host.started == [5]
        assert not instance.is_poisoned


async def test_a_guest_cancels_what_it_called(run: Run, host: Tasks) -> None:
    assert await run("cancel-subtask", 5) == 4, "CANCELLED_BEFORE_RETURNED"
    assert host.waiting == 0


# --- those that fail ---


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("trap", "unreachable"),
        ("return-never", "async-lifted export failed to produce a result"),
        ("return-twice", "`task.return` or `task.cancel` called more than once"),
        ("cancel-unasked", "`task.cancel` called by task which has not been cancelled"),
        ("wait-for-nothing", "deadlock detected"),
        ("wait-on-no-set", "unknown handle index 153"),
        ("code-of-no-meaning", "unsupported callback code"),
        ("drop-set-in-use", "cannot drop waitable set with waiters"),
        ("drop-subtask-under-way", "cannot drop a subtask which has not yet resolved"),
    ],
    ids=lambda value: value if " " not in value else "",
)
async def test_a_guest_that_breaks_a_rule_traps(run: Run, function: str, message: str) -> None:
    with pytest.raises(GuestTrap, match=message):
        await run(function, 5)


async def test_a_host_function_that_fails(run: Run, host: Tasks) -> None:
    host.released.set()
    for function in ("wait", "block"):
        with pytest.raises(HostFailed, match=r"test:host/tasks@0.3.0#wait: ZeroDivisionError"):
            await run(function, 13)


async def test_a_trap_ends_all_calls_of_its_instance(link: Link, host: Tasks) -> None:
    failures: list[str] = []
    async with instance_of(link()) as instance:

        async def one() -> None:
            try:
                await call(instance, "wait", 5)
            except GuestError as error:
                failures.append(error.message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            nursery.start_soon(one)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(GuestTrap, match="unreachable"):
                await call(instance, "trap", 5)
    assert len(failures) == 2
    assert all("another request ended it" in failure and "unreachable" in failure for failure in failures)
    assert host.waiting == 0


async def test_a_trap_ends_what_takes_the_answer_of_another(link: Link) -> None:
    taken: list[int] = []

    async def returned(reader: Any) -> None:
        taken.append(len(reader.read(10)))
        await trio.sleep_forever()

    async with instance_of(link()) as instance, trio.open_nursery() as nursery:

        async def one() -> None:
            with pytest.raises(GuestTrap, match="another request ended it"):
                await call(instance, "write", 100_000, returned=returned)

        nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(GuestTrap, match="unreachable"):
            await call(instance, "trap", 5)
    assert taken == [10]


# --- limits ---


async def test_a_guest_that_computes_gives_way(link: Link) -> None:
    """Two endless loops, each in an instance of its own, and one that has answers in between."""
    async with (
        instance_of(link()) as one,
        instance_of(link()) as two,
        instance_of(link()) as three,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(call, one, "spin", 5)
        nursery.start_soon(call, two, "spin-in-callback", 5)
        for number in range(20):
            assert await call(three, "wait", 0) == 1, number
        nursery.cancel_scope.cancel()


async def test_busy_calls_of_one_instance_finish(link: Link) -> None:
    answers: list[int] = []
    async with instance_of(link()) as instance:

        async def one(number: int) -> None:
            answers.append(await call(instance, "work", number))

        async with trio.open_nursery() as nursery:
            for number in (30, 31, 32):
                nursery.start_soon(one, number)
    assert sorted(answers) == [30, 31, 32]


@pytest.mark.parametrize("function", ["spin", "spin-in-callback", "yield-forever"])
async def test_cpu_time_is_limited(run: Run, function: str) -> None:
    with pytest.raises(GuestCpuExhausted):
        await run(function, 5, cpu_s_max=0.02)


async def test_cpu_time_is_limited_where_the_host_s_news_lets_a_guest_go_on(link: Link, host: Tasks) -> None:
    """Whoever brings news has the guest's turn itself: the task that drives the call need not have one in between."""
    async with instance_of(link(cpu_s_max=600.0)) as instance, trio.open_nursery() as nursery:

        async def one() -> None:
            with pytest.raises(GuestCpuExhausted):
                await call(instance, "wait", 5)

        nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
        (running,) = instance.calls
        running.cpu_s = 601.0
        host.released.set()


@pytest.mark.parametrize("function", ["wait", "block", "deaf"])
async def test_wall_time_is_limited(
    run: Run, host: Tasks, autojump_clock: trio.testing.MockClock, function: str
) -> None:
    with pytest.raises(GuestTimeout):
        await run(function, 5, wall_s_max=2.0)
    assert host.waiting == 0
    assert autojump_clock.current_time() >= 2.0


@pytest.mark.parametrize(
    ("function", "limits", "error"),
    [
        ("calls-for-ever", {"host_calls_max": 50}, GuestBudgetExhausted),
        ("sets-for-ever", {"handles_max": 50}, GuestBudgetExhausted),
        ("grow-for-ever", {"memory_bytes_max": 4 << 20}, GuestTrap),
        ("recurse", {}, GuestStackExhausted),
    ],
    ids=["host calls", "handles", "memory", "stack"],
)
async def test_what_else_is_limited(run: Run, function: str, limits: dict[str, int], error: type[GuestError]) -> None:
    with pytest.raises(error):
        await run(function, 5, **limits)


async def test_host_calls_at_the_limit(run: Run) -> None:
    assert await run("wait", 0, host_calls_max=1) == 1
    with pytest.raises(GuestBudgetExhausted, match="too many host calls"):
        await run("read", 0, host_calls_max=0)


async def test_memory_at_the_limit(run: Run) -> None:
    assert await run("wait", 0, memory_bytes_max=65536) == 1
    with pytest.raises(GuestMemoryExhausted):
        await run("wait", 0, memory_bytes_max=65535)
