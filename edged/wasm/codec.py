"""Typed codecs between Python values and the C API's component values, compiled once per type.

A component value is 32 bytes: a tag byte at 0 and a union at 8 (`ffi.VAL_SIZE`). For each WIT type `compile_codec`
returns two closures:

    load(guest, address) -> value     reads the value at an address; the memory stays wasmtime's
    store(guest, address, value)      writes a value; what it points to comes from wasmtime's own allocators

`guest` is whoever owns the handle table (`HandleOwner`). Which Python value stands for which WIT type is written in
`edged.host.interface`.

Why closures on raw addresses: wasmtime-py's own conversion re-reads the function type on every call and costs 18 us;
these cost one to three.

A store may fail half-way: what a host function returns need not fit the type that a guest has declared for it. wasmtime
then frees what the tag says is there, so the tag is written as soon as the memory behind it is whole, before what is
inside: wasmtime makes lists, tuples and records full of empty values. Until then the tag says `bool`, which owns
nothing.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from edged.errors import GuestBudgetExhausted
from edged.host.interface import Err, Ok, Some
from edged.limits import CODECS_KEPT_MAX, LIST_COUNT_MAX
from edged.wasm import types as wit
from edged.wasm.ffi import HOST_REP, KIND, NAME_SIZE, RECORD_ENTRY_SIZE, VAL_SIZE, check, lib, memory, memory_view


class HandleOwner(Protocol):
    """Whose handles a value refers to: one instance of a component."""

    context: int
    handles: dict[int, Any]

    def add_handle(self, value: Any) -> int: ...


Load = Callable[[Any, int], Any]
Store = Callable[[Any, int, Any], None]


class Codec(NamedTuple):
    load: Load
    store: Store


_read_u64 = struct.Struct("<Q").unpack_from
_read_pair = struct.Struct("<QQ").unpack_from
_read_triple = struct.Struct("<QQQ").unpack_from
_read_u32 = struct.Struct("<I").unpack_from
_write_host = struct.Struct("<QI").pack_into
_write_u64 = struct.Struct("<Q").pack_into

_EMPTY = KIND["BOOL"]  # wasmtime's own default for a value


@functools.lru_cache(CODECS_KEPT_MAX)
def compile_codec(ty: wit.WitType) -> Codec:
    """The codec of one type. Equal types share one."""
    match ty:
        case wit.Primitive("STRING"):
            return _string()
        case wit.Primitive("CHAR"):
            return _char()
        case wit.Primitive(kind):
            return _number(kind)
        case wit.List(wit.Primitive("U8")):
            return _bytes()
        case wit.List(element):
            return _list(compile_codec(element))
        case wit.Tuple(elements):
            return _tuple([compile_codec(element) for element in elements])
        case wit.Record(fields):
            return _record([(name.encode(), compile_codec(inner)) for name, inner in fields])
        case wit.Variant(cases):
            return _variant({name: None if inner is None else compile_codec(inner) for name, inner in cases})
        case wit.Enum(names):
            return _enum(names)
        case wit.Flags(names):
            return _flags(names)
        case wit.Option(payload):
            return _option(compile_codec(payload), nested=isinstance(payload, wit.Option))
        case wit.Result():
            return _result(ty)
        case wit.Handle(resource, owned):
            return _handle(resource, owned)
        case wit.FixedList() | wit.Stream() | wit.Future():
            raise AssertionError("`edged.wasm.types.describe` finds none: the C API has no such values")


def compile_result(ty: wit.Result) -> tuple[Store, Store]:
    """The two ways a function with this result type answers: store the ok value, store the err value."""
    return _arm(ty.ok, True), _arm(ty.err, False)


def _number(kind: str) -> Codec:
    tag, letter = KIND[kind], wit.NUMBER_FORMATS[kind]
    read = struct.Struct(f"<{letter}").unpack_from
    write = struct.Struct(f"<B7x{letter}").pack_into

    def load(_guest: Any, address: int) -> Any:
        return read(memory, address + 8)[0]

    def store(_guest: Any, address: int, value: Any) -> None:
        write(memory, address, tag, value)

    return Codec(load, store)


def _char() -> Codec:
    load_scalar, store_scalar = _number("U32")
    tag = KIND["CHAR"]

    def load(guest: Any, address: int) -> str:
        return chr(load_scalar(guest, address))

    def store(guest: Any, address: int, value: str) -> None:
        store_scalar(guest, address, ord(value))
        memory_view[address] = tag

    return Codec(load, store)


def _string() -> Codec:
    tag = KIND["STRING"]
    new = lib.wasm_byte_vec_new

    def load(_guest: Any, address: int) -> str:
        size, pointer = _read_pair(memory, address + 8)
        return memory[pointer : pointer + size].decode() if size else ""

    def store(_guest: Any, address: int, value: str) -> None:
        data = value.encode()
        new(address + 8, len(data), data)
        memory_view[address] = tag

    return Codec(load, store)


def _bytes() -> Codec:
    """`list<u8>`: 32 bytes a byte in the C API, so never byte by byte: one slice out, one slice in.

    A bytearray takes a slice with a step five times as fast as a memoryview does, so values are put together in one.
    """
    tag = KIND["LIST"]
    new = lib.wasmtime_component_vallist_new_uninit
    empty_value = bytes([KIND["U8"], *bytes(VAL_SIZE - 1)])

    def load(_guest: Any, address: int) -> bytes:
        size, pointer = _read_pair(memory, address + 8)
        return memory[pointer + 8 : pointer + VAL_SIZE * size : VAL_SIZE] if size else b""

    def store(_guest: Any, address: int, value: bytes) -> None:
        size = len(value)
        values = bytearray(empty_value * size)
        values[8::VAL_SIZE] = value
        new(address + 8, size)
        if size:
            pointer = _read_u64(memory, address + 16)[0]
            memory_view[pointer : pointer + VAL_SIZE * size] = values
        memory_view[address] = tag

    return Codec(load, store)


def _list(element: Codec) -> Codec:
    tag = KIND["LIST"]
    new = lib.wasmtime_component_vallist_new_uninit
    load_element, store_element = element

    def load(guest: Any, address: int) -> list[Any]:
        size, pointer = _read_pair(memory, address + 8)
        if size > LIST_COUNT_MAX:
            raise GuestBudgetExhausted(f"a list of {size} values in one host call, and {LIST_COUNT_MAX} are the most")
        return [load_element(guest, pointer + VAL_SIZE * index) for index in range(size)]

    def store(guest: Any, address: int, value: Any) -> None:
        size = len(value)
        new(address + 8, size)
        memory_view[address] = tag
        if size:
            pointer = _read_u64(memory, address + 16)[0]
            for item in value:
                store_element(guest, pointer, item)
                pointer += VAL_SIZE

    return Codec(load, store)


def _tuple(elements: list[Codec]) -> Codec:
    tag, size = KIND["TUPLE"], len(elements)
    new = lib.wasmtime_component_valtuple_new_uninit
    loads = [(VAL_SIZE * index, codec.load) for index, codec in enumerate(elements)]
    stores = [(VAL_SIZE * index, codec.store) for index, codec in enumerate(elements)]

    def load(guest: Any, address: int) -> tuple[Any, ...]:
        pointer = _read_u64(memory, address + 16)[0]
        return tuple([load_element(guest, pointer + offset) for offset, load_element in loads])

    def store(guest: Any, address: int, value: Any) -> None:
        new(address + 8, size)
        memory_view[address] = tag
        pointer = _read_u64(memory, address + 16)[0]
        for (offset, store_element), item in zip(stores, value, strict=True):
            store_element(guest, pointer + offset, item)

    return Codec(load, store)


def _record(fields: list[tuple[bytes, Codec]]) -> Codec:
    tag, size = KIND["RECORD"], len(fields)
    new, new_name = lib.wasmtime_component_valrecord_new_uninit, lib.wasm_byte_vec_new
    loads = [(RECORD_ENTRY_SIZE * index + NAME_SIZE, codec.load) for index, (_, codec) in enumerate(fields)]
    stores = [(RECORD_ENTRY_SIZE * index, name, codec.store) for index, (name, codec) in enumerate(fields)]

    def load(guest: Any, address: int) -> tuple[Any, ...]:
        pointer = _read_u64(memory, address + 16)[0]
        return tuple([load_field(guest, pointer + offset) for offset, load_field in loads])

    def store(guest: Any, address: int, value: Any) -> None:
        new(address + 8, size)
        memory_view[address] = tag
        pointer = _read_u64(memory, address + 16)[0]
        for (offset, name, store_field), item in zip(stores, value, strict=True):
            new_name(pointer + offset, len(name), name)
            store_field(guest, pointer + offset + NAME_SIZE, item)

    return Codec(load, store)


def _boxer() -> Callable[[Store, Any, Any], int]:
    """A function that stores a value in a box of wasmtime's and returns its address. Each has its own scratch."""
    scratch = ctypes.create_string_buffer(VAL_SIZE)
    scratch_address = ctypes.addressof(scratch)
    new, delete = lib.wasmtime_component_val_new, lib.wasmtime_component_val_delete

    def box(store: Store, guest: Any, value: Any) -> int:
        try:
            store(guest, scratch_address, value)
        except BaseException:
            delete(scratch_address)
            memory_view[scratch_address] = _EMPTY
            raise
        return int(new(scratch_address))  # takes the value out: the scratch is empty again

    box.scratch = scratch  # type: ignore[attr-defined] # keeps the buffer alive as long as the closure
    return box


