"""A component's bytes as definitions: all that the text format has, and what is refused."""

from __future__ import annotations

import pytest
import wasmtime

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import COMPONENT_DEPTH_MAX, COMPONENT_ITEM_COUNT_MAX, FLAGS_COUNT_MAX
from edged.wasm.plan import definitions as d
from edged.wasm.plan.binary import parse
from edged.wasm.plan.reader import COMPONENT_PREAMBLE
from tests.wasm.plan.test_reader import leb
from tests.wasm.plan.text import binary


def definitions(text: str) -> tuple[d.Definition, ...]:
    return parse(binary(text)).definitions


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def component(*parts: bytes) -> bytes:
    return COMPONENT_PREAMBLE + b"".join(parts)


TYPES = {
    "(type bool)": d.PrimitiveType("BOOL"),
    "(type string)": d.PrimitiveType("STRING"),
    "(type error-context)": d.PrimitiveType(d.ERROR_CONTEXT),
    "(type (list u8))": d.ListType("U8", None),
    "(type (list u8 5))": d.ListType("U8", 5),
    "(type (map string u32))": d.MapType("STRING", "U32"),
    "(type (tuple s8 f64))": d.TupleType(("S8", "F64")),
    '(type (record (field "a" u16) (field "b" char)))': d.RecordType((("a", "U16"), ("b", "CHAR"))),
    '(type (variant (case "a") (case "b" s32)))': d.VariantType((("a", None), ("b", "S32"))),
    '(type (enum "a" "b"))': d.EnumType(("a", "b")),
    '(type (flags "a" "b"))': d.FlagsType(("a", "b")),
    "(type (option u64))": d.OptionType("U64"),
    "(type (result))": d.ResultType(None, None),
    "(type (result f32 (error s64)))": d.ResultType("F32", "S64"),
    "(type (result (error s16)))": d.ResultType(None, "S16"),
    "(type (stream))": d.StreamType(None),
    "(type (stream u8))": d.StreamType("U8"),
    "(type (future))": d.FutureType(None),
    "(type (future string))": d.FutureType("STRING"),
    "(type (resource (rep i32)))": d.ResourceDefinition(None),
    "(type (resource (rep i32) (dtor (core func 4))))": d.ResourceDefinition(4),
    "(type (func))": d.FunctionType((), None, is_async=False),
    '(type (func (param "a" u8) (result string)))': d.FunctionType((("a", "U8"),), "STRING", is_async=False),
    "(type (func async))": d.FunctionType((), None, is_async=True),
    "(core type (func (param i32 v128 funcref (ref null extern)) (result i64)))": d.CoreType("func"),
    '(core type (module (import "a" "b" (func)) (export "c" (memory 1 2)) (export "d" (global i32))))': d.CoreType(
        "module"
    ),
    '(core type (module (type (func)) (alias outer 1 0 (type)) (export "t" (table 1 funcref)) (export "e" (tag))))': (
        d.CoreType("module")
    ),
}


@pytest.mark.parametrize(("text", "expected"), TYPES.items(), ids=list(TYPES))
def test_types(text: str, expected: d.TypeDefinition) -> None:
    (found,) = definitions(text)
    assert found == expected
    assert type(found) is type(expected)


def test_types_name_others_by_their_index() -> None:
    first, second, third, _ = definitions(
        '(type $a (list u8)) (type $b (option $a)) (import "r" (type $r (sub resource))) (type (own $r))'
    )
    assert (first, second) == (d.ListType("U8", None), d.OptionType(0))
    assert third == d.Import("r", d.ExternType("type", None))
    assert definitions('(import "r" (type $r (sub resource))) (type (borrow $r))')[1] == d.HandleType(0, owned=False)


def test_types_of_instances_and_components() -> None:
    instance, *_ = definitions(
        """(type (instance
            (type u8) (core type (func)) (alias outer 1 0 (type)) (export "f" (func (type 1)))
            (export "r" (type (sub resource))) (export "s" (type (eq 2)))))"""
    )
    assert instance == d.InstanceTypeDefinition(
        (
            d.PrimitiveType("U8"),
            d.CoreType("func"),
            d.AliasOuter("type", 1, 0),
            d.ExportDeclaration("f", d.ExternType("func", 1)),
            d.ExportDeclaration("r", d.ExternType("type", None)),
            d.ExportDeclaration("s", d.ExternType("type", 2)),
        )
    )
    (nested,) = definitions(
        '(type (component (type (instance)) (import "i" (instance (type 0))) (alias export 0 "x" (type))))'
    )
    assert nested == d.ComponentTypeDefinition(
        (
            d.InstanceTypeDefinition(()),
            d.Import("i", d.ExternType("instance", 0)),
            d.AliasExport("type", 0, "x"),
        )
    )


