"""Plans: what definitions come to once they are followed."""

from __future__ import annotations

import re

import pytest
from wasmtime import component

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import (
    COMPONENT_DEPTH_MAX,
    COMPONENT_INSTANCE_COUNT_MAX,
    COMPONENT_STEP_COUNT_MAX,
    COMPONENT_TRAMPOLINE_COUNT_MAX,
    COMPONENT_TRAMPOLINE_DEPTH_MAX,
    COMPONENT_TYPE_BYTES_MAX,
    COMPONENT_TYPE_DEPTH_MAX,
    COMPONENT_TYPE_NODE_COUNT_MAX,
)
from edged.wasm.engine import Engine
from edged.wasm.plan import definitions as d
from edged.wasm.plan.elaborate import build_plan, elaborate
from edged.wasm.plan.plan import (
    BuiltIn,
    CanonOptions,
    CoreExport,
    CoreSignature,
    HostImport,
    Lifted,
    Lower,
    ResourceType,
    Step,
)
from edged.wasm.plan.skeleton import skeleton
from edged.wasm.types import (
    ComponentType,
    FixedList,
    Function,
    Handle,
    InstanceType,
    List,
    Option,
    Primitive,
    Record,
    Stream,
    Tuple,
    describe,
)
from tests.conftest import GuestPath
from tests.guests import wat
from tests.wasm.plan.text import plan

U32 = Primitive("U32")
STRING = Primitive("STRING")
NOTHING = Function((), None)


# --- core instances ---


def test_steps_and_what_they_are_given() -> None:
    found = plan(
        """
        (core module $a (memory (export "m") 1) (func (export "f")) (global (export "g") i32 (i32.const 0)))
        (core module $b (import "x" "m" (memory 1)) (import "y" "h" (func)) (import "x" "g" (global i32)))
        (core instance $i (instantiate $a))
        (alias core export $i "f" (core func $f))
        (core instance $y (export "h" (func $f)) (export "unused" (func $f)))
        (core instance (instantiate $b (with "x" (instance $i)) (with "y" (instance $y))))
        """
    )
    assert found.module_count == 2
    assert found.steps == (
        Step(0, 0, ()),
        Step(1, 0, (CoreExport(0, "m", "memory"), CoreExport(0, "f", "func"), CoreExport(0, "g", "global"))),
    )
    assert (found.instance_count, found.instance_parents, found.trampolines) == (1, (None,), ())


def test_a_module_is_instantiated_as_often_as_asked() -> None:
    found = plan(
        """
        (component $c (core module $m (func (export "f"))) (core instance (instantiate $m)))
        (instance (instantiate $c)) (instance (instantiate $c))
        """
    )
    assert found.module_count == 1
    assert found.steps == (Step(0, 1, ()), Step(0, 2, ()))
    assert found.instance_parents == (None, 0, 0)


def test_modules_and_components_are_passed_on() -> None:
    found = plan(
        """
        (core module $m (func (export "f") (result i32) i32.const 7))
        (component $inner
            (import "m" (core module $given (export "f" (func (result i32)))))
            (core instance $i (instantiate $given))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))
        (component $outer
            (import "c" (component $given
                (import "m" (core module (export "f" (func (result i32)))))
                (export "f" (func (result u32)))))
            (alias outer 1 $m (core module $found))
            (instance $i (instantiate $given (with "m" (core module $found))))
            (export "f" (func $i "f")))
        (instance $i (instantiate $outer (with "c" (component $inner))))
        (export "f" (func $i "f"))
        """
    )
    assert found.steps == (Step(0, 2, ()),)
    assert found.instance_parents == (None, 0, 1)
    assert found.functions["f"] == Lifted(CoreExport(0, "f", "func"), Function((), U32), CanonOptions(2), 2)


# --- functions ---

LIFTABLE = """
    (core module $m
        (memory (export "memory") 1)
        (func (export "run") (param i32 i32) (result i32) unreachable)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "done") (param i32)))
    (core instance $i (instantiate $m))
    (func $run (param "a" string) (result (list u32)) (canon lift (core func $i "run")
        string-encoding=utf16 (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
        (post-return (core func $i "done"))))
"""