def _variant(cases: dict[str, Codec | None]) -> Codec:
    tag = KIND["VARIANT"]
    new_name, box = lib.wasm_byte_vec_new, _boxer()
    loads = {name.encode(): (name, codec and codec.load) for name, codec in cases.items()}
    stores = {name: (name.encode(), codec and codec.store) for name, codec in cases.items()}

    def load(guest: Any, address: int) -> Any:
        size, pointer, payload = _read_triple(memory, address + 8)
        name, load_payload = loads[memory[pointer : pointer + size]]
        return name if load_payload is None else (name, load_payload(guest, payload))

    def store(guest: Any, address: int, value: Any) -> None:
        case, payload = (value, None) if isinstance(value, str) else value
        name, store_payload = stores[case]
        if store_payload is None:
            _write_u64(memory, address + 24, 0)
        else:
            _write_u64(memory, address + 24, box(store_payload, guest, payload))
        new_name(address + 8, len(name), name)
        memory_view[address] = tag

    return Codec(load, store)


def _enum(names: tuple[str, ...]) -> Codec:
    tag = KIND["ENUM"]
    new_name = lib.wasm_byte_vec_new
    encoded = {name: name.encode() for name in names}

    def load(_guest: Any, address: int) -> str:
        size, pointer = _read_pair(memory, address + 8)
        return memory[pointer : pointer + size].decode()  # type: ignore[no-any-return]

    def store(_guest: Any, address: int, value: str) -> None:
        name = encoded[value]
        new_name(address + 8, len(name), name)
        memory_view[address] = tag

    return Codec(load, store)