NAMES = {
    '"a:b/c@1.2.3"': "a:b/c@1.2.3",
    '"a:b/c@1.2" (versionsuffix ".3")': "a:b/c@1.2",
    '"a" (implements "a:b/c@1.2.3")': "a",
    '"a" (external-id "x")': "a",
    '"a" (implements "a:b/c") (external-id "x")': "a",
}


@pytest.mark.parametrize(("written", "name"), NAMES.items(), ids=list(NAMES))
def test_names_of_imports_and_exports(written: str, name: str) -> None:
    declared, imported, exported = definitions(
        f"(type (instance)) (import {written} (instance (type 0))) (export {written} (instance 0))"
    )
    assert declared == d.InstanceTypeDefinition(())
    assert imported == d.Import(name, d.ExternType("instance", 0))
    assert exported == d.Export(name, ("instance", 0), None)


def test_modules_are_numbered_through_nested_components() -> None:
    data = binary("(core module) (component (core module) (component (core module))) (core module)")

    def modules(found: d.Component) -> list[d.CoreModule]:
        numbered: list[d.CoreModule] = []
        for definition in found.definitions:
            if isinstance(definition, d.CoreModule):
                numbered.append(definition)
            elif isinstance(definition, d.NestedComponent):
                numbered.extend(modules(definition.component))
        return numbered

    found = modules(parse(data))
    assert [module.number for module in found] == [0, 1, 2, 3]
    assert all(data[module.start : module.end] == b"\0asm\x01\0\0\0" for module in found)


def test_instances_and_aliases() -> None:
    found = definitions(
        """(core module) (core instance (instantiate 0)) (core instance (instantiate 0 (with "x" (instance 0))))
        (alias core export 0 "f" (core func)) (alias core export 0 "m" (core memory))
        (alias core export 0 "e" (core tag))
        (core instance (export "f" (func 0)) (export "m" (memory 0)))
        (component) (instance (instantiate 0))
        (instance (instantiate 0 (with "c" (component 0)) (with "m" (core module 0))))
        (instance (export "x" (instance 0))) (alias export 0 "t" (type)) (alias outer 0 0 (component))
        (export "x" (instance 0)) (type (instance)) (export "y" (instance 0) (instance (type 1)))"""
    )[1:]
    assert found == (
        d.CoreInstantiate(0, ()),
        d.CoreInstantiate(0, (("x", 0),)),
        d.AliasCoreExport("core func", 0, "f"),
        d.AliasCoreExport("core memory", 0, "m"),
        d.AliasCoreExport("core tag", 0, "e"),
        d.CoreInline((("f", ("core func", 0)), ("m", ("core memory", 0)))),
        d.NestedComponent(d.Component(())),
        d.Instantiate(0, ()),
        d.Instantiate(0, (("c", ("component", 0)), ("m", ("core module", 0)))),
        d.Inline((("x", ("instance", 0)),)),
        d.AliasExport("type", 0, "t"),
        d.AliasOuter("component", 0, 0),
        d.Export("x", ("instance", 0), None),
        d.InstanceTypeDefinition(()),
        d.Export("y", ("instance", 0), d.ExternType("instance", 1)),
    )


