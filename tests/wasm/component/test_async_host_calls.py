"""Host calls that a guest does not wait for: how many are under way, and what they hold."""

from __future__ import annotations

from typing import ClassVar

import pytest
import trio
import trio.testing

from edged.errors import GuestBudgetExhausted
from edged.host.interface import Interface, Invocation
from edged.limits import HOST_CALLS_HELD_BYTES_MAX, HOST_CALLS_HELD_MAX, KiB
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine
from tests.wasm.component.conftest import call, compiled, instance_of

GUEST = """
(component
  (import "test:host/store@0.3.0" (instance $host
    (export "keep" (func async (param "data" (list u8))))
    (export "wait" (func async (param "number" u32)))))
  (core module $libc (memory (export "memory") 1025))
  (core instance $libc (instantiate $libc))
  (core func $keep (canon lower (func $host "keep") async (memory (core memory $libc "memory"))))
  (core func $keep-blocking (canon lower (func $host "keep") (memory (core memory $libc "memory"))))
  (core func $wait (canon lower (func $host "wait") async))
  (core func $drop (canon subtask.drop))
  (core func $cancel (canon subtask.cancel))
  (core func $set-new (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "keep" (func $keep (param i32 i32) (result i32)))
    (import "" "keep-blocking" (func $keep-blocking (param i32 i32)))
    (import "" "wait" (func $wait (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "cancel" (func $cancel (param i32) (result i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "return" (func $return (param i32)))
    (global $set (mut i32) (i32.const 0))
    (global $left (mut i32) (i32.const 0))
    (global $started (mut i32) (i32.const 0))
    (global $last (mut i32) (i32.const 0))
    (func $next (result i32)
      (if (result i32) (global.get $left)
        (then (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
        (else (call $return (global.get $started)) (i32.const 0))))
    (func $note (param $packed i32)
      (global.set $last (i32.shr_u (local.get $packed) (i32.const 4)))
      (global.set $left (i32.add (global.get $left) (i32.const 1)))
      (if (i32.eq (i32.and (local.get $packed) (i32.const 15)) (i32.const 1))
        (then (global.set $started (i32.add (global.get $started) (i32.const 1))))))
    (func $begin (param $count i32) (param $size i32)
      (loop $more
        (call $note (call $keep (i32.const 0) (local.get $size)))
        (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
    (func $watch (param $count i32) (local $subtask i32)
      (global.set $set (call $set-new))
      (local.set $subtask (global.get $last))
      (loop $more
        (call $join (local.get $subtask) (global.get $set))
        (local.set $subtask (i32.sub (local.get $subtask) (i32.const 1)))
        (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
    (func (export "keep") (param $count i32) (param $size i32) (result i32)
      (call $begin (local.get $count) (local.get $size))
      (call $watch (local.get $count))
      (call $next))
    (func (export "give-up") (param $count i32) (param $size i32) (result i32)
      (call $begin (local.get $count) (local.get $size))
      (global.set $started (call $cancel (global.get $last)))
      (call $drop (global.get $last))
      (global.set $last (i32.sub (global.get $last) (i32.const 1)))
      (global.set $left (i32.sub (global.get $left) (i32.const 1)))
      (call $watch (i32.sub (local.get $count) (i32.const 1)))
      (call $next))
    (func (export "wait") (param $count i32) (param $size i32) (result i32) (local $more i32)
      (local.set $more (local.get $count))
      (loop $again
        (call $note (call $wait (i32.const 1)))
        (br_if $again (local.tee $more (i32.sub (local.get $more) (i32.const 1)))))
      (call $watch (local.get $count))
      (call $next))
    (func (export "block") (param $count i32) (param $size i32)
      (call $keep-blocking (i32.const 0) (local.get $size))
      (call $return (local.get $count)))
    (func (export "callback") (param $code i32) (param $subtask i32) (param $state i32) (result i32)
      (if (i32.eq (local.get $state) (i32.const 2)) (then
        (call $drop (local.get $subtask))
        (global.set $left (i32.sub (global.get $left) (i32.const 1)))))
      (call $next)))
  (core instance $i (instantiate $m (with "" (instance
    (export "keep" (func $keep)) (export "keep-blocking" (func $keep-blocking))
    (export "wait" (func $wait)) (export "drop" (func $drop))
    (export "cancel" (func $cancel)) (export "set-new" (func $set-new)) (export "join" (func $join))
    (export "return" (func $return))))))
  (func (export "keep") async (param "count" u32) (param "size" u32) (result u32)
    (canon lift (core func $i "keep") async (callback (core func $i "callback"))))
  (func (export "give-up") async (param "count" u32) (param "size" u32) (result u32)
    (canon lift (core func $i "give-up") async (callback (core func $i "callback"))))
  (func (export "block") async (param "count" u32) (param "size" u32) (result u32)
    (canon lift (core func $i "block") async))
  (func (export "wait") async (param "count" u32) (param "size" u32) (result u32)
    (canon lift (core func $i "wait") async (callback (core func $i "callback"))))
)
"""
CANCELLED_BEFORE_STARTED = 3


