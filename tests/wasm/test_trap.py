"""What wasmtime says when it refuses to compile something."""

from __future__ import annotations

import pytest
import wasmtime
from wasmtime import component

from edged.wasm.engine import Engine
from edged.wasm.trap import lacks_feature, reason


def refusal(text: str) -> str:
    data = bytes(wasmtime.wat2wasm(text))
    compile_it = component.Component if text.startswith("(component") else wasmtime.Module
    with pytest.raises(wasmtime.WasmtimeError) as refused:
        compile_it(Engine().wasmtime, data)
    return reason(str(refused.value))


FEATURES = {
    "asynchronous function": '(component (import "f" (func async)))',
    "asynchronous lift": '(component (core module $m (func (export "f"))) (core instance $m (instantiate $m))'
    ' (func (export "f") (canon lift (core func $m "f") async)))',
    "stream": "(component (type (stream u8)))",
    "built-in": "(component (core func (canon backpressure.inc)))",
    "map": "(component (type (map string u32)))",
    "fixed length": "(component (type (list u8 4)))",
    "error context": "(component (core func (canon error-context.drop)))",
    "thread": "(component (core func (canon thread.index)))",
    "shared thread": "(component (core type $f (func (param i32))) (core func (canon thread.spawn-ref $f)))",
    "value": '(component (import "v" (value u32)))',
    "implements": '(component (import "a" (implements "b:c/d") (instance)))',
    "shared memory": "(module (memory 1 1 shared))",
    "page size": "(module (memory 1 (pagesize 1)))",
    "stack switching": "(module (type $f (func)) (type $c (cont $f)))",
}

FAULTS = {
    "unknown type": "(component (core func (canon resource.drop 0)))",
    "missing import": '(component (core module $m (import "a" "f" (func))) (core instance (instantiate $m)))',
    "name": '(component (import "WASI:http" (func)))',
    "body": "(module (func (result i32)))",
    "two exports": '(module (func $f (export "f")) (export "f" (func $f)))',
    "start": "(module (func $f (param i32)) (start $f))",
    "name that says so": '(component (import "not-enabled" (func)) (import "not-enabled" (func)))',
}


@pytest.mark.parametrize("case", FEATURES)
def test_a_feature_that_is_not_on(case: str) -> None:
    said = refusal(FEATURES[case])
    assert lacks_feature(said), said


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault(case: str) -> None:
    said = refusal(FAULTS[case])
    assert said
    assert "\n" not in said
    assert not lacks_feature(said), said


def test_why_comes_without_that_it_was_refused() -> None:
    said = refusal(FEATURES["error context"])
    assert said.startswith("`error-context.drop` requires")
    assert reason("failed to parse WebAssembly module") == "failed to parse WebAssembly module"
