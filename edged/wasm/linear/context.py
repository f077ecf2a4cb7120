"""What codecs on linear memory work in: one guest's memory, its allocator and its handles.

Addresses and lengths are a guest's u32s: never negative, but otherwise anything. Nothing here or in the codecs reads or
writes outside of `view`.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, NamedTuple, NoReturn, Protocol

from edged.errors import GuestBudgetExhausted, GuestTrap
from edged.limits import LIFT_BYTES_MAX, LIFT_VALUE_BYTES, LIST_COUNT_MAX
from edged.wasm import ffi
from edged.wasm import types as wit
from edged.wasm.canonical_abi import Encoding
from edged.wasm.linear.table import HandleTable, Scope

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


VALUES, STRING, LIST, RESULT = range(4)
"""What a pointer points to: where in `Boundary.bounds`, and the like, the reason of a trap stands."""


class Boundary(NamedTuple):
    """What is different where values leave a guest for its host, and where they go to another guest.

    The reasons of traps are wasmtime's, which has them from different places.

    Attributes:
        list_count_max: values of one list, bytes aside.
        bounds, unaligned: of a pointer of each kind.
        alloc_bounds, alloc_unaligned: of what a guest's allocator returned.
        discriminant: with room for the number and the count of cases.
    """

    list_count_max: int
    bounds: tuple[str, str, str, str]
    unaligned: tuple[str, str, str, str]
    alloc_bounds: tuple[str, str, str]
    alloc_unaligned: str
    discriminant: str
    char: str
    utf8: str
    utf16: str


TO_HOST = Boundary(
    list_count_max=LIST_COUNT_MAX,
    bounds=(
        "pointer out of bounds",
        "string pointer/length out of bounds of memory",
        "list pointer/length out of bounds of memory",
        "pointer out of bounds of memory",
    ),
    unaligned=(
        "pointer not aligned",
        "string pointer not aligned to 2",
        "list pointer is not aligned",
        "return pointer not aligned",
    ),
    alloc_bounds=("realloc return: beyond end of memory",) * 3,
    alloc_unaligned="realloc return: result not aligned",
    discriminant="discriminant {} out of range [0..{})",
    char="converted integer out of range for `char`",
    utf8="invalid utf-8 in a string",
    utf16="invalid utf-16 in a string: unpaired surrogate found",
)
BETWEEN_GUESTS = Boundary(
    list_count_max=LIFT_BYTES_MAX // LIFT_VALUE_BYTES,
    bounds=(
        "wasm trap: out of bounds memory access",
        "wasm trap: string content out-of-bounds",
        "wasm trap: list content out-of-bounds",
        "wasm trap: out of bounds memory access",
    ),
    unaligned=("wasm trap: unaligned pointer",) * 4,
    alloc_bounds=(
        "wasm trap: out of bounds memory access",
        "wasm trap: string content out-of-bounds",
        "wasm trap: list content out-of-bounds",
    ),
    alloc_unaligned="wasm trap: unaligned pointer",
    discriminant="wasm trap: invalid variant discriminant",
    char="wasm trap: invalid `char` bit pattern",
    utf8="invalid utf8 encoding",
    utf16="invalid utf16 encoding",
)

Realloc = Callable[[int, int, int, int], int]
"""A guest's allocator: (old address, old size, alignment, new size) -> address, a u32 that nobody has checked."""


class Context:
    """The memory, allocator and handles that one set of canonical options names, in one instance.

    Args:
        instance: whose handles it is about.
        look: gives the memory as it is now. A memory may be longer at each look but never moves: wasmtime reserves
            all that a 32-bit memory can become. None: the options name no memory, and no value needs one.
        realloc: called for every value that lies behind a pointer, also for one of no length. None: as for `look`.
        boundary: what is on the other side.

    Attributes:
        view: the memory, as long as it was at the last look.
        size: of it, in bytes.
        left: bytes that the guest may still hand over in this call. A guest may point to the same bytes any number of
            times, so its memory does not bound what it hands over: LIFT_BYTES_MAX do, set by whatever begins to lift.
        taken: what has been taken out of the table, and how it is put back, while several values are lifted.
        scope: of the call that borrows are lent for, or given for. None where nobody can drop a handle meanwhile.
    """

    __slots__ = ("_look", "_realloc", "boundary", "encoding", "instance", "left", "scope", "size", "taken", "view")

    def __init__(
        self,
        instance: HandleOwner,
        look: Callable[[], memoryview] | None = None,
        realloc: Realloc | None = None,
        encoding: Encoding = "utf8",
        boundary: Boundary = TO_HOST,
    ) -> None:
        self.instance = instance
        self._look = look
        self._realloc = realloc
        self.encoding = encoding
        self.boundary = boundary
        self.view = _NOTHING if look is None else look()
        self.size = len(self.view)
        self.left = LIFT_BYTES_MAX
        self.scope: Scope | None = None
        self.taken: list[tuple[Callable[[Context, Any], int], Any]] | None = None

    def overspent(self) -> NoReturn:
        """`left` has fallen below zero."""
        raise GuestBudgetExhausted(f"a guest handed over more than {LIFT_BYTES_MAX} bytes of values in one call")

    def grow(self, end: int, kind: int = VALUES) -> None:
        """Look at the memory again, since it is shorter than what is asked for.

        Args:
            end: first address that need not be there.
            kind: of what is asked for, for the trap's reason.

        Raises:
            GuestTrap: it is still shorter.
        """
        self._look_again()
        if end > self.size:
            raise GuestTrap(self.boundary.bounds[kind])

    def check(self, address: int, size: int, align: int, kind: int = VALUES) -> None:
        """Raises GuestTrap unless `size` bytes at an address of the guest's are there, and it is aligned."""
        if address & (align - 1):
            raise GuestTrap(self.boundary.unaligned[kind])
        if address + size > self.size:
            self.grow(address + size, kind)

    def alloc(self, align: int, size: int, kind: int = VALUES) -> int:
        """Have the guest allocate memory. The guest runs.

        Args:
            kind: of what it is for, for the trap's reason: VALUES, STRING or LIST.

        Returns:
            The address of `size` bytes that are there.

        Raises:
            GuestTrap: its allocator trapped, or its answer is not aligned or not inside of the memory.
        """
        assert self._realloc is not None, "`verify` has seen to it"
        address = self._realloc(0, 0, align, size)
        if address & (align - 1):
            raise GuestTrap(self.boundary.alloc_unaligned)
        if address + size > self.size:
            self._look_again()
            if address + size > self.size:
                raise GuestTrap(self.boundary.alloc_bounds[kind])
        return address

    def _look_again(self) -> None:
        if self._look is not None:
            self.view = self._look()
            self.size = len(self.view)

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
