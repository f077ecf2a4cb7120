"""How values lie in memory and in core parameters, as far as linking has to know: sizes, and core signatures.

Values themselves are moved by codecs; these figures are what their core functions are checked against.

Source: component model, `design/mvp/CanonicalABI.md`, "Alignment", "Element Size", "Flattening".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from edged.wasm.canonical_abi import ASYNC_PARAMS_FLAT_MAX, PARAMS_FLAT_MAX, RESULTS_FLAT_MAX, align_to, join
from edged.wasm.plan.plan import CanonOptions, CoreSignature
from edged.wasm.types import (
    Enum,
    FixedList,
    Flags,
    Function,
    Future,
    Handle,
    List,
    Option,
    Primitive,
    Record,
    Result,
    Stream,
    Tuple,
    Variant,
    WitType,
)


class Layout(NamedTuple):
    """Of one type.

    Attributes:
        size, align: in memory, in bytes.
        flat: letters of its core values; None for more than PARAMS_FLAT_MAX, which are never passed as such.
        points: a value of it refers to memory outside of itself: a string, a list.
        borrows: it holds a borrowed handle.
        nodes: types that it is made of, all written out.
        depth: of those inside each other.
    """

    size: int
    align: int
    flat: str | None
    points: bool = False
    borrows: bool = False
    nodes: int = 1
    depth: int = 1


_PRIMITIVES = {
    "BOOL": Layout(1, 1, "i"),
    "S8": Layout(1, 1, "i"),
    "U8": Layout(1, 1, "i"),
    "S16": Layout(2, 2, "i"),
    "U16": Layout(2, 2, "i"),
    "S32": Layout(4, 4, "i"),
    "U32": Layout(4, 4, "i"),
    "S64": Layout(8, 8, "I"),
    "U64": Layout(8, 8, "I"),
    "F32": Layout(4, 4, "f"),
    "F64": Layout(8, 8, "F"),
    "CHAR": Layout(4, 4, "i"),
    "STRING": Layout(8, 4, "ii", points=True),
}
_HANDLE = Layout(4, 4, "i")
_NOTHING = Layout(0, 1, "")


class Layouts:
    """Layouts of types, each worked out once: by identity, since equal types may be written out without end.

    Whoever asks keeps the types alive as long as this.
    """

    def __init__(self) -> None:
        self._known: dict[int, Layout] = {}

    def of(self, ty: WitType | None) -> Layout:
        """Of `ty`, or of nothing."""
        if ty is None:
            return _NOTHING
        found = self._known.get(id(ty))
        if found is None:
            found = self._known[id(ty)] = self._work_out(ty)
        return found

    def _work_out(self, ty: WitType) -> Layout:
        match ty:
            case Primitive(kind):
                return _PRIMITIVES[kind]
            case Handle(_, owned):
                return _HANDLE._replace(borrows=not owned)
            case Stream(inner) | Future(inner):
                return _around(_HANDLE, [self.of(inner)])
            case List(element):
                return _around(_PRIMITIVES["STRING"], [self.of(element)])
            case FixedList(element, length):
                return _fixed_list(self.of(element), length)
            case Tuple(elements):
                return _record([self.of(element) for element in elements])
            case Record(fields):
                return _record([self.of(field) for _, field in fields])
            case Variant(cases):
                return _variant([self.of(payload) for _, payload in cases])
            case Option(payload):
                return _variant([_NOTHING, self.of(payload)])
            case Result(ok, err):
                return _variant([self.of(ok), self.of(err)])
            case Enum(names):
                return _variant([_NOTHING] * len(names))
            case Flags(names):
                size = 1 if len(names) <= 8 else 2 if len(names) <= 16 else 4
                return Layout(size, size, "i", nodes=1 + len(names))

    def flat(self, types: Iterable[WitType | None]) -> str | None:
        """Letters of values one after the other; None for more than PARAMS_FLAT_MAX."""
        return _joined([self.of(ty).flat for ty in types])

    def points(self, types: Iterable[WitType | None]) -> bool:
        return any(self.of(ty).points for ty in types)

    def lift_signature(self, function: Function, options: CanonOptions) -> CoreSignature:
        """What a core function has to have that is lifted to `function`."""
        params = self.flat(function.params)
        if options.is_async:
            return CoreSignature("i" if params is None else params, "" if options.callback is None else "i")
        result = self.of(function.result).flat
        spills = result is None or len(result) > RESULTS_FLAT_MAX
        return CoreSignature("i" if params is None else params, "i" if spills or result is None else result)

    def lower_signature(self, function: Function, options: CanonOptions) -> CoreSignature:
        """What the core function has that `function` is lowered to."""
        params = self.flat(function.params)
        result = self.of(function.result).flat
        if options.is_async:
            if params is None or len(params) > ASYNC_PARAMS_FLAT_MAX:
                params = "i"
            return CoreSignature(params + ("i" if function.result is not None else ""), "i")
        if params is None:
            params = "i"
        if result is None or len(result) > RESULTS_FLAT_MAX:
            return CoreSignature(params + "i", "")
        return CoreSignature(params, result)


def _joined(flats: Iterable[str | None]) -> str | None:
    letters = ""
    for flat in flats:
        if flat is None or len(letters) + len(flat) > PARAMS_FLAT_MAX:
            return None
        letters += flat
    return letters


def _around(own: Layout, inner: list[Layout]) -> Layout:
    """`own`, and what is known of everything inside of it."""
    return own._replace(
        borrows=own.borrows or any(layout.borrows for layout in inner),
        nodes=1 + sum(layout.nodes for layout in inner),
        depth=1 + max((layout.depth for layout in inner), default=0),
    )


def _fixed_list(element: Layout, length: int) -> Layout:
    flat = None
    if element.flat is not None and len(element.flat) * length <= PARAMS_FLAT_MAX:
        flat = element.flat * length
    own = Layout(element.size * length, element.align, flat, element.points)
    return _around(own, [element])


def _record(fields: list[Layout]) -> Layout:
    position = 0
    align = max((field.align for field in fields), default=1)
    for field in fields:
        position = align_to(position, field.align) + field.size
    own = Layout(
        align_to(position, align),
        align,
        _joined(field.flat for field in fields),
        any(field.points for field in fields),
    )
    return _around(own, fields)


def _variant(cases: list[Layout]) -> Layout:
    discriminant = 1 if len(cases) <= 1 << 8 else 2 if len(cases) <= 1 << 16 else 4
    align = max(discriminant, *(case.align for case in cases))
    payload = max(case.size for case in cases)
    own = Layout(
        align_to(align_to(discriminant, max(case.align for case in cases)) + payload, align),
        align,
        _cases_flat(cases),
        any(case.points for case in cases),
    )
    return _around(own, cases)


def _cases_flat(cases: list[Layout]) -> str | None:
    """Slots that any case's values fit into, behind the discriminant."""
    flats = [case.flat for case in cases if case.flat is not None]
    slots = join(flats)
    return "i" + slots if len(flats) == len(cases) and len(slots) < PARAMS_FLAT_MAX else None
