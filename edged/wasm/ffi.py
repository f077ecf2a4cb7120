"""The raw C API of wasmtime, declared once: every ctypes call of edged stands in this file's table.

wasmtime-py keeps its bindings under private names and with typed pointers, which cost a microsecond to make. We load
the same shared library a second time and declare what we use on plain addresses (`c_void_p`), so an argument is a
Python int. ctypes keeps argument types per library handle, so ours and wasmtime-py's do not disturb each other.

A wrong argument type here is a crash, not an exception. `_check()` therefore runs at import: the wasmtime version,
every symbol, and the size of every struct whose fields we address by offset.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import struct
from ctypes import c_bool, c_char_p, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Any

from wasmtime import _bindings, _ffi

from edged.errors import EngineMismatch

WASMTIME_VERSION_PREFIX = "50.0."

_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    # values and their allocators: whatever a guest is handed must come from these
    "wasm_byte_vec_new": (None, (c_void_p, c_size_t, c_char_p)),
    "wasm_byte_vec_delete": (None, (c_void_p,)),
    "wasmtime_component_val_new": (c_void_p, (c_void_p,)),
    "wasmtime_component_val_delete": (None, (c_void_p,)),
    "wasmtime_component_vallist_new_uninit": (None, (c_void_p, c_size_t)),
    "wasmtime_component_valtuple_new_uninit": (None, (c_void_p, c_size_t)),
    "wasmtime_component_valrecord_new_uninit": (None, (c_void_p, c_size_t)),
    "wasmtime_component_valflags_new_uninit": (None, (c_void_p, c_size_t)),
    # resources: host handle (rep, type) <-> the any-handle that values carry
    "wasmtime_component_resource_type_new_host": (c_void_p, (c_uint32,)),
    "wasmtime_component_resource_type_delete": (None, (c_void_p,)),
    "wasmtime_component_resource_host_new": (c_void_p, (c_bool, c_uint32, c_uint32)),
    "wasmtime_component_resource_host_delete": (None, (c_void_p,)),
    "wasmtime_component_resource_any_to_host": (c_void_p, (c_void_p, c_void_p, c_void_p)),
    "wasmtime_component_resource_host_to_any": (c_void_p, (c_void_p, c_void_p, c_void_p)),
    # errors
    "wasmtime_error_new": (c_void_p, (c_char_p,)),
    "wasmtime_error_message": (None, (c_void_p, c_void_p)),
    "wasmtime_error_delete": (None, (c_void_p,)),
    # stores
    "wasmtime_store_new": (c_void_p, (c_void_p, c_void_p, c_void_p)),
    "wasmtime_store_context": (c_void_p, (c_void_p,)),
    "wasmtime_store_limiter": (None, (c_void_p, *(ctypes.c_int64,) * 5)),
    "wasmtime_store_delete": (None, (c_void_p,)),
    "wasmtime_context_set_epoch_deadline": (None, (c_void_p, c_uint64)),
    "wasmtime_store_epoch_deadline_callback": (None, (c_void_p,) * 4),
    # The header declares an error result; the library leaves the register alone, so it is read as nothing.
    "wasmtime_context_epoch_deadline_async_yield_and_update": (None, (c_void_p, c_uint64)),
    # calls
    "wasmtime_component_linker_instantiate_async": (c_void_p, (c_void_p,) * 5),
    "wasmtime_component_instance_get_func": (c_bool, (c_void_p,) * 4),
    "wasmtime_component_func_call_async": (c_void_p, (*(c_void_p,) * 3, c_size_t, c_void_p, c_size_t, c_void_p)),
    "wasmtime_call_future_poll": (c_bool, (c_void_p,)),
    "wasmtime_call_future_delete": (None, (c_void_p,)),
    # linkers
    "wasmtime_component_linker_new": (c_void_p, (c_void_p,)),
    "wasmtime_component_linker_delete": (None, (c_void_p,)),
    "wasmtime_component_linker_root": (c_void_p, (c_void_p,)),
    "wasmtime_component_linker_instance_delete": (None, (c_void_p,)),
    "wasmtime_component_linker_instance_add_instance": (c_void_p, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "wasmtime_component_linker_instance_add_func": (c_void_p, (c_void_p, c_char_p, c_size_t, *(c_void_p,) * 3)),
    "wasmtime_component_linker_instance_add_func_async": (c_void_p, (c_void_p, c_char_p, c_size_t, *(c_void_p,) * 3)),
    "wasmtime_component_linker_instance_add_resource": (c_void_p, (c_void_p, c_char_p, c_size_t, *(c_void_p,) * 4)),
    # core modules: traps, types, memories, linkers, calls
    "wasmtime_trap_new": (c_void_p, (c_char_p, c_size_t)),
    "wasm_trap_message": (None, (c_void_p, c_void_p)),
    "wasm_trap_delete": (None, (c_void_p,)),
    "wasmtime_wasm_valtype_equal": (c_bool, (c_void_p, c_void_p)),
    "wasmtime_caller_export_get": (c_bool, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "wasmtime_memory_data": (c_void_p, (c_void_p, c_void_p)),
    "wasmtime_memory_data_size": (c_size_t, (c_void_p, c_void_p)),
    "wasmtime_linker_new": (c_void_p, (c_void_p,)),
    "wasmtime_linker_delete": (None, (c_void_p,)),
    "wasmtime_linker_allow_shadowing": (None, (c_void_p, c_bool)),
    "wasmtime_linker_define_instance": (c_void_p, (c_void_p, c_void_p, c_char_p, c_size_t, c_void_p)),
    "wasmtime_linker_instantiate_async": (c_void_p, (c_void_p,) * 6),
    "wasmtime_linker_define_func_unchecked": (c_void_p, (c_void_p, *(c_char_p, c_size_t) * 2, *(c_void_p,) * 4)),
    "wasmtime_linker_define_async_func": (c_void_p, (c_void_p, *(c_char_p, c_size_t) * 2, *(c_void_p,) * 4)),
    "wasmtime_linker_instantiate_pre": (c_void_p, (c_void_p,) * 3),
    "wasmtime_instance_pre_delete": (None, (c_void_p,)),
    "wasmtime_instance_pre_instantiate_async": (c_void_p, (c_void_p,) * 5),
    "wasmtime_instance_export_get": (c_bool, (c_void_p, c_void_p, c_char_p, c_size_t, c_void_p)),
    "wasmtime_func_call_async": (c_void_p, (*(c_void_p,) * 3, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p)),
    # engine
    "wasmtime_engine_increment_epoch": (None, (c_void_p,)),
    "wasmtime_config_async_stack_size_set": (None, (c_void_p, c_uint64)),
    "wasmtime_config_wasm_component_model_async_set": (None, (c_void_p, c_bool)),
    "wasmtime_config_wasm_component_model_async_stackful_set": (None, (c_void_p, c_bool)),
    "wasmtime_config_wasm_component_model_more_async_builtins_set": (None, (c_void_p, c_bool)),
    "wasmtime_config_wasm_component_model_map_set": (None, (c_void_p, c_bool)),
    "wasmtime_config_wasm_component_model_implements_set": (None, (c_void_p, c_bool)),
    "wasmtime_config_concurrency_support_set": (None, (c_void_p, c_bool)),
    "wasmtime_config_max_wasm_stack_set": (None, (c_void_p, c_size_t)),
    "wasmtime_pooling_allocation_config_new": (c_void_p, ()),
    "wasmtime_pooling_allocation_config_delete": (None, (c_void_p,)),
    "wasmtime_pooling_allocation_strategy_set": (None, (c_void_p, c_void_p)),
    **{
        f"wasmtime_pooling_allocation_config_{name}_set": (None, (c_void_p, kind))
        for name, kind in {
            "total_component_instances": c_uint32,
            "total_core_instances": c_uint32,
            "total_memories": c_uint32,
            "total_tables": c_uint32,
            "total_stacks": c_uint32,
            "max_memory_size": c_size_t,
            "max_unused_warm_slots": c_uint32,
            "max_component_instance_size": c_size_t,
            "max_core_instance_size": c_size_t,
            "max_core_instances_per_component": c_uint32,
            "max_memories_per_component": c_uint32,
            "max_tables_per_component": c_uint32,
            "max_memories_per_module": c_uint32,
            "max_tables_per_module": c_uint32,
            "table_elements": c_size_t,
            "linear_memory_keep_resident": c_size_t,
            "table_keep_resident": c_size_t,
            "async_stack_keep_resident": c_size_t,
        }.items()
    },
}

VAL_SIZE = 32
"""`wasmtime_component_val_t`: u8 kind at 0, union at 8."""
RECORD_ENTRY_SIZE = 48
"""`wasmtime_component_valrecord_entry_t`: name (16), value (32)."""
NAME_SIZE = 16
"""`wasm_name_t`: size, pointer."""
HOST_REP = 8
"""Where `wasmtime_component_resource_host_t` keeps its rep (u32): behind its table state (u64), before its type (u32).

