from __future__ import annotations

import pytest
import wasmtime

from edged.errors import ComponentInvalid, ComponentUnsupported
from edged.limits import CORE_ITEM_COUNT_MAX
from edged.wasm.plan.module import (
    CODE,
    EXPORTS,
    FUNCTIONS,
    GLOBALS,
    IMPORTS,
    MEMORIES,
    REFERENCE,
    TABLES,
    TAGS,
    TYPES,
    VECTOR,
    CoreGlobal,
    CoreImport,
    CoreLimits,
    CoreMemory,
    CoreTable,
    CoreTag,
    module_types,
)
from edged.wasm.plan.plan import CoreSignature
from edged.wasm.plan.reader import COMPONENT_PREAMBLE, MODULE_PREAMBLE
from edged.wasm.plan.rewriting import leb
from edged.wasm.plan.skeleton import core_modules
from tests.wasm.plan.fuzz_skeleton import CORPUS


def of(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def module(*sections: tuple[int, bytes]) -> bytes:
    return MODULE_PREAMBLE + b"".join(bytes((number,)) + leb(len(content)) + content for number, content in sections)


def test_every_kind_of_import() -> None:
    types = module_types(
        of("""(module
            (import "a" "f" (func (param i32 i64 f32 f64 v128 externref) (result f64 i32)))
            (import "a" "t" (table 1 2 funcref))
            (import "" "m" (memory 3))
            (import "a" "" (global (mut f32)))
            (import "ä" "tag" (tag (param i64))))""")
    )
    assert types.imports == (
        CoreImport("a", "f", "func", CoreSignature("iIfF" + VECTOR + REFERENCE, "Fi")),
        CoreImport("a", "t", "table", CoreTable(CoreLimits(1, 2))),
        CoreImport("", "m", "memory", CoreMemory(CoreLimits(3))),
        CoreImport("a", "", "global", CoreGlobal("f", mutable=True)),
        CoreImport("ä", "tag", "tag", CoreTag(CoreSignature("I", ""))),
    )
    assert types.exports == {}
    assert types.memories == ()
    assert types.tables == ()


def test_exports_are_of_what_is_imported_and_of_what_is_defined() -> None:
    types = module_types(
        of("""(module
            (import "a" "f" (func $f (param i32)))
            (import "a" "m" (memory 1))
            (import "a" "g" (global $g i32))
            (func $own (result i64) (i64.const 1))
            (memory 2 3)
            (table 4 externref)
            (global f64 (f64.const 1))
            (tag (param i32))
            (export "f" (func $f)) (export "own" (func $own)) (export "own too" (func $own))
            (export "m0" (memory 0)) (export "m1" (memory 1)) (export "t" (table 0))
            (export "g0" (global $g)) (export "g1" (global 1)) (export "tag" (tag 0)))""")
    )
    assert types.exports == {
        "f": ("func", CoreSignature("i", "")),
        "own": ("func", CoreSignature("", "I")),
        "own too": ("func", CoreSignature("", "I")),
        "m0": ("memory", CoreMemory(CoreLimits(1))),
        "m1": ("memory", CoreMemory(CoreLimits(2, 3))),
        "t": ("table", CoreTable(CoreLimits(4))),
        "g0": ("global", CoreGlobal("i", mutable=False)),
        "g1": ("global", CoreGlobal("F", mutable=False)),
        "tag": ("tag", CoreTag(CoreSignature("i", ""))),
    }
    assert types.memories == (CoreMemory(CoreLimits(2, 3)),)
    assert types.tables == (CoreTable(CoreLimits(4)),)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("(memory i64 1 2)", CoreLimits(1, 2, is_64=True)),
        ("(memory i64 0x1000000000000)", CoreLimits(1 << 48, is_64=True)),
        ("(memory 1 2 shared)", CoreLimits(1, 2, shared=True)),
        ("(memory 65536)", CoreLimits(65_536)),
        ("(memory 0)", CoreLimits(0)),
    ],
    ids=["64 bits", "64 bits large", "shared", "largest", "empty"],
)
def test_memories(text: str, limits: CoreLimits) -> None:
    assert module_types(of(f"(module {text})")).memories == (CoreMemory(limits),)