def _flags(names: tuple[str, ...]) -> Codec:
    tag = KIND["FLAGS"]
    new, new_name = lib.wasmtime_component_valflags_new_uninit, lib.wasm_byte_vec_new
    encoded = {name: name.encode() for name in names}

    def load(_guest: Any, address: int) -> frozenset[str]:
        count, pointer = _read_pair(memory, address + 8)
        pairs = [_read_pair(memory, pointer + NAME_SIZE * index) for index in range(count)]
        return frozenset(memory[start : start + size].decode() for size, start in pairs)

    def store(_guest: Any, address: int, value: frozenset[str]) -> None:
        chosen = [encoded[name] for name in value]
        new(address + 8, len(chosen))
        if chosen:
            pointer = _read_u64(memory, address + 16)[0]
            for index, name in enumerate(chosen):
                new_name(pointer + NAME_SIZE * index, len(name), name)
        memory_view[address] = tag

    return Codec(load, store)


def _option(payload: Codec, nested: bool) -> Codec:
    tag, box = KIND["OPTION"], _boxer()
    load_payload, store_payload = payload

    def load(guest: Any, address: int) -> Any:
        pointer = _read_u64(memory, address + 8)[0]
        if not pointer:
            return None
        value = load_payload(guest, pointer)
        return Some(value) if nested else value

    def store(guest: Any, address: int, value: Any) -> None:
        if value is None:
            _write_u64(memory, address + 8, 0)
        else:
            inner = value.value if nested else value
            _write_u64(memory, address + 8, box(store_payload, guest, inner))
        memory_view[address] = tag

    return Codec(load, store)


