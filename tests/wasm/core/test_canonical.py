"""Core modules over WIT interfaces: values both ways, suspended calls, handles, and guests that break the rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import trio
import trio.testing
import wasmtime

from edged.errors import (
    ComponentUnsupported,
    GuestBudgetExhausted,
    GuestError,
    GuestRefused,
    GuestTimeout,
    GuestTrap,
    HostFailed,
)
from edged.host.interface import Err, Interface, Invocation, Resource
from edged.limits import ALLOCATIONS_S_MAX, NESTED_CALL_S_MAX, GuestLimits
from edged.wasm import types as wit
from edged.wasm.core.instance import CoreInstance
from edged.wasm.core.lifted import WorldProgram
from edged.wasm.core.program import CoreProgram
from edged.wasm.core.world import World
from edged.wasm.engine import Engine
from tests.wasm.core.hosts import Api
from tests.wasm.hosts import invocation

STRING, U32, F64, BOOL = (wit.Primitive(kind) for kind in ("STRING", "U32", "F64", "BOOL"))
TEXT_OR_NUMBER = wit.Result(STRING, U32)
THING, BORROWED = wit.Handle(1, True), wit.Handle(1, False)
MANY = tuple([U32] * 17)

HOST = wit.InstanceType(
    {
        "now": wit.Function((STRING,), TEXT_OR_NUMBER),
        "later": wit.Function((STRING,), TEXT_OR_NUMBER),
        "half": wit.Function((F64,), F64),
        "half-later": wit.Function((F64,), F64),
        "is-odd": wit.Function((U32,), BOOL),
        "note": wit.Function((U32,), None),
        "many": wit.Function(MANY, U32),
        "absent": wit.Function((U32,), U32),
        "[constructor]thing": wit.Function((), THING),
        "[method]thing.number": wit.Function((BORROWED,), U32),
        "[static]thing.open": wit.Function((U32,), wit.Result(THING, U32)),
        "[static]thing.open-later": wit.Function((U32,), wit.Result(THING, U32)),
        "[static]thing.take": wit.Function((THING,), None),
    },
    {"thing": 1},
)
GUEST = wit.InstanceType(
    {
        "run": wit.Function((STRING,), TEXT_OR_NUMBER),
        "count": wit.Function((U32,), U32),
        "pairs": wit.Function((wit.List(wit.Tuple((U32, STRING))),), U32),
        "thing": wit.Function((THING,), U32),
        "many": wit.Function(MANY, U32),
        "twice": wit.Function((F64,), F64),
    }
)
WORLD = World(wit.ComponentType({"test:host/api@0.2.0": HOST}, {"test:guest/run@0.2.0": GUEST}, (("test", "thing"),)))


class Thing(Resource):
    def __init__(self, host: Host, number: int) -> None:
        self._host = host
        self._number = number
        host.open += 1

    def number(self) -> int:
        return self._number

    def drop(self) -> None:
        self._host.open -= 1


class Host(Interface):
    """`test:host/api`. `wait` holds what suspends."""

    wit = "test:host/api"
    resources: ClassVar = {"thing": Thing}

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.open = 0
        self.wait: Callable[[], Any] = trio.lowlevel.checkpoint

    def now(self, _invocation: Invocation, text: str) -> str:
        self.asked.append(text)
        if text == "fault":
            raise ZeroDivisionError("a fault of the host")
        if text == "err":
            raise Err(7)
        return f"<{text}>"

    async def later(self, invocation: Invocation, text: str) -> str:
        await self.wait()
        return self.now(invocation, text)

    def half(self, _invocation: Invocation, number: float) -> float:
        return number / 2

    async def half_later(self, _invocation: Invocation, number: float) -> float:
        await self.wait()
        return number / 2

    def is_odd(self, _invocation: Invocation, number: int) -> bool:
        return number % 2 == 1

    def note(self, _invocation: Invocation, number: int) -> None:
        self.asked.append(number)

    def many(self, _invocation: Invocation, *numbers: int) -> int:
        return sum(index * number for index, number in enumerate(numbers))

    def thing_constructor(self, _invocation: Invocation) -> Thing:
        return Thing(self, 1)

    def thing_open(self, _invocation: Invocation, number: int) -> Thing:
        return Thing(self, number)

    async def thing_open_later(self, _invocation: Invocation, number: int) -> Thing:
        await self.wait()
        return Thing(self, number)

    def thing_take(self, _invocation: Invocation, thing: Thing) -> None:
        thing.drop()


REALLOC = """
    (global $next (mut i32) (i32.const 1024))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3))))