No header says so; `_check` tries it out."""
INSTANCE_SIZE = 16
FUNC_SIZE = 32
CORE_VAL_SIZE = 32
"""`wasmtime_val_t`: u8 kind at 0, union at 8."""
CORE_RAW_SIZE = 16
"""`wasmtime_val_raw_t`: a union."""
CORE_EXTERN_SIZE = 32
"""`wasmtime_extern_t`: u8 kind at 0, union at 8."""
CORE_INSTANCE_SIZE = 16
CORE_MEMORY_SIZE = 24

_SIZES = {
    "wasmtime_component_val_t": VAL_SIZE,
    "wasmtime_component_valrecord_entry_t": RECORD_ENTRY_SIZE,
    "wasm_name_t": NAME_SIZE,
    "wasmtime_component_instance_t": INSTANCE_SIZE,
    "wasmtime_component_func_t": FUNC_SIZE,
    "wasmtime_async_continuation_t": 24,
    "wasmtime_val_t": CORE_VAL_SIZE,
    "wasmtime_val_raw_t": CORE_RAW_SIZE,
    "wasmtime_extern_t": CORE_EXTERN_SIZE,
    "wasmtime_instance_t": CORE_INSTANCE_SIZE,
    "wasmtime_memory_t": CORE_MEMORY_SIZE,
}

KINDS = (
    *("BOOL", "S8", "U8", "S16", "U16", "S32", "U32", "S64", "U64", "F32", "F64", "CHAR", "STRING"),
    *("LIST", "RECORD", "TUPLE", "VARIANT", "ENUM", "OPTION", "RESULT", "FLAGS", "RESOURCE"),
)
KIND: dict[str, int] = {}
"""Value kind name -> the tag byte, as the installed wasmtime numbers them."""
CORE_KINDS = (
    *("WASMTIME_I32", "WASMTIME_I64", "WASMTIME_F32", "WASMTIME_F64"),
    *("WASMTIME_EXTERN_FUNC", "WASMTIME_EXTERN_MEMORY"),
)
CORE_KIND: dict[str, int] = {}
"""The same for values and exports of core modules."""

HostCallback = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t)
"""error* (data, context, type, args, count, results, count)"""
HostAsyncCallback = ctypes.CFUNCTYPE(
    None, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p
)
"""as above, plus error** and continuation*"""
CoreCallback = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p, c_size_t)
"""trap* (data, caller, arguments and results, count)"""
CoreAsyncCallback = ctypes.CFUNCTYPE(
    None, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p
)
"""(data, caller, args, count, results, count, trap**, continuation*)"""
Destructor = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_uint32)
"""error* (data, context, rep)"""
ContinuationCallback = ctypes.CFUNCTYPE(c_bool, c_void_p)
"""bool (env): is the host function's answer there"""
EpochCallback = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)
"""error* (context, data, delta*, kind*): a guest met its epoch deadline"""
UPDATE_DEADLINE_CONTINUE = 0
"""`wasmtime_update_deadline_kind_t`: the guest goes on. The header's, which the binding leaves out."""
UPDATE_DEADLINE_YIELD = 1
"""The same: the guest's fiber is left, and the poll of it ends."""