CANONS = {
    "(core func (canon resource.new 1))": d.CanonBuiltIn("resource.new", type=1),
    "(core func (canon resource.drop 1))": d.CanonBuiltIn("resource.drop", type=1),
    "(core func (canon resource.rep 1))": d.CanonBuiltIn("resource.rep", type=1),
    "(core func (canon task.return))": d.CanonBuiltIn("task.return", options=d.Options()),
    "(core func (canon task.return (result string) (memory 0)))": d.CanonBuiltIn(
        "task.return", result="STRING", options=d.Options(memory=0)
    ),
    "(core func (canon task.cancel))": d.CanonBuiltIn("task.cancel"),
    "(core func (canon subtask.cancel))": d.CanonBuiltIn("subtask.cancel"),
    "(core func (canon subtask.cancel async))": d.CanonBuiltIn("subtask.cancel", flag=True),
    "(core func (canon subtask.drop))": d.CanonBuiltIn("subtask.drop"),
    "(core func (canon context.get i32 0))": d.CanonBuiltIn("context.get"),
    "(core func (canon context.set i64 1))": d.CanonBuiltIn("context.set", slot=1, slot_kind="I"),
    "(core func (canon thread.yield))": d.CanonBuiltIn("thread.yield"),
    "(core func (canon backpressure.inc))": d.CanonBuiltIn("backpressure.inc"),
    "(core func (canon backpressure.dec))": d.CanonBuiltIn("backpressure.dec"),
    "(core func (canon stream.new 1))": d.CanonBuiltIn("stream.new", type=1),
    "(core func (canon stream.read 1 async (memory 0) (realloc 0)))": d.CanonBuiltIn(
        "stream.read", type=1, options=d.Options(memory=0, realloc=0, is_async=True)
    ),
    "(core func (canon stream.write 1 string-encoding=utf16 (memory 0)))": d.CanonBuiltIn(
        "stream.write", type=1, options=d.Options("utf16", memory=0)
    ),
    "(core func (canon stream.cancel-read 1 async))": d.CanonBuiltIn("stream.cancel-read", type=1, flag=True),
    "(core func (canon stream.cancel-write 1))": d.CanonBuiltIn("stream.cancel-write", type=1),
    "(core func (canon stream.drop-readable 1))": d.CanonBuiltIn("stream.drop-readable", type=1),
    "(core func (canon stream.drop-writable 1))": d.CanonBuiltIn("stream.drop-writable", type=1),
    "(core func (canon future.new 1))": d.CanonBuiltIn("future.new", type=1),
    "(core func (canon future.read 1))": d.CanonBuiltIn("future.read", type=1, options=d.Options()),
    "(core func (canon future.write 1 async))": d.CanonBuiltIn(
        "future.write", type=1, options=d.Options(is_async=True)
    ),
    "(core func (canon future.cancel-read 1))": d.CanonBuiltIn("future.cancel-read", type=1),
    "(core func (canon future.cancel-write 1 async))": d.CanonBuiltIn("future.cancel-write", type=1, flag=True),
    "(core func (canon future.drop-readable 1))": d.CanonBuiltIn("future.drop-readable", type=1),
    "(core func (canon future.drop-writable 1))": d.CanonBuiltIn("future.drop-writable", type=1),
    "(core func (canon waitable-set.new))": d.CanonBuiltIn("waitable-set.new"),
    "(core func (canon waitable-set.wait (memory 2)))": d.CanonBuiltIn("waitable-set.wait", memory=2),
    "(core func (canon waitable-set.poll (memory 2)))": d.CanonBuiltIn("waitable-set.poll", memory=2),
    "(core func (canon waitable-set.drop))": d.CanonBuiltIn("waitable-set.drop"),
    "(core func (canon waitable.join))": d.CanonBuiltIn("waitable.join"),
}


@pytest.mark.parametrize(("text", "expected"), CANONS.items(), ids=list(CANONS))
def test_built_ins(text: str, expected: d.CanonBuiltIn) -> None:
    assert definitions(text)[-1] == expected


def test_lifts_and_lowerings() -> None:
    found = definitions(
        """(type $t (func)) (func (type $t) (canon lift (core func 3) async (callback 4) (memory 0)))
        (func (type $t) (canon lift (core func 3) string-encoding=latin1+utf16 (post-return 5)))
        (core func (canon lower (func 0) (memory 0) (realloc 1)))"""
    )
    assert found[1:] == (
        d.CanonLift(3, d.Options(is_async=True, callback=4, memory=0), 0),
        d.CanonLift(3, d.Options("latin1+utf16", post_return=5), 0),
        d.CanonLower(0, d.Options(memory=0, realloc=1)),
    )