@pytest.mark.parametrize(
    "value",
    [
        "i32 (i32.const -1)",
        "i64 (i64.const 0x7fffffffffffffff)",
        "f32 (f32.const nan)",
        "f64 (f64.const -inf)",
        "v128 (v128.const i64x2 1 2)",
        "i32 (i32.mul (i32.add (global.get 0) (i32.const 1)) (i32.sub (i32.const 3) (i32.const 4)))",
        "i64 (i64.mul (i64.add (i64.const 2) (i64.const 1)) (i64.sub (i64.const 3) (i64.const 4)))",
        "funcref (ref.func 0)",
        "externref (ref.null extern)",
        "(ref null $pair) (ref.null $pair)",
        "(ref $pair) (struct.new $pair (i32.const 1) (i32.const 2))",
        "(ref $pair) (struct.new_default $pair)",
        "(ref $row) (array.new $row (i64.const 1) (i32.const 3))",
        "(ref $row) (array.new_default $row (i32.const 3))",
        "(ref $row) (array.new_fixed $row 2 (i64.const 1) (i64.const 2))",
        "(ref i31) (ref.i31 (i32.const 1))",
        "externref (extern.convert_any (ref.i31 (i32.const 1)))",
        "anyref (any.convert_extern (ref.null extern))",
    ],
    ids=[
        "i32.const",
        "i64.const",
        "f32.const",
        "f64.const",
        "v128.const",
        "i32 arithmetic",
        "i64 arithmetic",
        "ref.func",
        "ref.null",
        "ref.null of a type",
        "struct.new",
        "struct.new_default",
        "array.new",
        "array.new_default",
        "array.new_fixed",
        "ref.i31",
        "extern.convert_any",
        "any.convert_extern",
    ],
)
def test_what_globals_begin_with_is_passed_over(value: str) -> None:
    """The export behind it is read rightly only if each was."""
    data = of(f"""(module
        (type $pair (struct (field (mut i32)) (field i8)))
        (type $row (array (mut i64)))
        (import "a" "g" (global i32))
        (func (export "f"))
        (global {value})
        (global (export "last") (mut f32) (f32.const 1)))""")
    assert module_types(data).exports["last"] == ("global", CoreGlobal("f", mutable=True))


def test_tables_may_begin_with_a_value() -> None:
    data = of("""(module (type $f (func)) (func $f (type $f))
        (table 1 (ref $f) (ref.func $f)) (table (export "t") 2 3 funcref))""")
    assert module_types(data).exports["t"] == ("table", CoreTable(CoreLimits(2, 3)))


def test_types_of_groups_count_one_by_one() -> None:
    data = of("""(module
        (rec (type (struct)) (type (sub (array i8))) (type $f (func (param i32))))
        (type (sub final 1 (array i8)))
        (rec)
        (type $g (func (param f64)))
        (func (export "f") (type $f)) (func (export "g") (type $g)))""")
    exports = module_types(data).exports
    assert exports == {"f": ("func", CoreSignature("i", "")), "g": ("func", CoreSignature("F", ""))}


@pytest.mark.parametrize("count", [1, 127, 128, 129, 20_000])
def test_numbers_of_types_have_as_many_bytes_as_they_need(count: int) -> None:
    data = module(
        (TYPES, leb(count + 1) + b"\x60\0\0" * count + b"\x60\1\x7f\0"),
        (FUNCTIONS, leb(3) + b"\0" + leb(count) + b"\0"),
        (EXPORTS, b"\x02\x01a\0\x00\x01b\0\x01"),
    )
    exports = module_types(data).exports
    assert exports == {"a": ("func", CoreSignature("", "")), "b": ("func", CoreSignature("i", ""))}


LETTERS = {"i32": "i", "i64": "I", "f32": "f", "f64": "F"}


def letters(types: list[wasmtime.ValType]) -> str:
    return "".join(LETTERS[str(ty)] for ty in types)


@pytest.mark.parametrize("name", ["guest", "async"])
def test_wasmtime_reads_the_same(name: str) -> None:
    """But of parts.wat: the C API ends the process when it is asked about v128 or a typed reference."""
    engine = wasmtime.Engine()
    for start, end in core_modules(CORPUS[name]):
        compiled = wasmtime.Module(engine, CORPUS[name][start:end])
        types = module_types(CORPUS[name], start, end)
        assert [(item.module, item.name) for item in types.imports] == [
            (item.module, item.name) for item in compiled.imports
        ]
        assert list(types.exports) == [item.name for item in compiled.exports]
        for item in compiled.exports:
            kind, ty = types.exports[item.name]
            if isinstance(item.type, wasmtime.FuncType):
                assert (kind, ty) == ("func", CoreSignature(letters(item.type.params), letters(item.type.results)))
            if isinstance(item.type, wasmtime.MemoryType):
                assert (kind, ty) == ("memory", CoreMemory(CoreLimits(item.type.limits.min, item.type.limits.max)))