class WasmtimeFailure(Exception):
    """An error that the C API returned, as text. Never leaves `edged.wasm`."""


VERSION = importlib.metadata.version("wasmtime")


def _check() -> ctypes.CDLL:
    if not VERSION.startswith(WASMTIME_VERSION_PREFIX):
        raise EngineMismatch(f"wasmtime {VERSION} is installed, edged needs {WASMTIME_VERSION_PREFIX}*")
    library = ctypes.CDLL(_ffi.dll._name)
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise EngineMismatch(f"wasmtime {VERSION} has no {name}") from None
        function.restype = result
        function.argtypes = list(arguments)
    for name, size in _SIZES.items():
        found = ctypes.sizeof(getattr(_bindings, name))
        if found != size:
            raise EngineMismatch(f"{name} has {found} bytes in wasmtime {VERSION}, edged was written for {size}")
    for name in KINDS:
        constant = getattr(_ffi, f"WASMTIME_COMPONENT_{name}", None)
        if not isinstance(constant, c_uint8):
            raise EngineMismatch(f"wasmtime {VERSION} has no value kind {name}")
        KIND[name] = constant.value
    for name in CORE_KINDS:
        constant = getattr(_ffi, name, None)
        if not isinstance(constant, c_uint8):
            raise EngineMismatch(f"wasmtime {VERSION} has no {name}")
        CORE_KIND[name] = constant.value
    rep, resource = 0x01020304, 0x05060708
    handle = library.wasmtime_component_resource_host_new(True, rep, resource)
    if ctypes.string_at(handle + HOST_REP, 8) != struct.pack("<II", rep, resource):
        raise EngineMismatch(f"wasmtime {VERSION} keeps host resources in another layout than edged was written for")
    library.wasmtime_component_resource_host_delete(handle)
    return library