def test_lifted_functions_are_exported_bare_and_in_interfaces() -> None:
    found = plan(
        LIFTABLE
        + '(export "bare" (func $run)) (instance $x (export "inner" (func $run))) (export "a:b/c" (instance $x))'
    )
    options = CanonOptions(
        0,
        "utf16",
        CoreExport(0, "memory", "memory"),
        CoreExport(0, "realloc", "func"),
        CoreExport(0, "done", "func"),
    )
    lifted = Lifted(CoreExport(0, "run", "func"), Function((STRING,), List(U32)), options, 0)
    assert found.functions == {"bare": lifted}
    assert found.exports == {"a:b/c": {"inner": lifted}}
    assert found.type.functions == {"bare": lifted.type}
    assert found.type.exports == {"a:b/c": InstanceType({"inner": lifted.type})}


def test_what_nested_instances_export_is_exported_again() -> None:
    """The shape that wit-component gives to exported interfaces."""
    found = plan(
        LIFTABLE
        + """
        (component $shim
            (import "import-func-run" (func $given (param "a" string) (result (list u32))))
            (export "run" (func $given) (func (param "a" string) (result (list u32)))))
        (instance $exported (instantiate $shim (with "import-func-run" (func $run))))
        (export "a:b/c@1.0.0" (instance $exported))
        """
    )
    assert found.exports["a:b/c@1.0.0"]["run"].instance == 0
    assert found.instance_count == 2


def test_imports_are_lowered_by_name() -> None:
    found = plan(
        """
        (import "a:b/c@1.2.0" (instance $c (export "f" (func (param "x" u32) (result u32)))))
        (import "bare" (func $bare))
        (core func $f (canon lower (func $c "f")))
        (core func $bare' (canon lower (func $bare)))
        (core module $m (import "h" "f" (func (param i32) (result i32))) (import "h" "bare" (func)))
        (core instance (instantiate $m (with "h" (instance (export "f" (func $f)) (export "bare" (func $bare'))))))
        """
    )
    first, second = found.trampolines
    function = Function((U32,), U32)
    assert first.operation == Lower(HostImport("a:b/c@1.2.0", "f", function), CanonOptions(0))
    assert second.operation == Lower(HostImport("", "bare", NOTHING), CanonOptions(0))
    assert (first.signature, second.signature) == (CoreSignature("i", "i"), CoreSignature("", ""))
    assert found.steps[0].imports == (first, second)
    assert found.type == ComponentType(
        {"a:b/c@1.2.0": InstanceType({"f": function}), "": InstanceType({"bare": NOTHING})}, {}, ()
    )


@pytest.mark.parametrize(
    ("signature", "options", "expected"),
    [
        ('(param "a" u32)', "", ("i", "")),
        ("(result u64)", "", ("", "I")),
        ('(param "a" f32) (param "b" f64)', "", ("fF", "")),
        ("(result string)", "(memory 0) (realloc 0)", ("i", "")),
        ('(param "a" string)', "(memory 0)", ("ii", "")),
        (f'(param "a" (tuple {"u64 " * 16}))', "", ("I" * 16, "")),
        (f'(param "a" (tuple {"u64 " * 17}))', "(memory 0)", ("i", "")),
        ('(param "a" (list u8 16)) (result (tuple u8 u8))', "(memory 0)", ("i" * 16 + "i", "")),
        ('(param "a" (list u8 17))', "(memory 0)", ("i", "")),
        ('(param "a" (option u64)) (param "b" (result f32 (error u32)))', "", ("iIii", "")),
        ('(param "a" (result f32 (error f64)))', "", ("iI", "")),
        ('(param "a" (result f64 (error f64)))', "", ("iF", "")),
        ('(param "a" (stream u8)) (result (future))', "", ("i", "i")),
        ("(result (result))", "", ("", "i")),
    ],
)
def test_signatures_of_lowered_functions(signature: str, options: str, expected: tuple[str, str]) -> None:
    found = plan(
        f"""
        (core module $m (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (alias core export $i "m" (core memory)) (alias core export $i "r" (core func))
        (import "f" (func $f {signature}))
        (core func (canon lower (func $f) {options}))
        """
    )
    assert found.trampolines[0].signature == CoreSignature(*expected)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("", ("", "i")),
        ('(param "a" (tuple u8 u8 u8 f32))', ("iiif", "i")),
        ('(param "a" (tuple u8 u8 u8 f32 u8))', ("i", "i")),
        ('(param "a" u64) (result u8)', ("Ii", "i")),
        ("(result string)", ("i", "i")),
    ],
)
def test_signatures_of_functions_lowered_async(signature: str, expected: tuple[str, str]) -> None:
    found = plan(
        f"""
        (core module $m (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (alias core export $i "m" (core memory)) (alias core export $i "r" (core func))
        (import "f" (func $f async {signature}))
        (core func (canon lower (func $f) async (memory 0) (realloc 0)))
        """
    )
    assert found.trampolines[0].signature == CoreSignature(*expected)
    assert not found.trampolines[0].blocking


