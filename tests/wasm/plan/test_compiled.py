from __future__ import annotations

import dataclasses

import pytest
import wasmtime
from wasmtime import component

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import COMPONENT_SKELETON_BYTES_MAX
from edged.wasm.engine import Engine
from edged.wasm.plan.artefact import PlanArtefact, read_artefact, write_artefact
from edged.wasm.plan.compiled import HOST, compile_in_process, import_names, step_name, take_apart, wiring
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.plan.plan import CoreExport, Plan, Trampoline
from edged.wasm.plan.skeleton import skeleton
from tests.wasm.plan.fuzz_skeleton import CORPUS


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def of(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def names(module: wasmtime.Module) -> list[tuple[str, str | None]]:
    return [(item.module, item.name) for item in module.imports]


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_each_step_has_a_module_that_says_what_it_is_given(engine: Engine, name: str) -> None:
    compiled = compile_in_process(engine, CORPUS[name])
    assert len(compiled.modules) == len(compiled.plan.steps)
    for module, step in zip(compiled.modules, compiled.plan.steps, strict=True):
        assert names(module) == [
            (HOST, str(source.index)) if isinstance(source, Trampoline) else (f"s{source.step}", source.name)
            for source in step.imports
        ]


def exports(plan: Plan, modules: tuple[wasmtime.Module, ...]) -> list[list[str]]:
    assert len(plan.steps) == len(modules)
    return [[item.name for item in module.exports] for module in modules]


def test_what_is_exported_is_what_the_plan_uses(engine: Engine) -> None:
    """Of async.wat: memories as options, a lifted function, its callback; `unused` goes."""
    compiled = compile_in_process(engine, CORPUS["async"])
    assert exports(compiled.plan, compiled.modules) == [["memory"], ["memory"], ["run", "callback"]]


@pytest.mark.parametrize(
    ("use", "kept"),
    [
        ("", []),
        (
            '(func $f (param "s" string) (canon lift (core func $m "text") (memory $memory) (realloc $realloc)))',
            ["memory", "realloc", "text"],
        ),
        (
            '(func $f (result string) (canon lift (core func $m "result") (memory $memory)'
            ' (post-return (core func $m "post"))))',
            ["memory", "post", "result"],
        ),
        ('(type (resource (rep i32) (dtor (core func $m "destructor"))))', ["destructor"]),
        ("(core func (canon waitable-set.wait (memory $memory)))", ["memory"]),
    ],
    ids=["nothing", "realloc", "post-return", "destructor", "memory of a built-in"],
)
def test_every_option_keeps_its_export(engine: Engine, use: str, kept: list[str]) -> None:
    data = of(f"""(component
        (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "text") (param i32 i32))
            (func (export "result") (result i32) (i32.const 0))
            (func (export "post") (param i32))
            (func (export "destructor") (param i32))
            (func (export "unused")))
        (core instance $m (instantiate $m))
        (alias core export $m "memory" (core memory $memory))
        (alias core export $m "realloc" (core func $realloc))
        {use}
        {'(export "f" (func $f))' if "$f" in use else ""})""")
    compiled = compile_in_process(engine, data)
    ((*found,),) = exports(compiled.plan, compiled.modules)
    assert sorted(found) == kept


def test_steps_that_come_to_the_same_share_a_module(engine: Engine) -> None:
    first, second, third = compile_in_process(engine, CORPUS["async"]).modules
    assert first is second
    assert first is not third


def test_one_module_with_two_kinds_of_imports_is_two(engine: Engine) -> None:
    data = of("""(component
        (core module $a (func (export "f") (result i32) (i32.const 1)))
        (core module $b (func (export "f") (result i32) (i32.const 2)))
        (core module $m (import "x" "f" (func $f (result i32))) (func (export "g") (result i32) (call $f)))
        (core instance $a (instantiate $a))
        (core instance $b (instantiate $b))
        (core instance $m1 (instantiate $m (with "x" (instance $a))))
        (core instance $m2 (instantiate $m (with "x" (instance $b))))
        (func (export "g1") (result u32) (canon lift (core func $m1 "g")))
        (func (export "g2") (result u32) (canon lift (core func $m2 "g"))))""")
    compiled = compile_in_process(engine, data)
    assert [names(module) for module in compiled.modules] == [[], [], [("s0", "f")], [("s1", "f")]]
    assert run(engine, compiled.modules, [("g", 2), ("g", 3)]) == [1, 2]


def run(engine: Engine, modules: tuple[wasmtime.Module, ...], calls: list[tuple[str, int]]) -> list[object]:
    """Instantiate the modules by nothing but their names, and call exports of some."""
    store = wasmtime.Store(engine.wasmtime)
    store.set_epoch_deadline(1)
    linker = wasmtime.Linker(engine.wasmtime)
    instances = []
    for step, module in enumerate(modules):
        instances.append(linker.instantiate(store, module))
        linker.define_instance(store, step_name(step), instances[-1])
    answers: list[object] = []
    for name, step in calls:
        function = instances[step].exports(store)[name]
        assert isinstance(function, wasmtime.Func)
        answers.append(function(store))
    return answers


def test_components_inside_of_components_run(engine: Engine) -> None:
    """parts.wat: modules of all kinds, one of them given to a nested component."""
    compiled = compile_in_process(engine, CORPUS["parts"])
    lifted = compiled.plan.functions["g"].core
    assert isinstance(lifted, CoreExport)
    assert run(engine, compiled.modules, [(lifted.name, lifted.step)]) == [2.0]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("(component (core func (canon error-context.drop)))", ComponentUnsupported, "error-context"),
        (
            "(component (core module (func (result i32))))",
            ComponentInvalid,
            "a core module of the component .*type mismatch",
        ),
        (
            "(component (core module $m (func (result i32))) (core instance (instantiate $m)))",
            ComponentInvalid,
            "a core module of the component .*type mismatch",
        ),
        ("(component (core func (canon resource.drop 3)))", ComponentInvalid, "unknown type 3"),
        ("(module)", ComponentInvalid, "a core module where a component has to be"),
    ],
    ids=["feature", "unused module", "module", "component", "no component"],
)
def test_what_is_not_valid_is_refused(engine: Engine, text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compile_in_process(engine, of(text))


@pytest.mark.parametrize(
    "of_module",
    ["(type (struct (field i32)))", "(type (array i8))", "(func (param anyref))", "(tag (param i32))"],
    ids=["structs", "arrays", "references", "exceptions"],
)
def test_objects_that_wasmtime_collects_are_refused(engine: Engine, of_module: str) -> None:
    """It would collect what a fiber that waits still uses. The C API, which has one fiber a store, may have them."""
    text = f"(component (core module {of_module}))"
    component.Component(engine.wasmtime, of(text))
    with pytest.raises(ComponentUnsupported, match=r"gc|exceptions"):
        compile_in_process(engine, of(text))


def with_skeleton_of(size: int) -> bytes:
    """A valid component, with long names of functions that its core module exports."""

    def of_names(lengths: list[int]) -> bytes:
        names = (str(number).zfill(length) for number, length in enumerate(lengths))
        exported = "".join(f'(export "{name}" (func $f))' for name in names)
        return of(f"(component (core module (func $f) {exported}))")

    lengths = [92_000] * (size // 92_000) + [50_000]
    lengths[-1] += (size - len(skeleton(of_names(lengths)))) // 2
    lengths[-2] += size - len(skeleton(of_names(lengths)))
    return of_names(lengths)


def test_size_limit_of_what_is_read_at_each_load() -> None:
    largest = with_skeleton_of(COMPONENT_SKELETON_BYTES_MAX)
    assert len(skeleton(largest)) == COMPONENT_SKELETON_BYTES_MAX
    assert take_apart(largest).plan.steps == ()
    over = with_skeleton_of(COMPONENT_SKELETON_BYTES_MAX + 1)
    assert len(skeleton(over)) == COMPONENT_SKELETON_BYTES_MAX + 1
    with pytest.raises(ComponentTooLarge, match=r"4\.0 MiB of types.* may have 4 MiB"):
        take_apart(over)


def test_the_plan_of_the_skeleton_is_that_of_the_whole() -> None:
    for data in CORPUS.values():
        assert take_apart(data).plan == build_plan(data)


def test_wiring_is_of_names_exports_and_trampolines() -> None:
    plan = take_apart(CORPUS["async"]).plan
    same = take_apart(CORPUS["async"]).plan
    assert wiring(plan) == wiring(same)
    first, second = plan.trampolines
    others = [
        dataclasses.replace(plan, steps=plan.steps[:-1], exports={}),
        dataclasses.replace(plan, exports={}),
        dataclasses.replace(plan, trampolines=(second, first)),
        dataclasses.replace(plan, trampolines=(first, dataclasses.replace(second, signature=first.signature))),
    ]
    assert len({wiring(plan), *map(wiring, others)}) == 1 + len(others)


def test_names_of_imports() -> None:
    last = take_apart(CORPUS["async"]).plan.steps[-1]
    assert import_names(last) == [("h", "0"), ("h", "1")]


def test_an_artefact_is_what_was_written() -> None:
    artefact = PlanArtefact(b"skeleton", "wiring", ("a", "b", "a"))
    assert read_artefact(write_artefact(artefact)) == artefact


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93", b"\x05", b"\x94\x02\xc4\0\xa0\x90", b"\x93\x01\xc4\0\xa0"])
def test_what_is_no_artefact_is_none(data: bytes) -> None:
    assert read_artefact(data) is None
