"""Typed codecs between Python values and a guest's linear memory and core values, compiled once per type.

Which Python value stands for which WIT type is written in `edged.host.interface`. What a codec does in memory is
`load` and `store`, what it does with core values ("flat") is `lower` and `lift`. Core values are Python numbers, one
for each letter of `plan.CoreSignature`: integers unsigned, floats as they are.

Bytes and numbers of guests are hostile: what breaks the ABI is a `GuestTrap`. A value out of a host function that does
not fit its type is a plain exception, whose kind says nothing.

Source: CanonicalABI.md, from "Alignment" to "Flat Lowering".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edged.wasm import types as wit
from edged.wasm.component.context import Context

Load = Callable[[Context, int], Any]
Store = Callable[[Context, int, Any], None]
Lower = Callable[[Context, Any, "list[int | float]"], None]
Lift = Callable[[Context, "Sequence[Any]"], Any]


class LinearCodec(NamedTuple):
    """Of one type.

    Attributes:
        size, align: in memory, bytes.
        flat: letters of its core values.
        load: the value at an address, which is aligned.
        store: write a value at an address, which is aligned.
        lower: append its core values.
        lift: `lift(slot, letters)`: a reader of the value whose first core value is at `slot` of a sequence. `letters`
            are those that are there: `flat`, or where variants join slots, wider ones.
        has_borrow: there may be a borrow in it: `Context.scope` is asked for.
    """

    size: int
    align: int
    flat: str
    load: Load
    store: Store
    lower: Lower
    lift: Callable[[int, str], Lift]
    has_borrow: bool = False


def compile_linear(ty: wit.WitType) -> LinearCodec:
    """The codec of one type. Equal types share one."""
    raise NotImplementedError