def test_the_same_options_are_one_object() -> None:
    found = plan('(import "f" (func $f)) (core func (canon lower (func $f))) (core func (canon lower (func $f)))')
    first, second = (trampoline.operation for trampoline in found.trampolines)
    assert first.options is second.options
    twice = plan(
        """(import "f" (func $f))
        (component $c (import "f" (func $f)) (core func (canon lower (func $f))))
        (instance (instantiate $c (with "f" (func $f)))) (instance (instantiate $c (with "f" (func $f))))"""
    )
    assert [trampoline.operation.options for trampoline in twice.trampolines] == [CanonOptions(1), CanonOptions(2)]


# --- built-ins ---

SIGNATURES = {
    "resource.new $r": ("i", "i"),
    "resource.rep $r": ("i", "i"),
    "resource.drop $r": ("i", ""),
    "task.cancel": ("", ""),
    "task.return": ("", ""),
    "task.return (result u64)": ("I", ""),
    "subtask.cancel": ("i", "i"),
    "subtask.drop": ("i", ""),
    "context.get i32 0": ("", "i"),
    "context.set i64 1": ("I", ""),
    "thread.yield": ("", "i"),
    "backpressure.inc": ("", ""),
    "stream.new $s": ("", "I"),
    "stream.read $s async": ("iii", "i"),
    "stream.write $s": ("iii", "i"),
    "stream.cancel-read $s async": ("i", "i"),
    "stream.drop-writable $s": ("i", ""),
    "future.new $f": ("", "I"),
    "future.read $f": ("ii", "i"),
    "future.cancel-write $f": ("i", "i"),
    "waitable-set.new": ("", "i"),
    "waitable-set.drop": ("i", ""),
    "waitable.join": ("ii", ""),
}
TYPES = "(type $r (resource (rep i32))) (type $s (stream)) (type $f (future))"


@pytest.mark.parametrize(("built_in", "expected"), SIGNATURES.items(), ids=list(SIGNATURES))
def test_signatures_of_built_ins(built_in: str, expected: tuple[str, str]) -> None:
    (found,) = plan(f"{TYPES} (core func (canon {built_in}))").trampolines
    assert isinstance(found.operation, BuiltIn)
    assert found.operation.name == built_in.split(maxsplit=1)[0]
    assert found.signature == CoreSignature(*expected)


def test_task_return_of_many_values_is_given_their_address() -> None:
    def signature(count: int) -> CoreSignature:
        return (
            plan(
                f"""(core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))
                (type $t (tuple {"u64 " * count}))
                (core func (canon task.return (result $t) (memory (core memory $i "m"))))"""
            )
            .trampolines[0]
            .signature
        )

    assert signature(16) == CoreSignature("I" * 16, "")
    assert signature(17) == CoreSignature("i", "")


BLOCKING = {
    "stream.read $s": True,
    "stream.read $s async": False,
    "stream.write $s": True,
    "stream.cancel-read $s": True,
    "stream.cancel-read $s async": False,
    "stream.cancel-write $s": True,
    "future.read $f": True,
    "future.write $f async": False,
    "future.cancel-write $f": True,
    "subtask.cancel": True,
    "subtask.cancel async": False,
    "thread.yield": True,
    "stream.new $s": False,
    "stream.drop-readable $s": False,
    "task.cancel": False,
    "task.return": False,
    "waitable.join": False,
}


@pytest.mark.parametrize(("built_in", "blocking"), BLOCKING.items(), ids=list(BLOCKING))
def test_which_built_ins_block(built_in: str, blocking: bool) -> None:
    (found,) = plan(f"{TYPES} (core func (canon {built_in}))").trampolines
    assert found.blocking is blocking
    assert isinstance(found.operation, BuiltIn)
    assert found.operation.is_async is built_in.endswith("async")


def test_waiting_on_a_set_blocks_and_polling_does_not() -> None:
    wait, poll = plan(
        """(core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))
        (core func (canon waitable-set.wait (memory (core memory $i "m"))))
        (core func (canon waitable-set.poll (memory (core memory $i "m"))))"""
    ).trampolines
    assert (wait.blocking, poll.blocking) == (True, False)
    assert wait.signature == poll.signature == CoreSignature("ii", "i")
    assert isinstance(wait.operation, BuiltIn)
    assert wait.operation.memory == CoreExport(0, "m", "memory")


