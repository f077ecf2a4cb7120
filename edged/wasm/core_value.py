"""Core values as wasmtime's C API has them in memory.

Letters: `i` i32, `I` i64, `f` f32, `F` f64. Integers are unsigned.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from edged.wasm import ffi

RAW = {"i": "I12x", "I": "Q8x", "f": "f12x", "F": "d8x"}
"""How `struct` has a `wasmtime_val_raw_t`: parameters and results of a callback that is not checked."""
VAL = {"i": "8xI20x", "I": "8xQ16x", "f": "8xf20x", "F": "8xd16x"}
"""The same of a `wasmtime_val_t`, for reading: its kind is known."""
VAL_WITH_KIND = {"i": "B7xI20x", "I": "B7xQ16x", "f": "B7xf20x", "F": "B7xd16x"}
"""The same for writing: KIND, value."""
KIND = {
    "i": ffi.CORE_KIND["WASMTIME_I32"],
    "I": ffi.CORE_KIND["WASMTIME_I64"],
    "f": ffi.CORE_KIND["WASMTIME_F32"],
    "F": ffi.CORE_KIND["WASMTIME_F64"],
}


def array(formats: Mapping[str, str], letters: str) -> struct.Struct:
    """Values one after the other, in one of the forms above."""
    return struct.Struct("<" + "".join(formats[letter] for letter in letters))