FUNCTION_TYPE = (TYPES, b"\x01\x60\0\0")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (COMPONENT_PREAMBLE, "a component where a core module"),
        (b"\0asm\x02\0\0\0", "version"),
        (module((TYPES, b"\x01\x60\0\0\0")), "longer than what it holds"),
        (module((TYPES, b"\x02\x60\0\0")), "end early|not as many bytes"),
        (module(FUNCTION_TYPE, (FUNCTIONS, b"\x01\0\0")), "1 functions, and types of 2"),
        (module(FUNCTION_TYPE, (FUNCTIONS, b"\x02\0\x80")), "end early"),
        (module(FUNCTION_TYPE, (FUNCTIONS, b"\x01\x81\x80\x80\x80\x80\x00")), "too many bytes"),
        (module(FUNCTION_TYPE, (EXPORTS, b"\x01\x01f\0\0")), "func 0 of 0"),
        (module((EXPORTS, b"\x01\x01m\x02\x01")), "memory 1 of 0"),
        (module((IMPORTS, b"\x01\0\0\0\0")), "not that of a function"),
        (module((TYPES, b"\x01\x5f\0"), (IMPORTS, b"\x01\0\0\0\0")), "not that of a function"),
        (module((TABLES, b"\x01\x7f\0\1")), "not a reference"),
        (module((TABLES, b"\x01\x40\1\x70\0\1")), "unknown form"),
        (module((TAGS, b"\x01\1\0")), "unknown form"),
        (module((IMPORTS, b"\x01\1\xff\0\0\0")), "not UTF-8"),
        (module((GLOBALS, b"\x01\x7f\0\x41\0")), "end early"),
    ],
    ids=[
        "component",
        "version",
        "more bytes than types",
        "fewer types",
        "more types of functions",
        "half a number",
        "endless number",
        "export of no function",
        "export of no memory",
        "import of no type",
        "import of a struct",
        "table of numbers",
        "table of unknown form",
        "tag of unknown form",
        "name",
        "endless expression",
    ],
)
def test_what_is_malformed_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ComponentInvalid, match=message):
        module_types(data)


@pytest.mark.parametrize(
    "section",
    [
        (TYPES, b"\x01\x5d\0"),
        (TYPES, b"\x01\x60\1\x65\0"),
        (IMPORTS, b"\x01\0\0\x20\0"),
        (IMPORTS, b"\x01\1a\0\x7f\0"),
        (EXPORTS, b"\x01\0\5\0"),
        (MEMORIES, b"\x01\x08\1\0"),
        (GLOBALS, b"\x01\x7f\2\x41\0\x0b"),
        (GLOBALS, b"\x01\x7f\0\x10\0\x0b"),
        (GLOBALS, b"\x01\x7f\0\xfb\2\x0b"),
    ],
    ids=[
        "continuation",
        "shared value",
        "kind of import",
        "compact imports",
        "kind of export",
        "page size",
        "shared global",
        "call in a constant",
        "struct.get in a constant",
    ],
)
def test_proposals_that_the_engine_does_not_have_are_refused(section: tuple[int, bytes]) -> None:
    with pytest.raises(ComponentUnsupported, match="which edged does not know"):
        module_types(module(section))


def test_functions_and_data_are_not_looked_at() -> None:
    assert module_types(module((CODE, b"\xff\xff"), (0, b""))).exports == {}


def test_count_limit() -> None:
    most = module(FUNCTION_TYPE, (FUNCTIONS, leb(CORE_ITEM_COUNT_MAX) + bytes(CORE_ITEM_COUNT_MAX)))
    assert module_types(most).exports == {}
    with pytest.raises(ComponentInvalid, match=f"{CORE_ITEM_COUNT_MAX} are the most"):
        module_types(module(FUNCTION_TYPE, (FUNCTIONS, leb(CORE_ITEM_COUNT_MAX + 1) + bytes(CORE_ITEM_COUNT_MAX + 1))))