@pytest.mark.parametrize(("type_async", "lower_async", "blocking"), [(0, 0, 0), (1, 0, 1), (1, 1, 0)])
def test_which_lowered_functions_block(type_async: int, lower_async: int, blocking: int) -> None:
    found = plan(
        f"""(import "f" (func $f {"async" * type_async}))
        (core func (canon lower (func $f) {"async" * lower_async}))"""
    )
    assert found.trampolines[0].blocking is bool(blocking)


def test_what_streams_and_futures_carry() -> None:
    found = plan(
        """(type $s (stream (tuple u32 string))) (type $f (future)) (core func (canon stream.new $s))
        (core func (canon future.new $f)) (core func (canon context.set i64 1))"""
    )
    stream, future, context = (trampoline.operation for trampoline in found.trampolines)
    assert stream == BuiltIn("stream.new", type=Tuple((U32, STRING)))
    assert future == BuiltIn("future.new")
    assert context == BuiltIn("context.set", slot=1, slot_kind="I")


# --- types ---


def test_types_are_followed_to_plain_ones() -> None:
    found = plan(
        """
        (core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))
        (type $inner (record (field "a" u32) (field "b" (option string))))
        (component $c
            (alias outer 1 $inner (type $seen))
            (type $pairs (map string $seen))
            (import "f" (func $f (param "m" $pairs) (param "l" (list u8 4)) (result (stream $seen))))
            (core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))
            (core func (canon lower (func $f) (memory (core memory $i "m")))))
        (type $pairs (map string $inner))
        (import "f" (func $f (param "m" $pairs) (param "l" (list u8 4)) (result (stream $inner))))
        (instance (instantiate $c (with "f" (func $f))))
        """
    )
    inner = Record((("a", U32), ("b", Option(STRING))))
    (trampoline,) = found.trampolines
    assert isinstance(trampoline.operation, Lower)
    assert trampoline.operation.function.type == Function(
        (List(Tuple((STRING, inner))), FixedList(Primitive("U8"), 4)), Stream(inner)
    )


def test_resources_of_an_import_are_the_same_wherever_they_are_used() -> None:
    found = plan(
        """
        (import "a:b/streams" (instance $streams (export "s" (type (sub resource)))
            (export "[method]s.read" (func (param "self" (borrow 0))))))
        (alias export $streams "s" (type $s))
        (import "a:b/types" (instance $types
            (alias outer 1 $s (type $outer)) (export "s" (type (eq $outer)))
            (export "t" (type (sub resource)))
            (export "take" (func (param "s" (own 1)) (result (own 2))))))
        (alias export $types "s" (type $again))
        (import "bare" (func $bare (param "s" (borrow $again))))
        (core func (canon resource.drop $again))
        (core func (canon lower (func $bare)))
        """
    )
    assert found.resources == (ResourceType("a:b/streams", "s"), ResourceType("a:b/types", "t"))
    assert found.type.resource_names == (("a:b/streams", "s"), ("a:b/types", "t"))
    assert found.type.imports["a:b/types"] == InstanceType(
        {"take": Function((Handle(1, owned=True),), Handle(2, owned=True))}, {"s": 1, "t": 2}
    )
    drop, bare = (trampoline.operation for trampoline in found.trampolines)
    assert drop == BuiltIn("resource.drop", resource=1)
    assert isinstance(bare, Lower)
    assert bare.function.type == Function((Handle(1, owned=False),), None)


def test_two_imports_of_one_shape_have_resources_of_their_own() -> None:
    found = plan(
        """
        (type $shape (instance (export "r" (type (sub resource)))))
        (import "one" (instance (type $shape))) (import "two" (instance (type $shape)))
        (import "r" (type (sub resource)))
        """
    )
    assert found.resources == (ResourceType("one", "r"), ResourceType("two", "r"), ResourceType("", "r"))
    assert found.type.resource_names == (("one", "r"), ("two", "r"), ("", "r"))