UNSUPPORTED = {
    "values": ('(import "v" (value u32))', "imports or exports a value"),
    "threads": ("(core func (canon thread.index))", "thread.index"),
    "suspend": ("(core func (canon thread.suspend))", "thread.suspend"),
    "error contexts": ("(core func (canon error-context.new))", "error-context.new"),
    "resources of 64 bits": ("(type (resource (rep i64)))", "not represented by an i32"),
    "structs": ("(core type (struct (field i32)))", "core type"),
    "structs in a module type": ("(core type (module (type (struct (field i32)))))", "core type.*in a module type"),
    "pages of another size": ('(core type (module (export "m" (memory 1 2 (pagesize 1)))))', "limits"),
    "recursive types": ("(core rec (type (struct (field i32))))", "core type"),
    "gc": (
        '(import "f" (func $f)) (core type $t (func)) (canon lower (func $f) (core-type $t) gc (core func))',
        "core-ty",
    ),
}


@pytest.mark.parametrize(("text", "message"), UNSUPPORTED.values(), ids=list(UNSUPPORTED))
def test_unsupported(text: str, message: str) -> None:
    with pytest.raises(ComponentUnsupported, match=message):
        definitions(text)


def test_start_functions_are_unsupported() -> None:
    with pytest.raises(ComponentUnsupported, match="start function"):
        parse(component(section(9, b"\x00\x00\x00")))


MALFORMED = {
    "unknown section": section(13, b""),
    "section with bytes left": section(7, b"\x01\x73\x00"),
    "section that ends early": section(7, b"\x02\x73"),
    "count beyond the bytes": section(7, leb(999_999) + b"\x73"),
    "unknown type": section(7, b"\x01\x4f"),
    "unknown value type": section(7, b"\x01\x70\x5f"),
    "type 0x62": section(7, b"\x01\x62\x73"),
    "record of nothing": section(7, b"\x01\x72\x00"),
    "variant of nothing": section(7, b"\x01\x71\x00"),
    "tuple of nothing": section(7, b"\x01\x6f\x00"),
    "flags of nothing": section(7, b"\x01\x6e\x00"),
    "enum of nothing": section(7, b"\x01\x6d\x00"),
    "list of length 0": section(7, b"\x01\x67\x73\x00"),
    "case with a refinement": section(7, b"\x01\x71\x01\x01a\x00\x01\x00"),
    "option flag": section(7, b"\x01\x6a\x02\x73\x00"),
    "named results": section(7, b"\x01\x40\x00\x01\x01\x01a\x73"),
    "unknown declaration": section(7, b"\x01\x42\x01\x05"),
    "import in an instance type": section(7, b"\x01\x42\x01\x03\x00\x01a\x01\x00"),
    "core alias in a type": section(7, b"\x01\x42\x01\x02\x00\x00\x01\x00\x01f"),
    "unknown canon": section(8, b"\x01\x50"),
    "unknown option": section(8, b"\x01\x01\x00\x00\x01\x0a"),
    "option twice": section(8, b"\x01\x01\x00\x00\x02\x03\x00\x03\x01"),
    "encoding twice": section(8, b"\x01\x01\x00\x00\x02\x00\x01"),
    "sort of a lift": section(8, b"\x01\x00\x01\x00\x00\x00"),
    "cancel flag": section(8, b"\x01\x06\x02"),
    "slot of a vector": section(8, b"\x01\x0a\x7b\x00"),
    "unknown name form": section(10, b"\x01\x03\x01a\x01\x00"),
    "unknown attribute": section(10, b"\x01\x02\x01a\x01\x03\x01b\x01\x00"),
    "attribute twice": section(10, b"\x01\x02\x01a\x02\x02\x01b\x02\x01b\x01\x00"),
    "unknown import": section(10, b"\x01\x00\x01a\x06\x00"),
    "module import without its sort": section(10, b"\x01\x00\x01a\x00\x10\x00"),
    "unknown sort": section(11, b"\x01\x00\x01a\x06\x00\x00"),
    "unknown core sort": section(11, b"\x01\x00\x01a\x00\x05\x00\x00"),
    "unknown alias": section(6, b"\x01\x03\x03\x00\x00"),
    "unknown core instance": section(2, b"\x01\x02\x00"),
    "core argument that is a function": section(2, b"\x01\x00\x00\x01\x01i\x00\x00"),
    "unknown instance": section(5, b"\x01\x02\x00"),
    "custom section without a name": section(0, b"\x05ab"),
    "name that is not UTF-8": section(0, b"\x02\xff\xfe"),
    "nested module where a component has to be": section(4, b"\0asm\x01\0\0\0"),
    "nested component cut off": section(4, b"\0asm\x0d\0"),
    "core declaration": section(3, b"\x01\x50\x01\x04"),
    "core value": section(3, b"\x01\x60\x01\x5f\x00"),
}


