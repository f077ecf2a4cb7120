"""A guest's side of the canonical ABI without a guest: memory, an allocator, handles."""

from __future__ import annotations

from typing import Any

from edged.wasm import types as wit
from edged.wasm.linear.context import Context
from edged.wasm.linear.table import HandleTable

PAGE = 65_536


class FakeInstance:
    """A component instance whose streams and futures are entries of its table like any other."""

    def __init__(self, handles_max: int = 100) -> None:
        self.table = HandleTable(handles_max)
        self.defines: set[int] = set()

    def take_stream(self, index: int, ty: wit.Stream) -> Any:
        kind, value = self.table.remove(index)
        assert kind == ty
        return value

    def give_stream(self, value: Any, ty: wit.Stream) -> int:
        return self.table.add((ty, value))

    def take_future(self, index: int, ty: wit.Future) -> Any:
        kind, value = self.table.remove(index)
        assert kind == ty
        return value

    def give_future(self, value: Any, ty: wit.Future) -> int:
        return self.table.add((ty, value))


class FakeMemory:
    """Linear memory and an allocator that hands out one piece after the other. It grows as it has to.

    Attributes:
        room: all that it can become.
        size: bytes that it has.
        top: where the next allocation is.
        calls: alignment and size of each allocation.
        answer: of the next allocations, instead of an honest address.
    """

    def __init__(self, size: int = PAGE, start: int = 1_024) -> None:
        self.room = bytearray(max(size, 8 * PAGE))
        self.size = size
        self.top = start
        self.calls: list[tuple[int, int]] = []
        self.answer: int | None = None

    def look(self) -> memoryview:
        return memoryview(self.room)[: self.size]

    def realloc(self, old: int, old_size: int, align: int, size: int) -> int:
        assert old == old_size == 0
        self.calls.append((align, size))
        if self.answer is not None:
            return self.answer
        address = -(-self.top // align) * align
        self.top = address + size
        if self.top > self.size:
            self.size = -(-self.top // PAGE) * PAGE
        return address

    def context(self, instance: FakeInstance | None = None, **options: Any) -> Context:
        return Context(instance or FakeInstance(), self.look, self.realloc, **options)