def test_each_instance_defines_resources_of_its_own() -> None:
    found = plan(
        """
        (core module $m (func (export "drop") (param i32)))
        (component $c
            (alias outer 1 $m (core module $m)) (core instance $i (instantiate $m))
            (type $r (resource (rep i32) (dtor (core func $i "drop"))))
            (core func (canon resource.new $r))
            (export "r" (type $r)))
        (instance $a (instantiate $c)) (instance $b (instantiate $c))
        (alias export $b "r" (type $r))
        (core func (canon resource.drop $r))
        (export "b:c/d" (instance $b))
        """
    )
    assert found.resources == (
        ResourceType(instance=1, destructor=CoreExport(0, "drop", "func")),
        ResourceType(instance=2, destructor=CoreExport(1, "drop", "func")),
    )
    operations = [trampoline.operation for trampoline in found.trampolines]
    assert operations == [
        BuiltIn("resource.new", resource=1),
        BuiltIn("resource.new", resource=2),
        BuiltIn("resource.drop", resource=2),
    ]
    assert found.type.resource_names == (("", ""), ("b:c/d", "r"))
    assert found.type.exports["b:c/d"].resources == {"r": 2}


# --- the world, as wasmtime tells of it ---


def _compiled(data: bytes) -> ComponentType:
    engine = Engine()
    return describe(component.Component(engine.wasmtime, skeleton(data)), engine.wasmtime)


NO_COMPONENT_OF_WASI_02 = re.compile(r"^\(module|@0\.3|async|\(core modul ", re.MULTILINE)
WAT_GUESTS = [name for name in wat.names() if not NO_COMPONENT_OF_WASI_02.search(wat.text(name))]
SDK_GUESTS = [
    "cron-python",
    "hello-js",
    "hello-python",
    "js-capabilities",
    "python-plain",
    "streaming-c",
    "wagi-component",
]
WASI_03_GUESTS = ["js-wasi3", "hello-python5", "python5-redis-trigger"]


@pytest.mark.parametrize("name", WAT_GUESTS + SDK_GUESTS)
def test_the_world_of_a_guest(guest_path: GuestPath, name: str) -> None:
    data = guest_path(name).read_bytes()
    assert build_plan(data).type == _compiled(data)


@pytest.mark.parametrize("name", SDK_GUESTS + WASI_03_GUESTS)
def test_the_skeleton_of_a_guest_has_the_same_plan(guest_path: GuestPath, name: str) -> None:
    data = guest_path(name).read_bytes()
    assert build_plan(skeleton(data)) == build_plan(data)


# --- what is refused ---

INVALID = {
    "no such type": '(import "f" (func (type 3)))',
    "no such core function": "(type $t (func)) (func (type $t) (canon lift (core func 0)))",
    "no such function": "(core func (canon lower (func 0)))",
    "no such memory": '(import "f" (func $f)) (core func (canon lower (func $f) (memory 0)))',
    "no such module": "(core instance (instantiate 0))",
    "no such core instance": '(alias core export 0 "f" (core func))',
    "no such instance": '(alias export 0 "f" (func))',
    "no such component": "(instance (instantiate 0))",
    "no such outer": "(alias outer 1 0 (type))",
    "no such outer item": "(alias outer 0 0 (type))",
    "no such item to export": '(export "f" (func 0))',
    "core export that is not there": '(core module $m) (core instance $i (instantiate $m)) (alias core export $i "f" '
    "(core func))",
    "core export of another kind": '(core module $m (memory (export "f") 1)) (core instance $i (instantiate $m))'
    '(alias core export $i "f" (core func))',
    "export that is not there": '(instance $i) (alias export $i "f" (func))',
    "export of another sort": '(component $c) (instance $i (export "f" (component $c))) (alias export $i "f" (func))',
    "import that is not given": '(component $c (import "f" (func))) (instance (instantiate $c))',
    "import given another sort": '(component $c (import "f" (func))) (instance (instantiate $c (with "f" '
    "(component $c))))",
    "module that is not given its imports": '(core module $m (import "a" "b" (func))) (core instance (instantiate $m))',
    "module given an instance without the import": '(core module $m (import "a" "b" (func))) (core instance '
    '(instantiate $m (with "a" (instance))))',
    "module given another kind": '(core module $n (memory (export "b") 1)) (core instance $i (instantiate $n))'
    '(core module $m (import "a" "b" (func))) (core instance (instantiate $m (with "a" (instance $i))))',
    "function type that is none": '(type $t u32) (import "f" (func (type $t)))',
    "value type that is none": "(type $f (func)) (type (list $f))",
    "instance type that is none": '(type $f (func)) (import "i" (instance (type $f)))',
    "handle of what is no resource": "(type $t u32) (type (own $t))",
    "stream that is none": "(type $t (future)) (core func (canon stream.new $t))",
    "future that is none": "(type $t (stream)) (core func (canon future.new $t))",
    "resource.new of an imported resource": '(import "r" (type $r (sub resource))) (core func (canon resource.new $r))',
    "resource.rep of an imported resource": '(import "r" (type $r (sub resource))) (core func (canon resource.rep $r))',
    "resource.drop of what is none": "(type $t u32) (core func (canon resource.drop $t))",
    "context slot": "(core func (canon context.get i32 2))",
    "borrow in a result": '(import "r" (type $r (sub resource))) (import "f" (func (result (borrow $r))))',
    "borrow in a stream": '(import "r" (type $r (sub resource))) (type (stream (borrow $r)))',
    "borrow inside a list in a future": '(import "r" (type $r (sub resource))) (type (future (list (borrow $r))))',
}