"""
# Hands the text that it was given to the host, and the host's answer to the host again.
RUN = """
    (func (export "test:guest/run@0.2.0#run") (param i32 i32) (result i32)
      (call $ask (local.get 0) (local.get 1) (i32.const 64))
      (if (i32.eqz (i32.load8_u (i32.const 64)))
        (then (call $ask (i32.load (i32.const 68)) (i32.load (i32.const 72)) (i32.const 64))))
      (i32.const 64))
"""


def module(*parts: str, ask: str = "now", memory: str = '(memory (export "memory") 1)', imports: str = "") -> str:
    return f"""(module
      (import "test:host/api@0.2.0" "{ask}" (func $ask (param i32 i32 i32)))
      {imports} {memory} {" ".join(parts)})"""


@pytest.fixture
def host() -> Host:
    return Host()


Link = Callable[..., WorldProgram]


@pytest.fixture
def link(engine: Engine, host: Host) -> Iterator[Link]:
    """`link(wat, world, **limits)`. Nothing may be left of any instance."""

    def make(wat: str, world: World = WORLD, **limits: Any) -> WorldProgram:
        compiled = wasmtime.Module(engine.wasmtime, wat)
        core = CoreProgram(
            engine,
            compiled,
            [Api()],
            dataclasses.replace(GuestLimits(), **limits),
            world=world,
            interfaces=[host],
            refusable=("test:refused/",),
        )
        return WorldProgram(core)

    before = engine.instances
    yield make
    assert engine.instances == before
    assert engine.guest is None
    assert host.open == 0, "every resource was dropped"


async def call(program: WorldProgram, function: str, *arguments: Any) -> Any:
    export = program.export("test:guest/run", function)
    assert export is not None
    instance = CoreInstance(program.core, invocation())
    try:
        await instance.instantiate()
        return await instance.call(export, *arguments)
    finally:
        instance.close()


BOTH = pytest.mark.parametrize("ask", ["now", "later"])

# --- values ---


@BOTH
@pytest.mark.parametrize("text", ["", "a", "ä" * 5_000])
async def test_text_both_ways(link: Link, host: Host, ask: str, text: str) -> None:
    answer = await call(link(module(REALLOC, RUN, ask=ask)), "run", text)
    assert answer.value == f"<<{text}>>"
    assert host.asked == [text, f"<{text}>"]


@BOTH
async def test_an_error(link: Link, ask: str) -> None:
    answer = await call(link(module(REALLOC, RUN, ask=ask)), "run", "err")
    assert answer == Err(7)


@BOTH
async def test_a_fault_of_the_host(link: Link, ask: str) -> None:
    with pytest.raises(HostFailed, match="ZeroDivisionError"):
        await call(link(module(REALLOC, RUN, ask=ask)), "run", "fault")


@pytest.mark.parametrize("name", ["half", "half-later"])
async def test_numbers_that_need_no_memory(link: Link, name: str) -> None:
    program = link(f"""(module
      (import "test:host/api@0.2.0" "{name}" (func $half (param f64) (result f64)))
      (import "test:host/api@0.2.0" "is-odd" (func $odd (param i32) (result i32)))
      (func (export "test:guest/run@0.2.0#twice") (param f64) (result f64)
        (call $half (f64.mul (local.get 0) (f64.const 4))))
      (func (export "test:guest/run@0.2.0#count") (param i32) (result i32) (call $odd (local.get 0))))""")
    assert await call(program, "twice", 1.25) == 2.5
    assert [await call(program, "count", number) for number in (2, 3)] == [0, 1]


async def test_lists_and_alignment(link: Link) -> None:
    program = link(
        module(
            REALLOC,
            """
      (func (export "test:guest/run@0.2.0#pairs") (param i32 i32) (result i32)
        (i32.add (i32.load (local.get 0)) (i32.load offset=12 (local.get 0))))""",
        )
    )
    assert await call(program, "pairs", [(5, "five"), (7, "seven")]) == 12


async def test_more_parameters_than_are_passed_flat(link: Link) -> None:
    program = link(
        module(REALLOC, imports='(import "test:host/api@0.2.0" "many" (func $many (param i32) (result i32)))')[:-1]
        + """
      (func (export "test:guest/run@0.2.0#many") (param i32) (result i32) (call $many (local.get 0))))"""
    )
    numbers = list(range(17))
    assert await call(program, "many", *numbers) == sum(number * number for number in numbers)


# --- handles ---

THINGS = """(module
  (import "test:host/api@0.2.0" "[constructor]thing" (func $make (result i32)))
  (import "test:host/api@0.2.0" "[method]thing.number" (func $number (param i32) (result i32)))
  (import "test:host/api@0.2.0" "[static]thing.open" (func $open (param i32 i32)))
  (import "test:host/api@0.2.0" "[static]thing.open-later" (func $open-later (param i32 i32)))
  (import "test:host/api@0.2.0" "[static]thing.take" (func $take (param i32)))
  (import "test:host/api@0.2.0" "[resource-drop]thing" (func $drop (param i32)))
  (memory (export "memory") 1)
  (func (export "test:guest/run@0.2.0#thing") (param i32) (result i32) (call $number (local.get 0)))
  (func (export "test:guest/run@0.2.0#count") (param $what i32) (result i32) (local $thing i32)
    (local.set $thing (call $make))
    %s
    (i32.const 0)))"""


async def test_a_handle_that_it_is_given(link: Link, host: Host) -> None:
    assert await call(link(THINGS % ""), "thing", Thing(host, 9)) == 9


@pytest.mark.parametrize(
    "code",
    [
        "(call $drop (local.get $thing))",
        "(call $take (local.get $thing))",
        "",
        "(call $open (i32.const 3) (i32.const 64)) (call $drop (i32.load (i32.const 68)))",
        "(call $open-later (i32.const 3) (i32.const 64))",
    ],
)
async def test_handles_are_dropped_by_whoever_has_them_last(link: Link, code: str) -> None:
    assert await call(link(THINGS % code), "count", 0) == 0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("(call $drop (i32.const 0))", "unknown handle index 0"),
        ("(call $drop (i32.const 2))", "unknown handle index 2"),
        ("(call $drop (local.get $thing)) (call $drop (local.get $thing))", "unknown handle index 1"),
        ("(call $take (local.get $thing)) (drop (call $number (local.get $thing)))", "unknown handle index 1"),
        ("(drop (call $number (i32.const -1)))", "unknown handle index 4294967295"),
        ("(call $open (i32.const 3) (i32.const -4))", "out of bounds"),
        ("(call $open (i32.const 3) (i32.const 65532))", "out of bounds"),
        ("(call $open (i32.const 3) (i32.const 66))", "align"),
        ("(call $open-later (i32.const 3) (i32.const -4))", "out of bounds"),
    ],
)
async def test_handles_and_addresses_that_are_none(link: Link, code: str, message: str) -> None:
    with pytest.raises(GuestTrap, match=message):
        await call(link(THINGS % code), "count", 0)


@pytest.mark.parametrize(("handles", "fits"), [(3, True), (2, False)])
async def test_how_many_handles(link: Link, handles: int, fits: bool) -> None:
    code = "(drop (call $make)) (call $open-later (i32.const 1) (i32.const 64))"
    program = link(THINGS % code, handles_max=handles)
    if fits:
        assert await call(program, "count", 0) == 0
    else:
        with pytest.raises(GuestBudgetExhausted, match="more than 2 resource handles"):
            await call(program, "count", 0)


# --- allocators ---


def _allocator(code: str) -> str:
    return f'(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {code})'


HOSTILE = {
    "traps": ("unreachable", "unreachable"),
    "answers beyond its memory": ("(i32.const 65535)", "beyond end of memory"),
    "answers with the last address": ("(i32.const -1)", "beyond end of memory"),
    "spins": ("(loop $l (br $l)) unreachable", f"took more than {NESTED_CALL_S_MAX:g} s"),
    "calls an interface": (
        "(call $ask (i32.const 0) (i32.const 0) (i32.const 64)) (i32.const 1024)",
        "cannot leave component instance",
    ),
    "waits": ("(drop (call $wait (i64.const 1))) (i32.const 1024)", "would have to wait"),
    "calls itself for ever": ("(call $again) unreachable", "call stack"),
}


@BOTH
@pytest.mark.parametrize("how", list(HOSTILE))
async def test_an_allocator_that(link: Link, ask: str, how: str) -> None:
    """At the second allocation of a request, which is for a result: the first is for the parameter."""
    code, message = HOSTILE[how]
    program = link(
        module(
            "(global $calls (mut i32) (i32.const 0)) (func $again (call $again) (call $again))",
            _allocator(f"""
              (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
              (if (i32.eq (global.get $calls) (i32.const 1)) (then (return (i32.const 512))))
              {code}"""),
            RUN,
            ask=ask,
            imports='(import "host" "wait" (func $wait (param i64) (result i64)))',
        )
    )
    with pytest.raises(GuestError, match=message):
        await call(program, "run", "a")


@pytest.mark.parametrize("how", list(HOSTILE))
async def test_an_allocator_for_a_parameter_that(link: Link, how: str) -> None:
    code, message = HOSTILE[how]
    program = link(
        module(
            "(func $again (call $again) (call $again))",
            _allocator(code),
            RUN,
            imports='(import "host" "wait" (func $wait (param i64) (result i64)))',
        )
    )
    with pytest.raises(GuestError, match=message):
        await call(program, "run", "abc")


async def test_an_allocator_whose_answer_is_not_aligned(link: Link) -> None:
    program = link(
        module(
            _allocator("(i32.const 1025)"),
            """
      (func (export "test:guest/run@0.2.0#pairs") (param i32 i32) (result i32) (i32.const 0))""",
        )
    )
    with pytest.raises(GuestTrap, match="not aligned"):
        await call(program, "pairs", [(1, "a")])


@BOTH
async def test_an_allocator_that_grows_its_memory(link: Link, ask: str) -> None:
    program = link(module(_allocator("(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))"), RUN, ask=ask))
    assert (await call(program, "run", "a")).value == "<<a>>"


@BOTH
async def test_an_allocator_that_takes_its_time(link: Link, host: Host, ask: str) -> None:
    """Some time slices, and what comes behind it is the same."""
    slow = """
      (local $n i32) (local.set $n (i32.const 20000000))
      (loop $l (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $l (local.get $n)))
      (i32.const 512)"""
    assert (await call(link(module(_allocator(slow), RUN, ask=ask)), "run", "a")).value == "<<a>>"
    assert host.asked == ["a", "<a>"]


@pytest.mark.parametrize(("count", "fits"), [(20, True), (20_000, False)])
async def test_how_long_all_allocations_of_a_call_may_take(link: Link, count: int, fits: bool) -> None:
    """Each is short enough."""
    slow = """
      (local $n i32) (local.set $n (i32.const 1000000))
      (loop $l (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $l (local.get $n)))
      (i32.const 4096)"""
    program = link(
        module(
            _allocator(slow),
            '(func (export "test:guest/run@0.2.0#pairs") (param i32 i32) (result i32) (i32.const 3))',
            memory='(memory (export "memory") 10)',
        )
    )
    pairs = [(1, "a")] * count
    if fits:
        assert await call(program, "pairs", pairs) == 3
    else:
        with pytest.raises(GuestTrap, match=f"took more than {ALLOCATIONS_S_MAX:g} s"):
            await call(program, "pairs", pairs)


@BOTH
async def test_an_allocator_that_calls_preview_1(link: Link, ask: str) -> None:
    """As one that says why it has no memory: what need not wait is answered."""
    program = link(
        module(
            _allocator("(call $note (i32.const 5)) (i32.const 512)"),
            RUN,
            ask=ask,
            imports='(import "host" "note" (func $note (param i32)))',
        )
    )
    assert (await call(program, "run", "a")).value == "<<a>>"


async def test_no_allocator(link: Link) -> None:
    with pytest.raises(GuestTrap, match="exports no allocator"):
        await call(link(module(RUN)), "run", "a")


async def test_no_memory(link: Link) -> None:
    with pytest.raises(GuestTrap, match="beyond end of memory"):
        await call(
            link(
                module(
                    REALLOC,
                    '(func (export "test:guest/run@0.2.0#run") (param i32 i32) (result i32) (i32.const 0))',
                    memory="",
                )
            ),
            "run",
            "a",
        )


# --- what else a guest may do wrong ---


@BOTH
@pytest.mark.parametrize("start", ["65530", "-1"])
async def test_a_text_that_is_not_in_its_memory(link: Link, host: Host, ask: str, start: str) -> None:
    wrong = f"""
      (func (export "test:guest/run@0.2.0#run") (param i32 i32) (result i32)
        (call $ask (i32.const {start}) (i32.const 7) (i32.const 64)) (i32.const 64))"""
    with pytest.raises(GuestTrap, match="out of bounds"):
        await call(link(module(REALLOC, wrong, ask=ask)), "run", "a")
    assert host.asked == []


@BOTH
async def test_too_many_host_calls(link: Link, ask: str) -> None:
    program = link(module(REALLOC, RUN, ask=ask), host_calls_max=2)
    assert (await call(program, "run", "a")).value == "<<a>>"
    program = link(module(REALLOC, RUN, ask=ask), host_calls_max=1)
    with pytest.raises(GuestBudgetExhausted, match=f"the last was test:host/api@0.2.0#{ask}"):
        await call(program, "run", "a")


async def test_a_cancelled_call_leaves_nothing(link: Link, host: Host) -> None:
    host.wait = trio.sleep_forever
    program = link(THINGS % "(call $open-later (i32.const 3) (i32.const 64))")
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, program, "count", 0)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()


async def test_a_call_that_takes_too_long(link: Link, host: Host, autojump_clock: object) -> None:
    host.wait = trio.sleep_forever
    with pytest.raises(GuestTimeout):
        await call(link(module(REALLOC, RUN, ask="later"), wall_s_max=5.0), "run", "a")


async def test_a_function_that_is_not_there_is_refused_when_called(link: Link) -> None:
    program = link("""(module
      (import "test:host/api@0.2.0" "absent" (func $absent (param i32) (result i32)))
      (func (export "test:guest/run@0.2.0#count") (param i32) (result i32)
        (if (result i32) (local.get 0) (then (call $absent (local.get 0))) (else (i32.const 0)))))""")
    assert program.refusals == ["test:host/api@0.2.0#absent"]
    assert await call(program, "count", 0) == 0
    with pytest.raises(GuestRefused, match=r"test:host/api@0\.2\.0#absent"):
        await call(program, "count", 1)


# --- initializers and post-returns ---


async def test_an_initializer_runs_first(link: Link, host: Host) -> None:
    program = link("""(module
      (import "test:host/api@0.2.0" "note" (func $note (param i32)))
      (func (export "_initialize") (call $note (i32.const 1)))
      (func (export "test:guest/run@0.2.0#count") (param i32) (result i32)
        (call $note (i32.const 2)) (i32.const 0)))""")
    await call(program, "count", 0)
    assert host.asked == [1, 2]


POST = '(func (export "cabi_post_test:guest/run@0.2.0#run") (param i32) %s)'


async def test_a_post_return_is_given_what_was_returned(link: Link) -> None:
    check = POST % "(if (i32.ne (local.get 0) (i32.const 64)) (then unreachable))"
    assert (await call(link(module(REALLOC, RUN, check)), "run", "a")).value == "<<a>>"
    wrong = POST % "(if (i32.eq (local.get 0) (i32.const 64)) (then unreachable))"
    with pytest.raises(GuestTrap, match="unreachable"):
        await call(link(module(REALLOC, RUN, wrong)), "run", "a")


async def test_a_post_return_that_calls_the_host(link: Link) -> None:
    calls = POST % "(call $ask (i32.const 0) (i32.const 0) (i32.const 64))"
    with pytest.raises(GuestTrap, match="cannot leave component instance"):
        await call(link(module(REALLOC, RUN, calls)), "run", "a")


# --- what is refused when a module is linked ---


@pytest.mark.parametrize(
    ("wat", "message"),
    [
        ('(import "test:host/api@0.2.0" "now" (func (param i32 i32)))', "api@0.2.0#now with another type"),
        ('(import "test:host/api@0.2.0" "now" (func (param i32 i64 i32)))', "api@0.2.0#now with another type"),
        ('(import "test:host/api@0.2.0" "half" (func (param f32) (result f64)))', "#half with another type"),
        ('(import "test:host/api@0.2.0" "now" (global i32))', "api@0.2.0#now with another type"),
        ('(import "test:host/api@0.2.0" "other" (func))', "imports test:host/api@0.2.0#other, which"),
        ('(import "test:host/api@0.2.0" "[resource-drop]other" (func (param i32)))', "drop]other, which"),
        ('(import "test:host/api@0.2.0" "[resource-drop]thing" (func))', "drop]thing with another type"),
        ('(import "test:host/api@0.2.1" "now" (func (param i32 i32 i32)))', "imports test:host/api@0.2.1#now, which"),
        ('(func (export "cabi_realloc") (param i32) (result i32) (i32.const 0))', "cabi_realloc is not a function"),
        ('(memory (export "cabi_realloc") 1)', "cabi_realloc is not a function"),
    ],
)
def test_a_module_that_does_not_fit_its_world(link: Link, wat: str, message: str) -> None:
    with pytest.raises(ComponentUnsupported, match=message.replace("[", r"\[")):
        link(f"(module {wat})")


@pytest.mark.parametrize(
    ("wat", "message"),
    [
        ("", "exports no function test:guest/run@0.2.0#run"),
        ('(memory (export "test:guest/run@0.2.0#run") 1)', "exports no function test:guest/run@0.2.0#run"),
        ('(func (export "test:guest/run@0.2.0#run") (param i32) (result i32) (i32.const 0))', "another signature"),
        (
            '(func (export "test:guest/run@0.2.0#run") (param i32 i32) (result i32) (i32.const 0)) '
            '(func (export "cabi_post_test:guest/run@0.2.0#run"))',
            "cabi_post_test:guest/run@0.2.0#run has another signature",
        ),
    ],
)
def test_an_export_that_does_not_fit_its_world(link: Link, wat: str, message: str) -> None:
    program = link(f"(module {wat})")
    with pytest.raises(ComponentUnsupported, match=message):
        program.export("test:guest/run", "run")


def test_exports_that_the_world_does_not_have(link: Link) -> None:
    program = link("(module)")
    assert program.export("test:other", "run") is None
    assert program.export("test:guest/run", "other") is None
    assert program.export("", "run") is None