@pytest.mark.parametrize("part", MALFORMED.values(), ids=list(MALFORMED))
def test_malformed(part: bytes) -> None:
    with pytest.raises(ComponentInvalid, match="at byte"):
        parse(component(part))


def test_core_modules_are_no_components() -> None:
    with pytest.raises(ComponentInvalid, match="core module where a component"):
        parse(bytes(wasmtime.wat2wasm("(module)")))


def test_custom_sections_may_hold_anything() -> None:
    assert parse(component(section(0, b"\x02hi\xff\xfe"), section(0, b"\x02hi"))).definitions == ()


def test_every_byte_counts() -> None:
    """Cut anywhere but between two sections, a component is refused."""
    data = binary('(type (record (field "a" u8))) (import "f" (func $f)) (core func (canon lower (func $f)))')
    whole = {8}
    position = 8
    while position < len(data):
        position += 2 + data[position + 1]
        whole.add(position)
    for cut in range(len(data)):
        if cut in whole:
            parse(data[:cut])
        else:
            with pytest.raises(ComponentInvalid):
                parse(data[:cut])


# --- limits ---


def test_item_count() -> None:
    def types(count: int) -> bytes:
        return component(section(7, leb(count) + b"\x73" * count))

    most = COMPONENT_ITEM_COUNT_MAX - 1  # beside the section itself
    assert len(parse(types(most)).definitions) == most
    with pytest.raises(ComponentTooLarge, match=str(COMPONENT_ITEM_COUNT_MAX)):
        parse(types(most + 1))
    with pytest.raises(ComponentInvalid, match=f"{COMPONENT_ITEM_COUNT_MAX + 1} definitions"):
        parse(types(COMPONENT_ITEM_COUNT_MAX + 1))


def test_items_of_all_sections_are_counted_together() -> None:
    half = COMPONENT_ITEM_COUNT_MAX // 2 - 1
    part = section(7, leb(half) + b"\x73" * half)
    assert len(parse(component(part, part)).definitions) == 2 * half
    for more in (section(7, b"\x01\x73"), section(0, b"\x01x"), section(1, b""), section(4, COMPONENT_PREAMBLE)):
        with pytest.raises(ComponentTooLarge, match="definitions, types and names"):
            parse(component(part, part, more))


def test_depth_of_components() -> None:
    def nested(depth: int) -> bytes:
        data = component()
        for _ in range(depth):
            data = component(section(4, data))
        return data

    assert len(parse(nested(COMPONENT_DEPTH_MAX)).definitions) == 1
    with pytest.raises(ComponentTooLarge, match="deep"):
        parse(nested(COMPONENT_DEPTH_MAX + 1))


def test_depth_of_types() -> None:
    def nested(depth: int) -> bytes:
        content = b"\x42\x00"
        for _ in range(depth - 1):
            content = b"\x42\x01\x01" + content
        return component(section(7, b"\x01" + content))

    assert len(parse(nested(COMPONENT_DEPTH_MAX)).definitions) == 1
    with pytest.raises(ComponentTooLarge, match="deep"):
        parse(nested(COMPONENT_DEPTH_MAX + 1))


def test_depth_is_that_of_one_place() -> None:
    """Types beside each other are not inside each other."""
    assert (
        len(definitions("(type (instance (type (instance))))" * (2 * COMPONENT_DEPTH_MAX))) == 2 * COMPONENT_DEPTH_MAX
    )


def test_flags_count() -> None:
    def flags(count: int) -> bytes:
        return component(section(7, b"\x01\x6e" + leb(count) + b"\x01a" * count))

    assert len(parse(flags(FLAGS_COUNT_MAX)).definitions) == 1
    with pytest.raises(ComponentInvalid, match="33 flags"):
        parse(flags(FLAGS_COUNT_MAX + 1))
