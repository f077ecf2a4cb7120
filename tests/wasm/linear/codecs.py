"""Single values through codecs on linear memory, for tests."""

from __future__ import annotations

from typing import Any

from edged.wasm import types as wit
from edged.wasm.canonical_abi import Encoding
from edged.wasm.linear.codec import compile_linear
from edged.wasm.linear.context import Context
from edged.wasm.linear.flat import LinearCodec
from tests.wasm.linear.memory import FakeMemory
from tests.wasm.linear.values import P

BOOL, U8, S8, U16, U32, S32, U64, S64 = (P(kind) for kind in ("BOOL", "U8", "S8", "U16", "U32", "S32", "U64", "S64"))
F32, F64, CHAR, STRING = P("F32"), P("F64"), P("CHAR"), P("STRING")
ENCODINGS: tuple[Encoding, ...] = ("utf8", "utf16", "latin1+utf16")
TOP32 = 2**32 - 1


def context(data: bytes = b"", at: int = 0, **options: Any) -> Context:
    memory = FakeMemory()
    memory.room[at : at + len(data)] = data
    return memory.context(**options)


def load(ty: wit.WitType, data: bytes, **options: Any) -> Any:
    return compile_linear(ty).load(context(data, **options), 0)


def lift(ty: wit.WitType, *numbers: Any, cx: Context | None = None) -> Any:
    codec = compile_linear(ty)
    return codec.lift(0, codec.flat)(cx or context(), numbers)


def lower(ty: wit.WitType, value: Any, cx: Context | None = None) -> list[Any]:
    out: list[Any] = []
    compile_linear(ty).lower(cx or context(), value, out)
    return out


def stored(ty: wit.WitType, value: Any, **options: Any) -> bytes:
    codec, cx = compile_linear(ty), context(**options)
    codec.store(cx, 0, value)
    return bytes(cx.view[: codec.size])


def there_and_back(codec: LinearCodec, value: Any, encoding: Encoding) -> None:
    memory = FakeMemory()
    cx = memory.context(encoding=encoding)
    address = cx.alloc(codec.align, codec.size)
    codec.store(cx, address, value)
    assert codec.load(cx, address) == value
    if codec.slots <= 16:
        out: list[Any] = []
        codec.lower(cx, value, out)
        assert len(out) == codec.slots == len(codec.flat)
        assert all(0 <= number < 1 << 64 for number, letter in zip(out, codec.flat, strict=True) if letter in "iI")
        assert codec.lift(0, codec.flat)(cx, out) == value