class Store(Interface):
    wit = "test:host/store"
    versions: ClassVar[tuple[str, ...]] = ("0.3",)

    def __init__(self) -> None:
        self.held: list[int] = []
        self.most_calls = 0
        self.most_bytes = 0
        self.calls = 0
        self.released = trio.Event()

    async def keep(self, _invocation: Invocation, data: bytes) -> None:
        self.held.append(len(data))
        self.calls += 1
        self.most_calls = max(self.most_calls, len(self.held))
        self.most_bytes = max(self.most_bytes, sum(self.held))
        await self.released.wait()
        await trio.lowlevel.checkpoint()
        self.held.remove(len(data))

    async def wait(self, _invocation: Invocation, number: int) -> None:
        self.held.append(number)
        await self.released.wait()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def program(engine: Engine, store: Store) -> ComponentProgram:
    return ComponentProgram(engine, compiled(engine, GUEST), [store])


async def run(program: ComponentProgram, store: Store, function: str, count: int, size: int) -> tuple[int, int]:
    """How many are under way when nothing moves any more, and the answer."""
    answers: list[int] = []
    async with instance_of(program) as instance:

        async def one() -> None:
            answers.append(await call(instance, function, count, size))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await trio.testing.wait_all_tasks_blocked()
            held = len(store.held)
            store.released.set()
        assert instance.handles() == 1, "the set"
        assert store.held == [] or function == "wait"
    return held, answers[0]


@pytest.mark.parametrize("over", [0, 1, 200])
async def test_so_many_calls_are_begun_at_once(program: ComponentProgram, store: Store, over: int) -> None:
    """All of them are made in the end, and none is begun before there is room."""
    count = HOST_CALLS_HELD_MAX + over
    held, started = await run(program, store, "keep", count, 10)
    assert held == started == HOST_CALLS_HELD_MAX
    assert (store.calls, store.most_calls) == (count, HOST_CALLS_HELD_MAX)


async def test_so_many_bytes_are_taken_at_once(program: ComponentProgram, store: Store) -> None:
    size = HOST_CALLS_HELD_BYTES_MAX // 2
    held, started = await run(program, store, "keep", 5, size)
    assert held == started == 2, "the limit is met, and not passed"
    assert (store.calls, store.most_bytes) == (5, 2 * size)


async def test_calls_that_hold_nothing_have_room(program: ComponentProgram, store: Store) -> None:
    count = 10 * HOST_CALLS_HELD_MAX
    assert await run(program, store, "wait", count, 0) == (count, count)


async def test_one_that_waits_for_room_is_cancelled(program: ComponentProgram, store: Store) -> None:
    held, state = await run(program, store, "give-up", HOST_CALLS_HELD_MAX + 2, 10)
    assert (held, state) == (HOST_CALLS_HELD_MAX, CANCELLED_BEFORE_STARTED)
    assert store.calls == HOST_CALLS_HELD_MAX + 1


async def test_calls_that_wait_end_with_their_request(program: ComponentProgram, store: Store) -> None:
    async with instance_of(program) as instance:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, instance, "keep", HOST_CALLS_HELD_MAX + 10, 64 * KiB)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert store.calls == HOST_CALLS_HELD_MAX


async def test_calls_in_the_middle_of_code_hold_so_much_at_once(engine: Engine, store: Store) -> None:
    """Each of another request, and thus each with room of its own."""
    program = ComponentProgram(engine, compiled(engine, GUEST), [store])
    async with instance_of(program) as instance, trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(call, instance, "block", number, HOST_CALLS_HELD_BYTES_MAX)
        await trio.testing.wait_all_tasks_blocked()
        assert store.held == [HOST_CALLS_HELD_BYTES_MAX] * 2
        waiting = next(iter(instance.calls))
        with pytest.raises(GuestBudgetExhausted, match="hold more than 64 MiB"):
            waiting.room.check()
        store.released.set()
    assert store.held == []
    assert waiting.room.size_bytes == 0
    waiting.room.check()