@pytest.mark.parametrize("text", INVALID.values(), ids=list(INVALID))
def test_invalid(text: str) -> None:
    with pytest.raises(ComponentInvalid):
        plan(text)


@pytest.mark.parametrize(
    "alias",
    [
        d.AliasOuter("func", 0, 0),
        d.AliasOuter("core memory", 0, 0),
        d.AliasCoreExport("core type", 0, "x"),
        d.AliasCoreExport("func", 0, "x"),
    ],
    ids=str,
)
def test_sorts_that_no_text_has_an_alias_of(alias: d.AliasOuter | d.AliasCoreExport) -> None:
    with pytest.raises(ComponentInvalid, match=f"takes a {alias.sort}"):
        elaborate(d.Component((d.CoreInline(()), alias)), ())


UNSUPPORTED = {
    "component import": ('(import "c" (component))', "'c', of sort component"),
    "module import": ('(import "m" (core module))', "'m', of sort core module"),
    "interface in an interface": (
        '(import "i" (instance (export "j" (instance))))',
        "'j' of 'i', of sort instance",
    ),
    "error context": ('(import "f" (func (param "e" error-context)))', "error-context"),
    "imported function exported": (
        '(import "f" (func $f)) (export "g" (func $f))',
        "exports 'g', which it only imports",
    ),
    "imported interface exported": (
        '(import "i" (instance $i (export "f" (func)))) (export "j" (instance $i))',
        "exports 'f' of 'j', which it only imports",
    ),
    "destructor that is a trampoline": (
        '(import "f" (func $f (param "a" u32))) (core func $g (canon lower (func $f)))'
        "(type (resource (rep i32) (dtor (core func $g))))",
        "a destructor that no core module exports",
    ),
    "realloc that is a trampoline": (
        '(core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))'
        '(import "f" (func $f (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32) (result u32)))'
        '(core func $g (canon lower (func $f))) (import "h" (func $h (result string)))'
        '(core func (canon lower (func $h) (memory (core memory $i "m")) (realloc $g)))',
        "a realloc function that no core module exports",
    ),
}


@pytest.mark.parametrize(("text", "message"), UNSUPPORTED.values(), ids=list(UNSUPPORTED))
def test_unsupported(text: str, message: str) -> None:
    with pytest.raises(ComponentUnsupported, match=message):
        plan(text)


def test_an_imported_interface_of_types_may_be_exported() -> None:
    found = plan('(import "i" (instance $i (export "r" (type (sub resource))))) (export "j" (instance $i))')
    assert found.exports == {"j": {}}
    assert found.type.exports == {"j": InstanceType({}, {"r": 1})}


# --- limits ---


def _doubling(depth: int) -> str:
    """Components each of which instantiates the one before it twice."""
    text = "(component $c0)"
    for level in range(1, depth + 1):
        inner = f"(alias outer 1 $c{level - 1} (component $c))"
        text += f"(component $c{level} {inner} (instance (instantiate $c)) (instance (instantiate $c)))"
    return f"{text} (instance (instantiate $c{depth}))"


def test_instances_that_double() -> None:
    """2 ** (n + 1) - 1 of them, and the outermost."""
    assert COMPONENT_INSTANCE_COUNT_MAX == 1_000
    assert plan(_doubling(8)).instance_count == 2**9
    with pytest.raises(ComponentTooLarge, match="1000 component instances"):
        plan(_doubling(9))
    with pytest.raises(ComponentTooLarge, match="1000 component instances"):
        plan(_doubling(COMPONENT_DEPTH_MAX - 2))


