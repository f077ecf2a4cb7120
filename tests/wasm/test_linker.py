"""Which Python function an imported name leads to. That those are called is shown in test_instance.py."""

from __future__ import annotations

import pytest
from wasmtime import component

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
