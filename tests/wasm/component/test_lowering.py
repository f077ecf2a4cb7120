"""What host functions give a guest, where the guest cannot have it or does not want it."""

from __future__ import annotations

import dataclasses
from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar

import pytest
import trio
import trio.testing

from edged.errors import GuestBudgetExhausted, GuestTrap
from edged.host.interface import Interface, Invocation, Resource, may_suspend
from edged.limits import GuestLimits
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine
from tests.wasm.component.conftest import call, compiled, instance_of

GUEST = """
(component
  (import "test:host/things@0.3.0" (instance $host
    (export "thing" (type $thing (sub resource)))
    (export "make" (func (param "wait" bool) (result (tuple (own $thing) (own $thing)))))
    (export "make-later" (func async (result (own $thing))))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $make (canon lower (func $host "make") (memory (core memory $libc "memory"))))
  (core func $make-later (canon lower (func $host "make-later") async (memory (core memory $libc "memory"))))
  (core func $cancel (canon subtask.cancel))
  (core func $drop (canon subtask.drop))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "make" (func $make (param i32 i32)))
    (import "" "make-later" (func $make-later (param i32) (result i32)))
    (import "" "cancel" (func $cancel (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "return" (func $return (param i32)))
    (func (export "make") (param i32 i32) (result i32)
      (call $make (local.get 0) (local.get 1)) (i32.const 1))
    (global $subtask (mut i32) (i32.const 0))
    (func (export "give-up") (result i32)
      (global.set $subtask (i32.shr_u (call $make-later (i32.const 8)) (i32.const 4)))
      (i32.const 1))
    (func (export "give-up-now") (param i32 i32 i32) (result i32)
      (call $return (call $cancel (global.get $subtask)))
      (call $drop (global.get $subtask))
      (i32.const 0))
    (func (export "leave") (result i32)
      (drop (call $make-later (i32.const 8)))
      (call $return (i32.const 7))
      (i32.const 1))
    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance
    (export "make" (func $make)) (export "make-later" (func $make-later)) (export "cancel" (func $cancel))
    (export "drop" (func $drop)) (export "return" (func $return))))))
  (func (export "make") (param "wait" bool) (param "where" u32) (result u32) (canon lift (core func $i "make")))
  (func (export "give-up") async (result u32)
    (canon lift (core func $i "give-up") async (callback (core func $i "give-up-now"))))
  (func (export "leave") async (result u32)
    (canon lift (core func $i "leave") async (callback (core func $i "callback"))))
)
"""


class Thing(Resource):
    def __init__(self) -> None:
        self.drops = 0

    def drop(self) -> None:
        self.drops += 1


class Things(Interface):
    wit = "test:host/things"
    versions: ClassVar[tuple[str, ...]] = ("0.3",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"thing": Thing}

    def __init__(self) -> None:
        self.made: list[Thing] = []
        self.released = trio.Event()

    def _one(self) -> Thing:
        self.made.append(Thing())
        return self.made[-1]

    @may_suspend
    def make(self, _invocation: Invocation, wait: bool) -> tuple[Thing, Thing] | Coroutine[Any, Any, Any]:
        return self._make() if wait else (self._one(), self._one())

    async def _make(self) -> tuple[Thing, Thing]:
        await trio.lowlevel.checkpoint()
        return self._one(), self._one()

    async def make_later(self, _invocation: Invocation) -> Thing:
        """As whoever has got a connection and does not look whether it is cancelled any more."""
        with trio.CancelScope(shield=True):
            await self.released.wait()
        return self._one()


@pytest.fixture
def things() -> Things:
    return Things()


def program_of(engine: Engine, things: Things, **limits: Any) -> ComponentProgram:
    return ComponentProgram(engine, compiled(engine, GUEST), [things], (), dataclasses.replace(GuestLimits(), **limits))


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("where", [16, 65528, 65532, 2**32 - 4, 3], ids=["good", "last", "half", "none", "odd"])
async def test_where_a_guest_wants_what_it_owns(engine: Engine, things: Things, waits: bool, where: int) -> None:
    async with instance_of(program_of(engine, things)) as instance:
        if where in (16, 65528):
            assert await call(instance, "make", waits, where) == 1
            assert [thing.drops for thing in things.made] == [0, 0]
        else:
            with pytest.raises(GuestTrap):
                await call(instance, "make", waits, where)
    assert [thing.drops for thing in things.made] == [1, 1]


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("handles", [0, 1, 2])
async def test_more_than_a_guest_has_handles_for(engine: Engine, things: Things, waits: bool, handles: int) -> None:
    """Some come through, and go with the instance; the others go at once. None goes twice."""
    async with instance_of(program_of(engine, things, handles_max=handles)) as instance:
        if handles == 2:
            assert await call(instance, "make", waits, 16) == 1
        else:
            with pytest.raises(GuestBudgetExhausted):
                await call(instance, "make", waits, 16)
            assert sum(thing.drops for thing in things.made) == 2 - handles
    assert [thing.drops for thing in things.made] == [1, 1]


@pytest.mark.parametrize("function", ["give-up", "leave"])
async def test_what_comes_after_all_is_let_go_of(engine: Engine, things: Things, function: str) -> None:
    """The guest cancelled its call, or ended, and the host came to the end of it all the same."""
    answers = []
    async with instance_of(program_of(engine, things)) as instance:

        async def one() -> None:
            answers.append(await call(instance, function))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await trio.testing.wait_all_tasks_blocked()
            things.released.set()
        assert answers == [4 if function == "give-up" else 7]
        assert [thing.drops for thing in things.made] == [1]
    assert [thing.drops for thing in things.made] == [1]
