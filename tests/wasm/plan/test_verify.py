"""Components whose core code does not fit what they say of it: each is refused before anything is instantiated.

wasmtime refuses them too, when it validates; that both say so is what is tested here.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import wasmtime
from wasmtime import component

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import GuestLimits
from edged.wasm.engine import new_validator
from edged.wasm.plan.binary import parse
from edged.wasm.plan.definitions import CoreModule
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.plan.module import ModuleTypes, module_types
from edged.wasm.plan.plan import (
    BuiltIn,
    CanonOptions,
    CoreExport,
    CoreSignature,
    HostImport,
    Lifted,
    Lower,
    Plan,
    ResourceType,
    Step,
    Trampoline,
)
from edged.wasm.plan.verify import verify
from edged.wasm.types import Function, Primitive
from tests.wasm.plan.text import binary, plan

CORE = """
    (core module $m
        (memory (export "m") 1)
        (table (export "t") 1 funcref)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "none"))
        (func (export "i") (param i32))
        (func (export "ii") (param i32 i32))
        (func (export "I") (param i64))
        (func (export "iii") (param i32 i32 i32))
        (func (export "-i") (result i32) unreachable)
        (func (export "-f") (result f32) unreachable)
        (func (export "i-i") (param i32) (result i32) unreachable)
        (func (export "iii-i") (param i32 i32 i32) (result i32) unreachable)
        (func (export "iii-I") (param i32 i32 i32) (result i64) unreachable)
        (func (export "iiiiiiiiiiiiiiii")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (core instance $i (instantiate $m))
    (alias core export $i "m" (core memory $m))
    (alias core export $i "realloc" (core func $realloc))
"""


def lift(core: str, signature: str = "", options: str = "") -> str:
    """A component that exports a lifted function."""
    return f'{CORE} (func (export "f") {signature} (canon lift (core func $i "{core}") {options}))'


def lower(signature: str, options: str = "") -> str:
    """A component that lowers an imported function."""
    return f'{CORE} (import "f" (func $f {signature})) (core func (canon lower (func $f) {options}))'


def built_in(types: str, text: str) -> str:
    return f"{CORE} {types} (core func (canon {text}))"


def wasmtime_refuses(data: bytes) -> bool:
    try:
        component.Component(new_validator(), data)
    except wasmtime.WasmtimeError:
        return True
    return False


M = "(memory $m)"
MR = "(memory $m) (realloc $realloc)"
SEVENTEEN = "".join(f'(param "p{n}" u32)' for n in range(17))
SIXTEEN = "".join(f'(param "p{n}" u32)' for n in range(16))
FIVE = "".join(f'(param "p{n}" u32)' for n in range(5))

TWINS = {
    "core function": (lift("i", '(param "a" u32)'), lift("I", '(param "a" u32)')),
    "core function without a parameter": (lift("none"), lift("i")),
    "core function without a result": (lift("-i", "(result u32)"), lift("none", "(result u32)")),
    "core function of another result": (lift("-f", "(result f32)"), lift("-i", "(result f32)")),
    "result in memory": (lift("-i", "(result string)", M), lift("none", "(result string)", M)),
    "16 parameters": (lift("iiiiiiiiiiiiiiii", SIXTEEN), lift("i", SIXTEEN)),
    "17 parameters": (lift("i", SEVENTEEN, MR), lift("iiiiiiiiiiiiiiii", SEVENTEEN, MR)),
    "async lift": (
        lift("-i", "async", 'async (callback (core func $i "iii-i"))'),
        lift("none", "async", 'async (callback (core func $i "iii-i"))'),
    ),
    "async lift without a callback": (lift("none", "async", "async"), lift("-i", "async", "async")),
    "callback": (
        lift("-i", "async", 'async (callback (core func $i "iii-i"))'),
        lift("-i", "async", 'async (callback (core func $i "iii-I"))'),
    ),
    "callback without a result": (
        lift("-i", "async", 'async (callback (core func $i "iii-i"))'),
        lift("-i", "async", 'async (callback (core func $i "iii"))'),
    ),
    "callback of a lift without async": (
        lift("none"),
        lift("none", options='(callback (core func $i "iii-i"))'),
    ),
    "post-return": (
        lift("-i", "(result u32)", '(post-return (core func $i "i"))'),
        lift("-i", "(result u32)", '(post-return (core func $i "I"))'),
    ),
    "post-return of nothing": (
        lift("none", options='(post-return (core func $i "none"))'),
        lift("none", options='(post-return (core func $i "i"))'),
    ),
    "post-return with a result": (
        lift("-i", "(result u32)", '(post-return (core func $i "i"))'),
        lift("-i", "(result u32)", '(post-return (core func $i "i-i"))'),
    ),
    "post-return of an async lift": (
        lift("none", "async", "async"),
        lift("none", "async", 'async (post-return (core func $i "none"))'),
    ),
    "realloc": (
        lift("ii", '(param "a" string)', MR),
        lift("ii", '(param "a" string)', '(memory $m) (realloc (core func $i "iii-i"))'),
    ),
    "lift of a string without realloc": (
        lift("ii", '(param "a" string)', MR),
        lift("ii", '(param "a" string)', M),
    ),
    "lift of a string without a memory": (
        lift("ii", '(param "a" string)', MR),
        lift("ii", '(param "a" string)'),
    ),
    "lift of 17 parameters without realloc": (lift("i", SEVENTEEN, MR), lift("i", SEVENTEEN, M)),
    "lift of a string result without a memory": (lift("-i", "(result string)", M), lift("-i", "(result string)")),
    "lift of two results without a memory": (
        lift("-i", "(result (tuple u8 u8))", M),
        lift("-i", "(result (tuple u8 u8))"),
    ),
    "lower of a string": (lower('(param "a" string)', M), lower('(param "a" string)')),
    "lower of 17 parameters": (lower(SEVENTEEN, M), lower(SEVENTEEN)),
    "lower of 16 parameters": (lower(SIXTEEN), lower(SEVENTEEN)),
    "lower of five parameters async": (lower(f"async {FIVE}", f"async {M}"), lower(f"async {FIVE}", "async")),
    "lower of a result async": (lower("async (result u8)", f"async {M}"), lower("async (result u8)", "async")),
    "lower of two results": (lower("(result (tuple u8 u8))", M), lower("(result (tuple u8 u8))")),
    "lower of a string result without realloc": (lower("(result string)", MR), lower("(result string)", M)),
    "lower with post-return": (lower(""), lower("", '(post-return (core func $i "none"))')),
    "lower with a callback": (lower("async", "async"), lower("async", 'async (callback (core func $i "iii-i"))')),
    "stream.write without a memory": (
        built_in("(type $s (stream u8))", f"stream.write $s {M}"),
        built_in("(type $s (stream u8))", "stream.write $s"),
    ),
    "stream.read without a memory": (
        built_in("(type $s (stream u8))", f"stream.read $s async {M}"),
        built_in("(type $s (stream u8))", "stream.read $s async"),
    ),
    "stream.read of strings without realloc": (
        built_in("(type $s (stream string))", f"stream.read $s async {MR}"),
        built_in("(type $s (stream string))", f"stream.read $s async {M}"),
    ),
    "future.read of strings without realloc": (
        built_in("(type $s (future string))", f"future.read $s async {MR}"),
        built_in("(type $s (future string))", f"future.read $s async {M}"),
    ),
    "future.write without a memory": (
        built_in("(type $s (future u8))", f"future.write $s {M}"),
        built_in("(type $s (future u8))", "future.write $s"),
    ),
    "task.return of a string": (
        built_in("", f"task.return (result string) {M}"),
        built_in("", "task.return (result string)"),
    ),
    "task.return of many": (
        built_in(f"(type $t (tuple {'u8 ' * 16}))", "task.return (result $t)"),
        built_in(f"(type $t (tuple {'u8 ' * 17}))", "task.return (result $t)"),
    ),
    "async lift of a string result": (
        lift("none", "async (result string)", f"async {M}"),
        lift("none", "async (result string)", "async"),
    ),
    "async lift of a large result": (
        lift("none", f"async (result (tuple {'u8 ' * 16}))", "async"),
        lift("none", f"async (result (tuple {'u8 ' * 17}))", "async"),
    ),
    "async lift of a type that is not": (
        lift("none", "async", "async"),
        lift("none", "", "async"),
    ),
    "async lower of a type that is not": (lower("async", "async"), lower("", "async")),
    "realloc without a memory": (lower("", MR), lower("", "(realloc $realloc)")),
    "realloc of a lift without a memory": (lift("none", "", MR), lift("none", "", "(realloc $realloc)")),
    "callback of a built-in": (
        built_in("(type $s (stream))", "stream.read $s async"),
        built_in("(type $s (stream))", 'stream.read $s async (callback (core func $i "iii-i"))'),
    ),
    "post-return of a built-in": (
        built_in("(type $s (stream))", "stream.read $s"),
        built_in("(type $s (stream))", 'stream.read $s (post-return (core func $i "none"))'),
    ),
    "task.return with async": (built_in("", "task.return"), built_in("", "task.return async")),
    "task.return with realloc": (built_in("", f"task.return {M}"), built_in("", f"task.return {MR}")),
    "destructor": (
        f'{CORE} (type (resource (rep i32) (dtor (core func $i "i"))))',
        f'{CORE} (type (resource (rep i32) (dtor (core func $i "ii"))))',
    ),
    "destructor with a result": (
        f'{CORE} (type (resource (rep i32) (dtor (core func $i "i"))))',
        f'{CORE} (type (resource (rep i32) (dtor (core func $i "i-i"))))',
    ),
    "import of a module": (
        f'{CORE} (core module $n (import "x" "f" (func (param i32)))) (type $r (resource (rep i32)))'
        "(core func $f (canon resource.drop $r))"
        '(core instance (instantiate $n (with "x" (instance (export "f" (func $f))))))',
        f'{CORE} (core module $n (import "x" "f" (func (param i64)))) (type $r (resource (rep i32)))'
        "(core func $f (canon resource.drop $r))"
        '(core instance (instantiate $n (with "x" (instance (export "f" (func $f))))))',
    ),
    "import of another module's function": (
        f'{CORE} (core module $n (import "x" "i" (func (param i32)))) '
        '(core instance (instantiate $n (with "x" (instance $i))))',
        f'{CORE} (core module $n (import "x" "i" (func (param i64)))) '
        '(core instance (instantiate $n (with "x" (instance $i))))',
    ),
    "lift of a trampoline": (
        '(import "f" (func $f (param "a" u32))) (core func $g (canon lower (func $f)))'
        '(func (export "h") (param "a" u32) (canon lift (core func $g)))',
        '(import "f" (func $f (param "a" u32))) (core func $g (canon lower (func $f)))'
        '(func (export "h") (param "a" u64) (canon lift (core func $g)))',
    ),
    "lift that is only lowered": (
        f'{CORE} (func $f (canon lift (core func $i "none"))) (core func (canon lower (func $f)))',
        f'{CORE} (func $f (canon lift (core func $i "i"))) (core func (canon lower (func $f)))',
    ),
}


@pytest.mark.parametrize("name", list(TWINS))
def test_what_fits_and_what_does_not(name: str) -> None:
    good, bad = TWINS[name]
    assert isinstance(plan(good), Plan)
    assert not wasmtime_refuses(binary(good))
    with pytest.raises(ComponentInvalid):
        plan(bad)
    assert wasmtime_refuses(binary(bad))


def memory(declared: str) -> str:
    return f"""(core module $m (memory (export "m") {declared})) (core instance $i (instantiate $m))
        (import "f" (func $f (param "a" string))) (core func (canon lower (func $f) (memory (core memory $i "m"))))"""


@pytest.mark.parametrize("declared", ["i64 1", "1 2 shared"])
def test_memories_are_of_32_bits_and_not_shared(declared: str) -> None:
    assert plan(memory("1 2")).trampolines
    with pytest.raises(ComponentUnsupported, match="64 bits or is shared"):
        plan(memory(declared))


@pytest.mark.parametrize("built", ["waitable-set.wait", "waitable-set.poll"])
def test_memories_of_waitable_sets(built: str) -> None:
    text = '(core module $m (memory (export "m") {})) (core instance $i (instantiate $m)) '
    text += f'(core func (canon {built} (memory (core memory $i "m"))))'
    assert plan(text.format("1")).trampolines
    with pytest.raises(ComponentUnsupported, match=f"memory of {built}"):
        plan(text.format("i64 1"))


def test_a_trampoline_is_not_lifted_with_async() -> None:
    with pytest.raises(ComponentUnsupported, match="lifted with async"):
        plan(
            """(import "f" (func $f (result u32))) (core func $g (canon lower (func $f)))
            (core module $m (func (export "c") (param i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m))
            (func (export "h") async (canon lift (core func $g) async (callback (core func $i "c"))))"""
        )


def test_lifts_that_nobody_can_call_are_not_looked_at() -> None:
    assert plan(f'{CORE} (func $f (canon lift (core func $i "i")))').trampolines == ()


# --- plans that no component comes to ---

FUNCTION = Function((), None)


def parts(text: str) -> tuple[Plan, tuple[ModuleTypes, ...]]:
    data = binary(text)
    modules = [part for part in parse(data).definitions if isinstance(part, CoreModule)]
    return build_plan(data), tuple(module_types(data, module.start, module.end) for module in modules)


def lifted(core: CoreExport | Trampoline, **options: CoreExport) -> Lifted:
    return Lifted(core, FUNCTION, CanonOptions(0, **options), 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "core",
    [
        CoreExport(1, "none", "func"),
        CoreExport(-1, "none", "func"),
        CoreExport(0, "nothing", "func"),
        CoreExport(0, "m", "func"),
        CoreExport(0, "m", "memory"),
        CoreExport(0, "none", "memory"),
        CoreExport(0, "t", "table"),
    ],
    ids=str,
)
def test_items_that_are_not_there(core: CoreExport) -> None:
    good, modules = parts(CORE)
    fine = CoreExport(0, "none", "func")
    verify(replace(good, functions={"f": lifted(fine)}), modules)
    for bad in (
        replace(good, functions={"f": lifted(core)}),
        replace(good, exports={"a:b/c": {"f": lifted(core)}}),
        replace(good, functions={"f": lifted(fine, realloc=core)}),
        replace(good, functions={"f": lifted(fine, post_return=core)}),
        replace(good, functions={"f": lifted(fine, callback=core)}),
        replace(good, resources=(ResourceType(instance=0, destructor=core),)),
    ):
        with pytest.raises(ComponentInvalid):
            verify(bad, modules)


@pytest.mark.parametrize("item", [CoreExport(0, "none", "memory"), CoreExport(0, "none", "func")], ids=str)
def test_a_memory_that_is_none(item: CoreExport) -> None:
    good, modules = parts(CORE)
    host = HostImport("", "f", Function((Primitive("STRING"),), None))
    for operation in (Lower(host, CanonOptions(0, memory=item)), BuiltIn("waitable-set.wait", memory=item)):
        made = Trampoline(0, 0, operation, CoreSignature("ii", ""), blocking=False)
        with pytest.raises(ComponentInvalid):
            verify(replace(good, trampolines=(made,)), modules)


def test_steps_get_what_is_there_before_them() -> None:
    good, modules = parts(
        CORE + '(core module $n (import "x" "none" (func))) (core instance (instantiate $n (with "x" (instance $i))))'
    )
    first, second = good.steps
    verify(good, modules)
    for imports in ((), (CoreExport(1, "none", "func"),), (CoreExport(0, "none", "func"),) * 2):
        with pytest.raises(ComponentInvalid):
            verify(replace(good, steps=(first, Step(second.module, 0, imports))), modules)


# --- what an app may have ---


@pytest.mark.parametrize(
    ("limit", "count"), [("instance_count_max", 3), ("memory_count_max", 3), ("table_count_max", 6)]
)
def test_counts(limit: str, count: int) -> None:
    text = '(core module $m (memory (export "m") 1) (table 1 funcref) (table 1 funcref))'
    text += "(core instance (instantiate $m))" * 3
    assert len(plan(text, replace(GuestLimits(), **{limit: count})).steps) == 3
    with pytest.raises(ComponentTooLarge, match=f"{count - 1} are the most.*"):
        plan(text, replace(GuestLimits(), **{limit: count - 1}))
    assert len(plan(text).steps) == 3


def test_memories_that_are_imported_count_once() -> None:
    text = """(core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))
        (core module $n (import "x" "m" (memory 1))) (core instance (instantiate $n (with "x" (instance $i))))"""
    assert len(plan(text, replace(GuestLimits(), memory_count_max=1)).steps) == 2
