"""Guests that call their host from where they must not: none of them may end the process, or keep it from going on."""

from __future__ import annotations

import dataclasses

import pytest
import trio
import trio.testing

from edged.errors import GuestCpuExhausted, GuestError, GuestStackExhausted, GuestTrap
from edged.limits import CALL_DEPTH_MAX, GuestLimits
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine
from tests.wasm.component.conftest import Tasks, call, compiled, instance_of

ACTS = {
    "a call that waits": "(drop (call $wait (i32.const 5)))",
    "a call that answers": "(drop (call $wait (i32.const 0)))",
    "a plain call": "(call $note (i32.const 1))",
    "a yield": "(drop (call $yield))",
    "a wait on a set": "(drop (call $set-wait (call $set-new) (i32.const 0)))",
    "an endless loop": "(loop (br 0))",
    "a trap": "(unreachable)",
    "a task's answer": "(call $return (i32.const 1))",
    "a new resource": "(drop (call $new (i32.const 1)))",
    "a drop of a resource": "(call $drop (call $new (i32.const 1)))",
    "endless recursion": "(call $recurse)",
    "its context": "(call $set (i32.add (call $get) (i32.const 1)))",
}
PLACES = ("realloc", "post-return", "destructor", "start", "callback")

GUEST = """
(component
  (import "test:host/tasks@0.3.0" (instance $host
    (export "wait" (func async (param "n" u32) (result u32)))
    (export "note" (func (param "n" u32)))))
  (core module $late (table (export "table") 1 funcref) (memory (export "memory") 1)
    (type $d (func (param i32)))
    (func (export "destructor") (param i32) (call_indirect (type $d) (local.get 0) (i32.const 0))))
  (core instance $late (instantiate $late))
  (type $r (resource (rep i32) (dtor (core func $late "destructor"))))
  (core func $wait (canon lower (func $host "wait")))
  (core func $note (canon lower (func $host "note")))
  (core func $yield (canon thread.yield))
  (core func $set-new (canon waitable-set.new))
  (core func $set-wait (canon waitable-set.wait (memory (core memory $late "memory"))))
  (core func $return (canon task.return (result u32)))
  (core func $new (canon resource.new $r))
  (core func $drop (canon resource.drop $r))
  (core func $get (canon context.get i32 0))
  (core func $set (canon context.set i32 0))
  (core module $m
    (import "late" "table" (table 1 funcref))
    (import "late" "memory" (memory 1))
    (import "host" "wait" (func $wait (param i32) (result i32)))
    (import "host" "note" (func $note (param i32)))
    (import "host" "yield" (func $yield (result i32)))
    (import "host" "set-new" (func $set-new (result i32)))
    (import "host" "set-wait" (func $set-wait (param i32 i32) (result i32)))
    (import "host" "return" (func $return (param i32)))
    (import "host" "new" (func $new (param i32) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "get" (func $get (result i32)))
    (import "host" "set" (func $set (param i32)))
    (func $recurse (call $recurse))
    (func $destroy (param i32) {destructor})
    (elem (i32.const 0) func $destroy)
    (func $start {start})
    (start $start)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc} (i32.const 64))
    (func (export "take") (param i32 i32) (result i32) (local.get 1))
    (func (export "post") (param i32) {post-return})
    (func (export "make") (result i32) (call $drop (call $new (i32.const 7))) (i32.const 9))
    (func (export "begin") (result i32) (i32.const 1))
    (func (export "begin-cb") (param i32 i32 i32) (result i32) {callback} (call $return (i32.const 3)) (i32.const 0)))
  (core instance $i (instantiate $m
    (with "late" (instance $late))
    (with "host" (instance
      (export "wait" (func $wait)) (export "note" (func $note)) (export "yield" (func $yield))
      (export "set-new" (func $set-new)) (export "set-wait" (func $set-wait)) (export "return" (func $return))
      (export "new" (func $new)) (export "drop" (func $drop)) (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "realloc") (param "s" string) (result u32) (canon lift (core func $i "take")
    (memory (core memory $late "memory")) (realloc (core func $i "realloc"))))
  (func (export "post-return") (param "s" string) (result u32) (canon lift (core func $i "take")
    (memory (core memory $late "memory")) (realloc (core func $i "realloc")) (post-return (core func $i "post"))))
  (func (export "destructor") (result u32) (canon lift (core func $i "make")))
  (func (export "start") (result u32) (canon lift (core func $i "make")))
  (func (export "callback") async (result u32)
    (canon lift (core func $i "begin") async (callback (core func $i "begin-cb"))))
)
"""
_MAY = {
    "realloc": {"its context"},
    "post-return": {"its context"},
    "destructor": {"a call that answers", "a plain call", "a yield", "a new resource", "its context"},
    "start": {
        *("a call that answers", "a plain call", "a yield", "a new resource", "a drop of a resource", "its context"),
    },
    "callback": {
        *("a call that answers", "a plain call", "a yield", "a new resource", "a drop of a resource", "its context"),
    },
}
"""What does no harm there; anything else is a trap, or waits."""
_WAITS = {("callback", "a call that waits"), ("callback", "a wait on a set"), ("callback", "an endless loop")}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("place", PLACES)
async def test_a_guest_calls_its_host_from_everywhere(engine: Engine, host: Tasks, place: str, act: str) -> None:
    holes = dict.fromkeys(PLACES, "") | {place: ACTS[act]}
    text = GUEST
    for name, code in holes.items():
        text = text.replace("{" + name + "}", code)
    limits = dataclasses.replace(GuestLimits(), cpu_s_max=0.05)
    program = ComponentProgram(engine, compiled(engine, text), [host], (), limits)
    arguments = ("text",) if place in ("realloc", "post-return") else ()

    async def one() -> int:
        async with instance_of(program) as instance:
            answer: int = await call(instance, place, *arguments)
            return answer

    if (place, act) in _WAITS:
        with pytest.raises((GuestTrap, GuestCpuExhausted)) if act != "a call that waits" else trio.move_on_after(0.01):
            await one()
    elif act in _MAY[place]:
        assert await one() in (3, 4, 9)
    else:
        with pytest.raises(GuestError):
            await one()
    assert engine.guest is None