def test_instance_count() -> None:
    def instances(count: int) -> str:
        return "(component $c)" + "(instance (instantiate $c))" * count

    assert plan(instances(COMPONENT_INSTANCE_COUNT_MAX - 1)).instance_count == COMPONENT_INSTANCE_COUNT_MAX
    with pytest.raises(ComponentTooLarge, match="component instances"):
        plan(instances(COMPONENT_INSTANCE_COUNT_MAX))


def test_step_count() -> None:
    def steps(count: int) -> str:
        return "(core module $m)" + "(core instance (instantiate $m))" * count

    assert len(plan(steps(COMPONENT_STEP_COUNT_MAX)).steps) == COMPONENT_STEP_COUNT_MAX
    with pytest.raises(ComponentTooLarge, match="1000 core instances"):
        plan(steps(COMPONENT_STEP_COUNT_MAX + 1))


@pytest.mark.parametrize("made", ["canon lower (func $f)", "canon task.cancel"])
def test_trampoline_count(made: str) -> None:
    def trampolines(count: int) -> str:
        return '(import "f" (func $f))' + f"(core func ({made}))" * count

    assert len(plan(trampolines(COMPONENT_TRAMPOLINE_COUNT_MAX)).trampolines) == COMPONENT_TRAMPOLINE_COUNT_MAX
    with pytest.raises(ComponentTooLarge, match="10000 times"):
        plan(trampolines(COMPONENT_TRAMPOLINE_COUNT_MAX + 1))


def test_depth_of_instances_beside_each_other() -> None:
    """Components that do not stand inside each other nest when they are instantiated."""

    def chain(depth: int) -> str:
        text = "(component $c1)"
        for level in range(2, depth + 1):
            inner = f"(alias outer 1 $c{level - 1} (component $c))"
            text += f"(component $c{level} {inner} (instance (instantiate $c)))"
        return f"{text} (instance (instantiate $c{depth}))"

    assert plan(chain(COMPONENT_DEPTH_MAX - 1)).instance_count == COMPONENT_DEPTH_MAX
    with pytest.raises(ComponentTooLarge, match="nest"):
        plan(chain(COMPONENT_DEPTH_MAX))


def test_definitions_that_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.wasm.plan.elaborate.COMPONENT_ELABORATION_COUNT_MAX", 10)
    text = "(component $c (type u8) (type u8) (type u8)) (instance (instantiate $c))"
    assert plan(text + " (instance (instantiate $c))" + "(type u8)").instance_count == 3
    with pytest.raises(ComponentTooLarge, match="more than 10 definitions"):
        plan(text + " (instance (instantiate $c))" + "(type u8)" * 2)


