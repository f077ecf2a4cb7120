"""A core module's types: what it imports, exports and defines, read off its bytes.

Read from a component's skeleton (`skeleton.py`), which wasmtime has validated: what is asked here is what the canonical
ABI and the limits need to know of it. Function bodies, elements and data are not looked at.

Source: WebAssembly core specification 3.0, chapter "Binary Format".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from edged.errors import ComponentUnsupported
from edged.limits import CORE_ITEM_COUNT_MAX
from edged.wasm.plan.plan import CoreKind, CoreSignature
from edged.wasm.plan.reader import Malformed, Reader, is_component, sections

TYPES, IMPORTS, FUNCTIONS, TABLES, MEMORIES, GLOBALS, EXPORTS = range(1, 8)
START, ELEMENTS, CODE, DATA, DATA_COUNT, TAGS = range(8, 14)
"""Ids of sections. 0 is a custom one."""

KINDS: tuple[CoreKind, ...] = ("func", "table", "memory", "global", "tag")
"""Of imports and exports, by their byte."""

VECTOR, REFERENCE = "v", "r"
"""Letters of v128 and of references of all kinds, which the canonical ABI has no use for."""

_LETTERS = {0x7F: "i", 0x7E: "I", 0x7D: "f", 0x7C: "F", 0x7B: VECTOR} | dict.fromkeys(
    (0x70, 0x6F, 0x6E, 0x6D, 0x6C, 0x6B, 0x6A, 0x69, 0x71, 0x72, 0x73, 0x74), REFERENCE
)
_REFERENCES = (0x64, 0x63)  # to a heap type, which follows: not null, and nullable
_PACKED = (0x78, 0x77)  # i8 and i16, in fields only
_RECURSIVE = 0x4E
_SUBTYPES = (0x50, 0x4F)
_FUNCTION, _STRUCT, _ARRAY = 0x60, 0x5F, 0x5E
_TABLE_WITH_VALUE = 0x40
_HAS_MAXIMUM, _IS_SHARED, _IS_64 = 1, 2, 4
_END = 0x0B
_PREFIXES = (0xFB, 0xFC, 0xFD)
_IMMEDIATES: dict[int, tuple[Callable[[Reader], object], ...]] = {
    0x23: (Reader.u32,),  # global.get
    0x41: (Reader.s32,),
    0x42: (Reader.s64,),
    0x43: (lambda reader: reader.skip(4),),
    0x44: (lambda reader: reader.skip(8),),
    **dict.fromkeys((0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E), ()),  # i32 and i64: add, sub, mul
    0xD0: (Reader.s33,),  # ref.null
    0xD2: (Reader.u32,),  # ref.func
    **dict.fromkeys((0xFB00, 0xFB01, 0xFB06, 0xFB07), (Reader.u32,)),  # struct.new, array.new, and both with defaults
    0xFB08: (Reader.u32, Reader.u32),  # array.new_fixed
    **dict.fromkeys((0xFB1A, 0xFB1B, 0xFB1C), ()),  # any.convert_extern, extern.convert_any, ref.i31
    0xFD0C: (lambda reader: reader.skip(16),),  # v128.const
}
"""What follows each instruction of a constant expression, behind the instruction."""


@dataclass(frozen=True, slots=True)
class CoreLimits:
    """Of a memory (in pages) or a table (in elements).

    Attributes:
        maximum: None for none.
        shared: memories only.
        is_64: addresses are i64.
    """

    minimum: int
    maximum: int | None = None
    shared: bool = False
    is_64: bool = False


@dataclass(frozen=True, slots=True)
class CoreMemory:
    limits: CoreLimits


@dataclass(frozen=True, slots=True)
class CoreTable:
    limits: CoreLimits


@dataclass(frozen=True, slots=True)
class CoreGlobal:
    """
    Attributes:
        value: its letter.
    """

    value: str
    mutable: bool


@dataclass(frozen=True, slots=True)
class CoreTag:
    """Of exceptions."""

    signature: CoreSignature


CoreType = CoreSignature | CoreTable | CoreMemory | CoreGlobal | CoreTag


@dataclass(frozen=True, slots=True)
class CoreImport:
    module: str
    name: str
    kind: CoreKind
    type: CoreType


@dataclass(frozen=True, slots=True)
class ModuleTypes:
    """What is known of one core module.

    Attributes:
        imports: in the module's own order.
        tables, memories: those that it defines itself.
    """

    imports: tuple[CoreImport, ...]
    exports: Mapping[str, tuple[CoreKind, CoreType]]
    tables: tuple[CoreTable, ...]
    memories: tuple[CoreMemory, ...]


def module_types(data: bytes | memoryview, start: int = 0, end: int | None = None) -> ModuleTypes:
    """Read a core module's types.

    Args:
        data: `data[start:end]` is the module.

    Raises:
        ComponentInvalid: not a module, or malformed.
        ComponentUnsupported: it uses a proposal that edged's engine does not have.
    """
    if is_component(data, start):
        raise Reader(data, start).malformed("a component where a core module has to be")
    module = _Module()
    for section in sections(data, start, end):
        read = module.readers.get(section.id)
        if read is not None:
            reader = Reader(data, section.start, section.end)
            read(reader)
            reader.expect_end("a section")
    return ModuleTypes(
        tuple(module.imports),
        module.exports,
        tuple(module.tables[module.imported.count("table") :]),
        tuple(module.memories[module.imported.count("memory") :]),
    )


def read_extern(reader: Reader) -> tuple[CoreKind, int | CoreTable | CoreMemory | CoreGlobal]:
    """An import's kind and type; of functions and tags the type's index."""
    kind = reader.byte()
    if kind == 0:
        return "func", reader.u32()
    if kind == 1:
        return "table", _read_table(reader)
    if kind == 2:
        return "memory", _read_memory(reader)
    if kind == 3:
        return "global", _read_global(reader)
    if kind == 4:
        return "tag", _read_tag(reader)
    raise _unsupported(f"imports something of kind {kind:#x}")


class _Module:
    """Index spaces as they fill."""

    def __init__(self) -> None:
        self.types: list[CoreSignature | None] = []  # None for structs and arrays
        self.functions: list[int] = []  # index of the type: modules have 30 000 functions, and export some
        self.tables: list[CoreTable] = []
        self.memories: list[CoreMemory] = []
        self.globals: list[CoreGlobal] = []
        self.tags: list[int] = []
        self.imports: list[CoreImport] = []
        self.imported: list[CoreKind] = []
        self.exports: dict[str, tuple[CoreKind, CoreType]] = {}
        self.spaces: dict[CoreKind, list[Any]] = {
            "func": self.functions,
            "table": self.tables,
            "memory": self.memories,
            "global": self.globals,
            "tag": self.tags,
        }
        self.readers: dict[int, Callable[[Reader], None]] = {
            TYPES: self.read_types,
            IMPORTS: self.read_imports,
            FUNCTIONS: self.read_functions,
            TABLES: self.read_tables,
            MEMORIES: lambda reader: self.read_all(reader, "memory", _read_memory),
            TAGS: lambda reader: self.read_all(reader, "tag", _read_tag),
            GLOBALS: self.read_globals,
            EXPORTS: self.read_exports,
        }

    def read_types(self, reader: Reader) -> None:
        for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "types")):
            if reader.peek() != _RECURSIVE:
                self.types.append(_read_sub_type(reader))
                continue
            reader.byte()
            for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "types of one group")):
                self.types.append(_read_sub_type(reader))

    def read_imports(self, reader: Reader) -> None:
        for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "imports")):
            module, name = reader.name(), reader.name()
            kind, item = read_extern(reader)
            self.spaces[kind].append(item)
            self.imports.append(CoreImport(module, name, kind, self.type_of(reader, kind, item)))
            self.imported.append(kind)

    def read_functions(self, reader: Reader) -> None:
        count = reader.count(CORE_ITEM_COUNT_MAX, "functions")
        self.functions.extend(_numbers(reader.take(reader.end - reader.position)))
        if len(self.functions) - self.imported.count("func") != count:
            raise reader.malformed(f"{count} functions, and types of {len(self.functions)}")

    def read_tables(self, reader: Reader) -> None:
        for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "tables")):
            has_value = reader.peek() == _TABLE_WITH_VALUE
            if has_value:
                reader.byte()
                if reader.byte() != 0:
                    raise reader.malformed("a table of an unknown form")
            self.tables.append(_read_table(reader))
            if has_value:
                _skip_expression(reader)

    def read_globals(self, reader: Reader) -> None:
        for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "globals")):
            self.globals.append(_read_global(reader))
            _skip_expression(reader)

    def read_all(self, reader: Reader, kind: CoreKind, read: Callable[[Reader], Any]) -> None:
        space = self.spaces[kind]
        space.extend(read(reader) for _ in range(reader.count(CORE_ITEM_COUNT_MAX, f"items of kind {kind}")))

    def read_exports(self, reader: Reader) -> None:
        for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "exports")):
            name, number = reader.name(), reader.byte()
            if number >= len(KINDS):
                raise _unsupported(f"exports something of kind {number:#x}")
            kind, index = KINDS[number], reader.u32()
            space = self.spaces[kind]
            if index >= len(space):
                raise reader.malformed(f"the export {name!r} is {kind} {index} of {len(space)}")
            self.exports[name] = kind, self.type_of(reader, kind, space[index])

    def type_of(self, reader: Reader, kind: CoreKind, item: Any) -> CoreType:
        if kind not in ("func", "tag"):
            return cast("CoreType", item)
        signature = self.types[item] if item < len(self.types) else None
        if signature is None:
            raise reader.malformed(f"type {item} is not that of a function")
        return signature if kind == "func" else CoreTag(signature)


def _numbers(encoded: bytes) -> Iterator[int]:
    """The unsigned numbers that these bytes are, several times as fast as one by one: there may be 100 000."""
    start = 0
    for end in [position for position, byte in enumerate(encoded, 1) if byte < 0x80]:
        if end - start == 1:
            yield encoded[start]
        else:
            yield Reader(encoded, start, end).u32()
        start = end
    if start != len(encoded):
        raise Malformed("the bytes end early", len(encoded))


def _read_sub_type(reader: Reader) -> CoreSignature | None:
    if reader.peek() in _SUBTYPES:
        reader.byte()
        for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "supertypes")):
            reader.u32()
    form = reader.byte()
    if form == _FUNCTION:
        return CoreSignature(_read_values(reader), _read_values(reader))
    if form == _STRUCT:
        for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "fields")):
            _skip_field(reader)
    elif form == _ARRAY:
        _skip_field(reader)
    else:
        raise _unsupported(f"has a type of form {form:#x}")
    return None


def _read_values(reader: Reader) -> str:
    return "".join(_read_value(reader) for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "values")))


def _read_value(reader: Reader) -> str:
    code = reader.byte()
    letter = _LETTERS.get(code)
    if letter is not None:
        return letter
    if code in _REFERENCES:
        reader.s33()
        return REFERENCE
    raise _unsupported(f"has values of type {code:#x}")


def _skip_field(reader: Reader) -> None:
    if reader.peek() in _PACKED:
        reader.byte()
    else:
        _read_value(reader)
    reader.byte()  # whether it is mutable


def _read_limits(reader: Reader, flags_known: int) -> CoreLimits:
    flags = reader.byte()
    if flags & ~flags_known:
        raise _unsupported(f"has limits of form {flags:#x}")
    is_64 = bool(flags & _IS_64)
    number = reader.u64 if is_64 else reader.u32
    minimum = number()
    return CoreLimits(minimum, number() if flags & _HAS_MAXIMUM else None, bool(flags & _IS_SHARED), is_64)


def _read_table(reader: Reader) -> CoreTable:
    if _read_value(reader) != REFERENCE:
        raise reader.malformed("a table of what is not a reference")
    return CoreTable(_read_limits(reader, _HAS_MAXIMUM | _IS_64))


def _read_memory(reader: Reader) -> CoreMemory:
    return CoreMemory(_read_limits(reader, _HAS_MAXIMUM | _IS_SHARED | _IS_64))


def _read_global(reader: Reader) -> CoreGlobal:
    value = _read_value(reader)
    mutable = reader.byte()
    if mutable > 1:
        raise _unsupported(f"has a global of form {mutable:#x}")
    return CoreGlobal(value, bool(mutable))


def _read_tag(reader: Reader) -> int:
    if reader.byte() != 0:
        raise reader.malformed("a tag of an unknown form")
    return reader.u32()


def _skip_expression(reader: Reader) -> None:
    """A constant expression: globals and tables begin with its value, which is found only by reading past it."""
    while (operation := reader.byte()) != _END:
        if operation in _PREFIXES:
            operation = operation << 8 | reader.u32()
        immediates = _IMMEDIATES.get(operation)
        if immediates is None:
            raise _unsupported(f"computes a constant with the instruction {operation:#x}")
        for skip in immediates:
            skip(reader)


def _unsupported(what: str) -> ComponentUnsupported:
    return ComponentUnsupported(
        f"a core module of the component {what}, which edged does not know",
        remedy="Build it without WebAssembly proposals that are not part of WebAssembly 3.0.",
    )
