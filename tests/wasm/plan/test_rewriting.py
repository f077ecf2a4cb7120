from __future__ import annotations

import pytest
import wasmtime

from edged.errors import ComponentInvalid
from edged.wasm.plan.module import module_types
from edged.wasm.plan.rewriting import leb, rewrite


def of(text: str) -> memoryview:
    return memoryview(bytes(wasmtime.wat2wasm(text)))


def run(data: bytes, imports: list[wasmtime.Func], function: str = "run") -> object:
    store = wasmtime.Store()
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, data), imports)
    called = instance.exports(store)[function]
    assert isinstance(called, wasmtime.Func)
    return called(store)


TWO_IMPORTS = """(module
    (import "a" "f" (func $f (result i32))) (import "a" "f" (func $g (result i32)))
    (memory (export "memory") 1)
    (func (export "run") (result i32) (i32.add (i32.mul (call $f) (i32.const 10)) (call $g)))
    (func (export "other") (result i32) (i32.const 7)))"""


def test_imports_get_their_names_in_order() -> None:
    """Even where the module had one name for two: what they are given may differ."""
    data = rewrite(of(TWO_IMPORTS), [("s0", "f"), ("h", "12")], {"run", "other", "memory"})
    before, after = module_types(of(TWO_IMPORTS)), module_types(data)
    assert [(item.module, item.name) for item in after.imports] == [("s0", "f"), ("h", "12")]
    assert [item.type for item in after.imports] == [item.type for item in before.imports]
    assert after.exports == before.exports


def test_exports_that_are_not_kept_go() -> None:
    data = rewrite(of(TWO_IMPORTS), [("s0", "f"), ("h", "12")], {"run"})
    assert list(module_types(data).exports) == ["run"]


@pytest.mark.parametrize("keep", [set(), {"run"}, {"run", "other", "memory"}], ids=["none", "one", "all"])
def test_what_is_left_is_valid(keep: set[str]) -> None:
    data = rewrite(of(TWO_IMPORTS), [("s0", "f"), ("h", "12")], keep)
    wasmtime.Module.validate(wasmtime.Engine(), data)


def test_functions_are_what_they_were() -> None:
    text = """(module (func (export "unused")) (func $seven (export "seven") (result i32) (i32.const 7))
        (table 1 funcref) (elem (i32.const 0) $seven)
        (func (export "run") (result i32) (call_indirect (result i32) (i32.const 0))))"""
    assert run(rewrite(of(text), [], {"run"}), []) == 7


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "(table 1 funcref) (elem (i32.const 0) $run)",
        '(memory 1) (data $d "x") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))',
        '(memory 1) (data $d "x") (func (data.drop $d)) (elem $e func $run) (func (elem.drop $e))',
        "(start $nothing)",
    ],
    ids=["neither", "elements", "data", "elements and data", "start"],
)
def test_a_function_declared_by_an_export_that_goes_stays_declared(rest: str) -> None:
    """`ref.func` is valid only of a function that something besides code names."""
    text = f"""(module (func $nothing (export "declared")) (func $too (export "declared too"))
        (func $run (export "run") (result i32)
            (i32.add (ref.is_null (ref.func $nothing)) (ref.is_null (ref.func $too)))) {rest})"""
    assert run(rewrite(of(text), [], {"run"}), []) == 0


def test_a_module_without_functions_of_its_own() -> None:
    text = '(module (import "a" "f" (func $f)) (export "f" (func $f)) (export "g" (func $f)))'
    data = rewrite(of(text), [("h", "0")], {"g"})
    wasmtime.Module.validate(wasmtime.Engine(), data)
    assert list(module_types(data).exports) == ["g"]


def test_a_module_with_nothing() -> None:
    assert rewrite(of("(module)"), [], set()) == bytes(of("(module)"))


@pytest.mark.parametrize("names", [[("h", "0")], [("h", "0")] * 3], ids=["fewer", "more"])
def test_every_import_needs_a_name(names: list[tuple[str, str]]) -> None:
    with pytest.raises(ComponentInvalid, match=f"2 imports, of which {len(names)} are given"):
        rewrite(of(TWO_IMPORTS), names, set())


def valid(data: bytes | memoryview) -> bool:
    try:
        wasmtime.Module.validate(wasmtime.Engine(), bytes(data))
    except wasmtime.WasmtimeError:
        return False
    return True


@pytest.mark.parametrize("place", range(8, len(of(TWO_IMPORTS))))
def test_what_is_cut_off_is_refused_or_stays_invalid(place: int) -> None:
    data = of(TWO_IMPORTS)[:place]
    try:
        rewritten = rewrite(data, [("s0", "f"), ("h", "12")], {"run"})
    except ComponentInvalid:
        return
    assert valid(rewritten) == valid(data)


def test_a_name_for_no_import() -> None:
    with pytest.raises(ComponentInvalid, match="0 imports, of which 1 are given"):
        rewrite(of("(module)"), [("h", "0")], set())


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (2**32 - 1, "ffffffff0f")],
)
def test_numbers(number: int, encoded: str) -> None:
    assert leb(number).hex() == encoded
