"""What all sections of a component are read with: counted vectors, sorts, names and aliases.

Source: component model, `design/mvp/Binary.md`, "Instance Definitions", "Alias Definitions" and "Import and Export
Definitions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edged.errors import ComponentTooLarge
from edged.limits import COMPONENT_DEPTH_MAX, COMPONENT_ITEM_COUNT_MAX
from edged.wasm.plan.definitions import AliasCoreExport, AliasExport, AliasOuter, Sort
from edged.wasm.plan.reader import Reader

_Item = TypeVar("_Item")

_SORTS: dict[int, Sort] = {1: "func", 2: "value", 3: "type", 4: "component", 5: "instance"}
_CORE_SORTS: dict[int, Sort] = {
    0x00: "core func",
    0x01: "core table",
    0x02: "core memory",
    0x03: "core global",
    0x04: "core tag",
    0x10: "core type",
    0x11: "core module",
    0x12: "core instance",
}
_NUMBERS = {0x7F: "i", 0x7E: "I", 0x7D: "f", 0x7C: "F"}
_NAME_PLAIN = (0x00, 0x01)  # the second has been an interface's in older drafts
_NAME_WITH_ATTRIBUTES = 0x02
_ATTRIBUTES = ("implements", "versionsuffix", "external-id")


class Budget:
    """How many items of all kinds a component may still have: sections, definitions, fields, arguments, options."""

    __slots__ = ("left",)

    def __init__(self, items: int = COMPONENT_ITEM_COUNT_MAX) -> None:
        self.left = items

    def take(self, count: int) -> None:
        """
        Raises:
            ComponentTooLarge: there are not as many left.
        """
        self.left -= count
        if self.left < 0:
            raise ComponentTooLarge(
                f"the component has more than {COMPONENT_ITEM_COUNT_MAX} definitions, types and names",
                remedy="Import and export only what the component uses.",
            )


class DefinitionReader(Reader):
    """Reads what sections of a component have in common.

    Args:
        budget: shared by all readers of one file.
        depth: components and types that stand around this part.
    """

    __slots__ = ("budget", "depth")

    def __init__(self, data: bytes | memoryview, start: int, end: int, budget: Budget, depth: int) -> None:
        super().__init__(data, start, end)
        self.budget = budget
        self.depth = depth

    def vector(self, read: Callable[[], _Item], what: str, *, least: int = 0) -> tuple[_Item, ...]:
        """Items that `read` reads, counted."""
        count = self.count(COMPONENT_ITEM_COUNT_MAX, what)
        if count < least:
            raise self.malformed(f"{count} {what}: {least} are the fewest that may be")
        self.budget.take(count)
        return tuple([read() for _ in range(count)])

    def optional(self, read: Callable[[], _Item]) -> _Item | None:
        return read() if self.flag() else None

    def flag(self) -> bool:
        byte = self.byte()
        if byte > 1:
            raise self.malformed(f"0x{byte:02x} where 0 or 1 has to be")
        return byte == 1

    def expect(self, byte: int, what: str) -> None:
        found = self.byte()
        if found != byte:
            raise self.malformed(f"0x{found:02x} where {what} has to be")

    def sort(self) -> Sort:
        byte = self.byte()
        known = _CORE_SORTS if byte == 0 else _SORTS
        key = self.byte() if byte == 0 else byte
        if key not in known:
            raise self.malformed(f"an unknown sort, 0x{key:02x}")
        return known[key]

    def core_sort(self) -> Sort:
        byte = self.byte()
        if byte not in _CORE_SORTS:
            raise self.malformed(f"an unknown core sort, 0x{byte:02x}")
        return _CORE_SORTS[byte]

    def sort_index(self) -> tuple[Sort, int]:
        return self.sort(), self.u32()

    def extern_name(self) -> str:
        """A name of an import or export. Its attributes are for tools: linking goes by the name."""
        form = self.byte()
        if form not in _NAME_PLAIN and form != _NAME_WITH_ATTRIBUTES:
            raise self.malformed(f"an unknown form of name, 0x{form:02x}")
        name = self.name()
        if form == _NAME_WITH_ATTRIBUTES:
            given = self.vector(self._attribute, "attributes of a name")
            if len(set(given)) != len(given):
                raise self.malformed("an attribute of a name given twice")
        return name

    def _attribute(self) -> str:
        kind = self.byte()
        if kind >= len(_ATTRIBUTES):
            raise self.malformed(f"an unknown attribute of a name, 0x{kind:02x}")
        self.name()
        return _ATTRIBUTES[kind]

    def alias(self) -> AliasExport | AliasCoreExport | AliasOuter:
        sort = self.sort()
        target = self.byte()
        if target == 0:
            return AliasExport(sort, self.u32(), self.name())
        if target == 1:
            return AliasCoreExport(sort, self.u32(), self.name())
        if target == 2:
            return AliasOuter(sort, self.u32(), self.u32())
        raise self.malformed(f"an unknown target of an alias, 0x{target:02x}")

    def number(self) -> str:
        """A core number type, as its letter."""
        kind = self.byte()
        if kind not in _NUMBERS:
            raise self.malformed(f"0x{kind:02x} where a core number type has to be")
        return _NUMBERS[kind]

    def enter(self) -> None:
        """Go one component or type deeper.

        Raises:
            ComponentTooLarge
        """
        self.depth += 1
        if self.depth > COMPONENT_DEPTH_MAX:
            raise ComponentTooLarge(
                f"the component nests components and types more than {COMPONENT_DEPTH_MAX} deep",
                remedy="Compose the component of fewer layers.",
            )
