"""What codecs on linear memory work in: one guest's memory, its allocator and its handles.

Addresses and lengths are a guest's u32s: never negative, but otherwise anything. Nothing here or in the codecs reads or
writes outside of `view`.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Protocol

from edged.errors import GuestBudgetExhausted, GuestTrap
from edged.limits import LIFT_BYTES_MAX, LIST_COUNT_MAX
from edged.wasm import ffi
from edged.wasm import types as wit
from edged.wasm.component.plan import Encoding
from edged.wasm.component.table import HandleTable, Scope

_NOTHING = memoryview(b"")


class HandleOwner(Protocol):
    """The component instance whose handles values refer to.

    Attributes:
        table: its handles.
        defines: numbers of the resource types that it defines itself: it is given a borrow of these as the bare number.
    """

    table: HandleTable
    defines: Container[int]

    def take_stream(self, index: int, ty: wit.Stream) -> Any:
        """Take the readable end at an index out of the table: what the host, or another instance, is given."""

    def give_stream(self, value: Any, ty: wit.Stream) -> int:
        """Put a stream into the table; its index."""

    def take_future(self, index: int, ty: wit.Future) -> Any:
        """As `take_stream`."""

    def give_future(self, value: Any, ty: wit.Future) -> int:
        """As `give_stream`."""


Realloc = Callable[[int, int, int, int], int]
"""A guest's allocator: (old address, old size, alignment, new size) -> address, a u32 that nobody has checked."""


class Context:
    """The memory, allocator and handles that one set of canonical options names, in one instance.

    Args:
        instance: whose handles it is about.
        look: gives the memory as it is now. A memory may be longer at each look but never moves: wasmtime reserves
            all that a 32-bit memory can become. None: the options name no memory, and no value needs one.
        realloc: called for every value that lies behind a pointer, also for one of no length. None: as for `look`.
        list_count_max: values of one list, bytes aside.

    Attributes:
        view: the memory, as long as it was at the last look.
        size: of it, in bytes.
        left: bytes that the guest may still hand over in this call; see `begin`.
        scope: of the call that borrows are lent for, or given for. None where nobody can drop a handle meanwhile.
    """

    __slots__ = ("_look", "_realloc", "encoding", "instance", "left", "list_count_max", "scope", "size", "view")

    def __init__(
        self,
        instance: HandleOwner,
        look: Callable[[], memoryview] | None = None,
        realloc: Realloc | None = None,
        encoding: Encoding = "utf8",
        list_count_max: int = LIST_COUNT_MAX,
    ) -> None:
        self.instance = instance
        self._look = look
        self._realloc = realloc
        self.encoding = encoding
        self.list_count_max = list_count_max
        self.view = _NOTHING if look is None else look()
        self.size = len(self.view)
        self.left = LIFT_BYTES_MAX
        self.scope: Scope | None = None

    def begin(self) -> None:
        """A call begins, whose values may have LIFT_BYTES_MAX together.

        A guest may point to the same bytes any number of times, so its memory does not bound what it hands over.
        """
        self.left = LIFT_BYTES_MAX

    def spend(self, size: int) -> None:
        """Take note of bytes that a guest hands over.

        Raises:
            GuestBudgetExhausted: they are too many in one call.
        """
        self.left -= size
        if self.left < 0:
            raise GuestBudgetExhausted(f"a guest handed over more than {LIFT_BYTES_MAX} bytes of values in one call")

    def grow(self, end: int, what: str = "pointer out of bounds of memory") -> None:
        """Look at the memory again, since it is shorter than what is asked for.

        Args:
            end: first address that need not be there.

        Raises:
            GuestTrap: it is still shorter, with `what` as its reason.
        """
        if self._look is not None:
            self.view = self._look()
            self.size = len(self.view)
        if end > self.size:
            raise GuestTrap(what)

    def alloc(self, align: int, size: int) -> int:
        """Have the guest allocate memory. The guest runs.

        Returns:
            The address of `size` bytes that are there.

        Raises:
            GuestTrap: its allocator trapped, or its answer is not aligned or not inside of the memory.
        """
        assert self._realloc is not None, "`verify` has seen to it"
        address = self._realloc(0, 0, align, size)
        if address & (align - 1):
            raise GuestTrap("realloc return: result not aligned")
        if address + size > self.size:
            self.grow(address + size, "realloc return: beyond end of memory")
        return address

    def close(self) -> None:
        """The store goes, and the memory with it: nothing is reached through this context any more."""
        self._look = self._realloc = None
        self.view = _NOTHING
        self.size = 0


def linear_memory(context: int, where: int) -> Callable[[], memoryview]:
    """A `look` at a memory of a core instance. Costs 0.5 us a look.

    Args:
        context: `wasmtime_context_t*` of the store.
        where: address of the `wasmtime_memory_t`, which must stay there.
    """
    data, data_size, memory = ffi.lib.wasmtime_memory_data, ffi.lib.wasmtime_memory_data_size, ffi.memory_view

    def look() -> memoryview:
        start = data(context, where) or 0
        return memory[start : start + data_size(context, where)]

    return look