@pytest.mark.parametrize(
    "more",
    [
        '(instance (export "x" (type $t)))',
        '(core instance (export "x" (func $f)))',
        '(import "j" (instance (type $i)))',
    ],
)
def test_what_counts_beside_definitions(monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    text = "(type $t (tuple u8 u8)) (type $i (instance (type u8))) (core func $f (canon task.cancel))"
    monkeypatch.setattr("edged.wasm.plan.elaborate.COMPONENT_ELABORATION_COUNT_MAX", 8)
    plan(text + more)
    monkeypatch.setattr("edged.wasm.plan.elaborate.COMPONENT_ELABORATION_COUNT_MAX", 7)
    with pytest.raises(ComponentTooLarge):
        plan(text + more)


def _times(count: int, text: str) -> str:
    """The text so often, with numbers in place of `#`."""
    return "".join(text.replace("#", str(number)) for number in range(count))


_WIDE = f"(tuple {'u8 ' * 9_000})"
_CORE = '(core module $m (memory (export "m") 1) (func (export "f"))) (core instance $i (instantiate $m))'
WRITTEN_ONCE = {
    "types of a component that is instantiated often": (
        f"(component $c (type {_WIDE}))" + _times(100, "(instance (instantiate $c))"),
        "instantiates",
    ),
    "types of an interface that is imported often": (
        f"(type $i (instance (type {_WIDE})))" + _times(100, '(import "i#" (instance (type $i)))'),
        "instantiates",
    ),
    "functions of an interface that is exported often": (
        f'{_CORE} (func $f (canon lift (core func $i "f")))'
        + "(instance $x "
        + _times(2_000, '(export "f#" (func $f))')
        + ")"
        + _times(100, '(export "i#" (instance $x))'),
        "instantiates",
    ),
    "imports of a module that is instantiated often": (
        f"{_CORE} (core module $n "
        + _times(2_000, '(import "x" "f" (func))')
        + ")"
        + _times(100, '(core instance (instantiate $n (with "x" (instance $i))))'),
        "instantiates",
    ),
    "types of a function that is lowered often": (
        f'{_CORE} (alias core export $i "m" (core memory)) (type $w {_WIDE}) (type $t (list $w))'
        + '(import "f" (func $f (param "a" $t)))'
        + _times(25, "(core func (canon lower (func $f) (memory 0)))"),
        "written out",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRITTEN_ONCE.values(), ids=list(WRITTEN_ONCE))
def test_what_is_written_once_and_takes_time_often(text: str, message: str) -> None:
    with pytest.raises(ComponentTooLarge, match=message):
        plan(text)


def test_names_in_messages_are_cut() -> None:
    with pytest.raises(ComponentUnsupported) as caught:
        plan(f'(import "{"x" * 10_000}" (component))')
    assert len(caught.value.message) < 400


def _types_that_double(depth: int) -> str:
    text = "(type $t0 u8)"
    for level in range(1, depth + 1):
        text += f"(type $t{level} (tuple $t{level - 1} $t{level - 1}))"
    return text


def test_types_that_double() -> None:
    """2 ** (n + 1) - 1 types, written out."""
    plan(_types_that_double(12))
    for depth in (13, 30, 1_000):
        with pytest.raises(ComponentTooLarge, match="parts"):
            plan(_types_that_double(depth))


def test_type_node_count() -> None:
    def record(fields: int) -> str:
        return f"(type (tuple {'u8 ' * fields}))"

    plan(record(COMPONENT_TYPE_NODE_COUNT_MAX - 1))
    with pytest.raises(ComponentTooLarge, match=f"{COMPONENT_TYPE_NODE_COUNT_MAX + 1} parts"):
        plan(record(COMPONENT_TYPE_NODE_COUNT_MAX))


def test_type_depth() -> None:
    def nested(depth: int) -> str:
        return "(type $t1 u8)" + "".join(f"(type $t{n} (option $t{n - 1}))" for n in range(2, depth + 1))

    plan(nested(COMPONENT_TYPE_DEPTH_MAX))
    with pytest.raises(ComponentTooLarge, match=f"{COMPONENT_TYPE_DEPTH_MAX + 1} deep"):
        plan(nested(COMPONENT_TYPE_DEPTH_MAX + 1))


@pytest.mark.parametrize("kind", ["list", "stream", "future"])
def test_type_depth_counts_what_is_elsewhere_in_memory(kind: str) -> None:
    text = "(type $t1 u8)" + "".join(f"(type $t{n} ({kind} $t{n - 1}))" for n in range(2, COMPONENT_TYPE_DEPTH_MAX + 2))
    with pytest.raises(ComponentTooLarge, match="deep"):
        plan(text)


def test_type_bytes() -> None:
    plan(f"(type (list u8 {COMPONENT_TYPE_BYTES_MAX}))")
    with pytest.raises(ComponentTooLarge, match=f"of {COMPONENT_TYPE_BYTES_MAX + 1} bytes"):
        plan(f"(type (list u8 {COMPONENT_TYPE_BYTES_MAX + 1}))")
    with pytest.raises(ComponentTooLarge, match="bytes"):
        plan("(type $a (list u64 4294967295)) (type (list $a 4294967295))")


def test_type_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '(type $t (tuple u8 u8)) (import "f" (func $f (param "a" $t) (param "b" u8)))'
    lower = "(core func (canon lower (func $f)))"
    monkeypatch.setattr("edged.wasm.plan.resolve.COMPONENT_TYPE_USE_COUNT_MAX", 15)
    assert len(plan(text + lower * 2).trampolines) == 2
    with pytest.raises(ComponentTooLarge, match="more than 15 parts"):
        plan(text + lower * 3)


def test_trampolines_that_are_lifted_and_lowered_again() -> None:
    def chain(depth: int) -> str:
        text = '(import "f" (func $f0)) (core func $c1 (canon lower (func $f0)))'
        for level in range(2, depth + 1):
            text += f"(func $f{level} (canon lift (core func $c{level - 1})))"
            text += f"(core func $c{level} (canon lower (func $f{level})))"
        return text

    assert len(plan(chain(COMPONENT_TRAMPOLINE_DEPTH_MAX)).trampolines) == COMPONENT_TRAMPOLINE_DEPTH_MAX
    with pytest.raises(ComponentTooLarge, match=re.escape("lifts and lowers")):
        plan(chain(COMPONENT_TRAMPOLINE_DEPTH_MAX + 1))