lib: Any = _check()

memory: Any = (ctypes.c_char * (1 << 47)).from_address(0)
"""The process's own memory, by address: `memory[a:b]` reads bytes, `struct.unpack_from(memory, a)` reads fields.

Nothing is touched by making it. A read costs 0.13 us, or 0.6 us through `ctypes.string_at`: host calls live on it."""
memory_view = memoryview(memory).cast("B")
"""The same for writing bytes."""


def address(pointer: Any) -> int:
    """The address in one of wasmtime-py's typed pointers."""
    value = ctypes.cast(pointer, c_void_p).value
    assert value is not None
    return value


def error_text(error: int) -> str:
    """Take a `wasmtime_error_t*`: its message; the error is freed."""
    return _take_text(error, lib.wasmtime_error_message, lib.wasmtime_error_delete)


def trap_text(trap: int) -> str:
    """Take a `wasm_trap_t*`: its message; the trap is freed."""
    return _take_text(trap, lib.wasm_trap_message, lib.wasm_trap_delete).removesuffix("\0")


def _take_text(owner: int, message: Any, delete: Any) -> str:
    vector = (c_size_t * 2)()
    message(owner, ctypes.addressof(vector))
    start: int = vector[1]
    text: bytes = memory[start : start + vector[0]]
    lib.wasm_byte_vec_delete(ctypes.addressof(vector))
    delete(owner)
    return text.decode("utf-8", "replace")


def check(error: int | None) -> None:
    """Raise `WasmtimeFailure` for an error that a call returned."""
    if error:
        raise WasmtimeFailure(error_text(error))


def continuation(callback: Any) -> bytes:
    """A `wasmtime_async_continuation_t`: what wasmtime asks whether a host function is done.

    Args:
        callback: a ContinuationCallback; keep it as long as a guest may wait.
    """
    return struct.pack("<QQQ", address(callback), 0, 0)


def new_error(message: str) -> int:
    """A `wasmtime_error_t*` for a host callback to return."""
    return int(lib.wasmtime_error_new(message.replace("\0", "").encode()))


def new_trap(message: str) -> int:
    """A `wasm_trap_t*` for a host callback of a core module to return."""
    encoded = message.encode()
    return int(lib.wasmtime_trap_new(encoded, len(encoded)))
