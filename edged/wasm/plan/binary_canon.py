"""Canonical definitions of a component: lifts, lowerings and built-ins.

Source: component model, `design/mvp/Binary.md`, "Canonical Definitions".
"""

from __future__ import annotations

from typing import Any

from edged.errors import ComponentUnsupported
from edged.wasm.canonical_abi import Encoding
from edged.wasm.plan.binary_types import TypeReader
from edged.wasm.plan.definitions import CanonBuiltIn, CanonLift, CanonLower, Options

_ENCODINGS: tuple[Encoding, ...] = ("utf8", "utf16", "latin1+utf16")
_ASYNC = 6
_OPTIONS_WITH_INDEX = {3: "memory", 4: "realloc", 5: "post_return", 7: "callback"}
_OPTIONS_UNSUPPORTED = {8: "core-type", 9: "gc"}
_ENDS = ("new", "read", "write", "cancel-read", "cancel-write", "drop-readable", "drop-writable")

_TYPE, _OPTIONS, _FLAG, _RESULT, _MEMORY, _SLOT = "type", "options", "flag", "result", "memory", "slot"
_END_IMMEDIATES = {
    "read": (_TYPE, _OPTIONS),
    "write": (_TYPE, _OPTIONS),
    "cancel-read": (_TYPE, _FLAG),
    "cancel-write": (_TYPE, _FLAG),
}
_BUILT_INS: dict[int, tuple[str, tuple[str, ...]]] = {
    0x02: ("resource.new", (_TYPE,)),
    0x03: ("resource.drop", (_TYPE,)),
    0x04: ("resource.rep", (_TYPE,)),
    0x05: ("task.cancel", ()),
    0x06: ("subtask.cancel", (_FLAG,)),
    0x09: ("task.return", (_RESULT, _OPTIONS)),
    0x0A: ("context.get", (_SLOT,)),
    0x0B: ("context.set", (_SLOT,)),
    0x0C: ("thread.yield", (_FLAG,)),
    0x0D: ("subtask.drop", ()),
    **{0x0E + i: (f"stream.{end}", _END_IMMEDIATES.get(end, (_TYPE,))) for i, end in enumerate(_ENDS)},
    **{0x15 + i: (f"future.{end}", _END_IMMEDIATES.get(end, (_TYPE,))) for i, end in enumerate(_ENDS)},
    0x1F: ("waitable-set.new", ()),
    0x20: ("waitable-set.wait", (_FLAG, _MEMORY)),
    0x21: ("waitable-set.poll", (_FLAG, _MEMORY)),
    0x22: ("waitable-set.drop", ()),
    0x23: ("waitable.join", ()),
    0x24: ("backpressure.inc", ()),
    0x25: ("backpressure.dec", ()),
}
"""Opcode -> name and what stands behind it."""

_UNSUPPORTED = {
    0x08: "backpressure.set",
    0x1C: "error-context.new",
    0x1D: "error-context.debug-message",
    0x1E: "error-context.drop",
    0x26: "thread.index",
    0x27: "thread.new-indirect",
    0x28: "thread.resume-later",
    0x29: "thread.suspend",
    0x2A: "thread.suspend-then-resume",
    0x2B: "thread.yield-then-resume",
    0x2C: "thread.suspend-then-promote",
    0x2D: "thread.yield-then-promote",
    0x40: "thread.spawn-ref",
    0x41: "thread.spawn-indirect",
    0x42: "thread.available-parallelism",
}
_REMEDY = "Build the component with a released version of its SDK, without threads and error contexts."


def read_canon(reader: TypeReader) -> CanonLift | CanonLower | CanonBuiltIn:
    """One canonical definition."""
    opcode = reader.byte()
    if opcode == 0:
        reader.expect(0, "the sort of a core function")
        return CanonLift(reader.u32(), _options(reader), reader.u32())
    if opcode == 1:
        reader.expect(0, "the sort of a function")
        return CanonLower(reader.u32(), _options(reader))
    if opcode in _UNSUPPORTED:
        raise ComponentUnsupported(
            f"the component uses {_UNSUPPORTED[opcode]}, which edged does not have", remedy=_REMEDY
        )
    if opcode not in _BUILT_INS:
        raise reader.malformed(f"an unknown canonical definition, 0x{opcode:02x}")
    name, immediates = _BUILT_INS[opcode]
    found: dict[str, Any] = {}
    for immediate in immediates:
        if immediate == _SLOT:
            found["slot_kind"], found["slot"] = reader.number(), reader.u32()
        elif immediate == _OPTIONS:
            found["options"] = _options(reader)
        elif immediate == _FLAG:
            found["flag"] = reader.flag()
        elif immediate == _RESULT:
            found["result"] = reader.result()
        else:
            found[immediate] = reader.u32()
    return CanonBuiltIn(name, **found)


def _options(reader: TypeReader) -> Options:
    given = reader.vector(lambda: _option(reader), "canonical options")
    options = dict(given)
    if len(options) != len(given):
        raise reader.malformed("a canonical option given twice")
    return Options(**options)


def _option(reader: TypeReader) -> tuple[str, Any]:
    kind = reader.byte()
    if kind < len(_ENCODINGS):
        return "encoding", _ENCODINGS[kind]
    if kind == _ASYNC:
        return "is_async", True
    if kind in _OPTIONS_WITH_INDEX:
        return _OPTIONS_WITH_INDEX[kind], reader.u32()
    if kind in _OPTIONS_UNSUPPORTED:
        raise ComponentUnsupported(f"the component uses the canonical option {_OPTIONS_UNSUPPORTED[kind]}")
    raise reader.malformed(f"an unknown canonical option, 0x{kind:02x}")
