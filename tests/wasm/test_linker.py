"""Which Python function an imported name leads to. That those are called is shown in test_instance.py."""

from __future__ import annotations

import pytest
from wasmtime import component

from edged.errors import ComponentTooLarge
from edged.limits import INTERFACE_ITEM_COUNT_MAX, INTERFACE_TYPE_COUNT_MAX
from edged.wasm.engine import Engine
from edged.wasm.linker import Program
from tests.wasm.hosts import Api


def refused(engine: Engine, *functions: str) -> list[str]:
    exports = "".join(f"(export {function})" for function in functions)
    text = f"""(component (import "test:host/api@0.2.0" (instance
      (export "thing" (type $thing (sub resource))) {exports})))"""
    return Program(engine, component.Component(engine.wasmtime, text), [Api()]).refusals


def test_what_the_interface_has_is_bound(engine: Engine) -> None:
    assert not refused(
        engine,
        '"[method]thing.number" (func (param "self" (borrow $thing)) (result u32))',
        '"note" (func (param "n" u32))',
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("[method]thing.absent", "there is none"),
        ("[method]thing.drop", "the engine's own: the guest would keep a handle of what is closed"),
        ("[method]thing.mro", "of every Python class"),
        ("absent", "there is none"),
        ("wit", "not a function"),
        ("resources", "not a function"),
    ],
)
def test_what_it_has_not_is_refused(engine: Engine, name: str, why: str) -> None:
    this = '(param "self" (borrow $thing))' if name.startswith("[method]") else ""
    assert refused(engine, f'"{name}" (func {this})') == [f"test:host/api@0.2.0#{name}"]


def link(engine: Engine, items: str) -> Program:
    text = f'(component (import "test:host/api@0.2.0" (instance {items})))'
    return Program(engine, component.Component(engine.wasmtime, text), [Api()])


def functions(count: int) -> str:
    return " ".join(f'(export "f{number}" (func))' for number in range(count))


def test_an_interface_has_so_many_functions(engine: Engine) -> None:
    assert len(link(engine, functions(INTERFACE_ITEM_COUNT_MAX)).refusals) == INTERFACE_ITEM_COUNT_MAX
    with pytest.raises(ComponentTooLarge, match=f"{INTERFACE_ITEM_COUNT_MAX} functions and types in one place"):
        link(engine, functions(INTERFACE_ITEM_COUNT_MAX + 1))


def test_a_component_has_so_many_imports(engine: Engine) -> None:
    def imports(count: int) -> component.Component:
        names = (f'(import "test:host/i{number}" (instance))' for number in range(count))
        return component.Component(engine.wasmtime, f"(component {' '.join(names)})")

    assert len(Program(engine, imports(INTERFACE_ITEM_COUNT_MAX), []).type.imports) == INTERFACE_ITEM_COUNT_MAX
    with pytest.raises(ComponentTooLarge, match=f"{INTERFACE_ITEM_COUNT_MAX} imports in one place"):
        Program(engine, imports(INTERFACE_ITEM_COUNT_MAX + 1), [])


def test_types_are_bounded_as_they_are_written_out(engine: Engine) -> None:
    """A type of a type of a type, each a pair: a few lines of text are a million types."""
    names = "".join(f"(type $t{depth} (tuple $t{depth - 1} $t{depth - 1}))" for depth in range(1, 18))
    with pytest.raises(ComponentTooLarge, match=f"{INTERFACE_TYPE_COUNT_MAX} functions, parameters and types"):
        link(engine, f'(type $t0 (tuple u8)) {names} (export "f" (func (param "a" $t17)))')


@pytest.mark.parametrize("kind", ["enum", "variant"])
def test_names_are_counted_too(engine: Engine, kind: str) -> None:
    def naming(count: int) -> str:
        cases = " ".join(f'"c{number}"' if kind == "enum" else f'(case "c{number}")' for number in range(count))
        return f"""(type $l ({kind} {cases})) (export "l" (type $named (eq $l)))
          (export "f" (func (param "a" $named) (param "b" $named)))"""

    besides = 2 + 2  # what the interface lists, and the types of the two parameters
    link(engine, naming((INTERFACE_TYPE_COUNT_MAX - besides) // 2))
    with pytest.raises(ComponentTooLarge):
        link(engine, naming((INTERFACE_TYPE_COUNT_MAX - besides) // 2 + 1))