async def test_an_allocator_may_take_its_time(engine: Engine, host: Tasks) -> None:
    """Longer than a guest may compute before it gives way."""
    text = GUEST
    loops = """(local $n i32)
      (loop (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9000000))))"""
    for name in PLACES:
        text = text.replace("{" + name + "}", loops if name == "realloc" else "")
    program = ComponentProgram(engine, compiled(engine, text), [host])
    async with instance_of(program) as instance:
        assert await call(instance, "realloc", "text") == 4


@pytest.mark.parametrize("count", [1, 400], ids=["one", "many"])
async def test_allocations_that_each_take_their_time(engine: Engine, host: Tasks, count: int) -> None:
    """None of them is too long, but nobody else has a turn until all of them are over."""
    text = GUEST.replace('(export "realloc") (param "s" string)', '(export "realloc") (param "s" (list string))')
    loops = """(local $n i32)
      (loop (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9000000))))"""
    for name in PLACES:
        text = text.replace("{" + name + "}", loops if name == "realloc" else "")
    program = ComponentProgram(engine, compiled(engine, text), [host])
    async with instance_of(program) as instance:
        if count == 1:
            assert await call(instance, "realloc", ["text"]) == count
        else:
            with pytest.raises(GuestTrap, match="computed for too long"):
                await call(instance, "realloc", ["text"] * count)


DOWN = """
(component
  (core module $table (table (export "table") 1 funcref))
  (core instance $table (instantiate $table))
  (core module $outer
    (import "late" "table" (table 1 funcref))
    (type $f (func (param i32) (result i32)))
    (func (export "down") (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))
        (else (i32.const 42)))))
  (core instance $outer (instantiate $outer (with "late" (instance $table))))
  (func $down (export "down") (param "n" u32) (result u32) (canon lift (core func $outer "down")))
  (component $inner
    (import "down" (func $down (param "n" u32) (result u32)))
    (core func $down' (canon lower (func $down)))
    (core module $m (import "" "down" (func $down (param i32) (result i32)))
      (func (export "down") (param i32) (result i32) (call $down (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance (export "down" (func $down'))))))
    (func (export "down") (param "n" u32) (result u32) (canon lift (core func $i "down"))))
  (instance $inner (instantiate $inner (with "down" (func $down))))
  (core func $up (canon lower (func $inner "down")))
  (core module $fill (import "late" "table" (table 1 funcref)) (import "" "up" (func $up (param i32) (result i32)))
    (elem (i32.const 0) func $up))
  (core instance (instantiate $fill (with "late" (instance $table)) (with "" (instance (export "up" (func $up))))))
)
"""


async def test_guests_that_call_each_other_for_ever(engine: Engine) -> None:
    """Each step down is two calls."""
    program = ComponentProgram(engine, compiled(engine, DOWN), [])
    deepest = (CALL_DEPTH_MAX - 1) // 2
    async with instance_of(program) as instance:
        assert await call(instance, "down", deepest) == 42
        with pytest.raises(GuestStackExhausted, match="deep"):
            await call(instance, "down", deepest + 1)
    async with instance_of(program) as instance:
        with pytest.raises(GuestStackExhausted):
            await call(instance, "down", 2**32 - 1)