_read_result = struct.Struct("<?7xQ").unpack_from
_write_result = struct.Struct("<B7x?7xQ").pack_into


def _arm(ty: wit.WitType | None, is_ok: bool) -> Store:
    """Store one arm of a result, given the arm's value."""
    tag = KIND["RESULT"]
    if ty is None:

        def store_empty(_guest: Any, address: int, _value: Any) -> None:
            _write_result(memory, address, tag, is_ok, 0)

        return store_empty
    store_payload, box = compile_codec(ty).store, _boxer()

    def store(guest: Any, address: int, value: Any) -> None:
        _write_result(memory, address, tag, is_ok, box(store_payload, guest, value))

    return store


def _result(ty: wit.Result) -> Codec:
    store_ok, store_err = compile_result(ty)
    load_ok = None if ty.ok is None else compile_codec(ty.ok).load
    load_err = None if ty.err is None else compile_codec(ty.err).load

    def load(guest: Any, address: int) -> Ok | Err:
        is_ok, pointer = _read_result(memory, address + 8)
        load_payload = load_ok if is_ok else load_err
        value = None if load_payload is None else load_payload(guest, pointer)
        return Ok(value) if is_ok else Err(value)

    def store(guest: Any, address: int, value: Ok | Err) -> None:
        (store_ok if isinstance(value, Ok) else store_err)(guest, address, value.value)

    return Codec(load, store)


def _handle(resource: int, owned: bool) -> Codec:
    """Handles carry a number of ours (`rep`) that names a Python object in the guest's own table.

    wasmtime has checked the handle's resource type before we see it, so a guest cannot name another type's object,
    and the table is the instance's own, so it cannot name another guest's.
    """
    tag = KIND["RESOURCE"]
    out = ctypes.c_void_p()
    out_address = ctypes.addressof(out)
    to_host, host_delete = lib.wasmtime_component_resource_any_to_host, lib.wasmtime_component_resource_host_delete
    to_any = lib.wasmtime_component_resource_host_to_any
    # One host handle per type, filled anew for each value: making and freeing one costs more than all the rest here.
    mine = lib.wasmtime_component_resource_host_new(True, 0, resource)
    fresh = _read_u64(memory, mine)[0]

    def load(guest: Any, address: int) -> Any:
        check(to_host(guest.context, _read_u64(memory, address + 8)[0], out_address))
        handle = out.value or 0
        rep = _read_u32(memory, handle + HOST_REP)[0]
        host_delete(handle)
        return guest.handles.pop(rep) if owned else guest.handles[rep]

    def store(guest: Any, address: int, value: Any) -> None:
        _write_host(memory, mine, fresh, guest.add_handle(value))
        check(to_any(guest.context, mine, out_address))
        _write_u64(memory, address + 8, out.value)
        memory_view[address] = tag

    if owned:
        return Codec(load, store)

    def store_refused(_guest: Any, _address: int, _value: Any) -> None:
        raise AssertionError("a host function cannot return a borrow")

    return Codec(load, store_refused)
