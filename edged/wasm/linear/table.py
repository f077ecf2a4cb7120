"""The handle table of one component instance: resources, and whatever else the component model numbers for a guest.

An index is the only thing that a guest has of what is not in its own memory, so every use of one is checked here: that
there is something, and that it is of the kind and type that the guest's own signature says. The messages of traps are
wasmtime's, since the component model's tests compare them.

Source: CanonicalABI.md, "Table State" and "Resource State".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edged.errors import GuestBudgetExhausted, GuestTrap

INDEX_MAX = 2**28 - 2
"""The component model keeps the upper four bits of an index for itself, and one more."""


class Scope:
    """What one call has to give back: handles that were lent for it, and borrows that it was given.

    A task counts the borrows that its guest still has; a subtask holds the handles that its caller has lent. Both begin
    with none.
    """

    __slots__ = ("borrows", "lenders")

    def __init__(self) -> None:
        self.borrows = 0
        self.lenders: list[ResourceHandle] = []

    def give_back(self) -> None:
        """The call is over for its caller: what was lent may be dropped again."""
        for handle in self.lenders:
            handle.lends -= 1
        self.lenders.clear()

    def check_returned(self) -> None:
        """The call is over for its callee.

        Raises:
            GuestTrap: it has still got borrows.
        """
        if self.borrows:
            raise GuestTrap("borrow handles still remain at the end of the call")


class ResourceHandle:
    """One handle of a resource.

    Attributes:
        resource: number of the resource type, as in `edged.wasm.types.Handle`.
        rep: what the handle stands for: the Python object of a resource of the host's, the number that a guest gave for
            one of its own.
        lends: calls under way that it was lent for.
        scope: of a borrow: the call that it was given for. None: it is an own handle.
    """

    __slots__ = ("lends", "rep", "resource", "scope")

    def __init__(self, resource: int, rep: Any, scope: Scope | None = None) -> None:
        self.resource = resource
        self.rep = rep
        self.lends = 0
        self.scope = scope


class HandleTable:
    """Entries by index. The lowest index is 1; one that is free again is given out first.

    Args:
        count_max: entries at once.
    """

    __slots__ = ("_count_max", "_entries", "_free")

    def __init__(self, count_max: int) -> None:
        assert count_max <= INDEX_MAX
        self._count_max = count_max
        self._entries: list[Any] = [None]
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._entries) - 1 - len(self._free)

    def __iter__(self) -> Iterator[Any]:
        """What is in the table, whatever it is, lowest index first."""
        return (entry for entry in self._entries if entry is not None)

    # --- entries of any kind ---

    def add(self, entry: Any) -> int:
        """Put something into the table.

        Returns:
            Its index.

        Raises:
            GuestBudgetExhausted: the table is full.
        """
        if self._free:
            index = self._free.pop()
            self._entries[index] = entry
            return index
        index = len(self._entries)
        if index > self._count_max:
            raise GuestBudgetExhausted(f"more than {self._count_max} resource handles at once")
        self._entries.append(entry)
        return index

    def get(self, index: int) -> Any:
        """What is at an index.

        Args:
            index: a guest's u32.

        Raises:
            GuestTrap: nothing is.
        """
        entries = self._entries
        entry = entries[index] if index < len(entries) else None
        if entry is None:
            raise GuestTrap(f"unknown handle index {index}")
        return entry

    def remove(self, index: int) -> Any:
        """Take out what is at an index.

        Raises:
            GuestTrap: nothing is.
        """
        entry = self.get(index)
        self._entries[index] = None
        self._free.append(index)
        return entry

    def clear(self) -> list[Any]:
        """Take out everything. Returns it, lowest index first."""
        entries = list(self)
        self._entries = [None]
        self._free = []
        return entries

    # --- resources ---

    def add_own(self, resource: int, rep: Any) -> int:
        """A new own handle: `resource.new`, and the lowering of an `own<r>`."""
        return self.add(ResourceHandle(resource, rep))

    def add_borrow(self, resource: int, rep: Any, scope: Scope) -> int:
        """A new borrow, which the call must drop before it returns."""
        index = self.add(ResourceHandle(resource, rep, scope))
        scope.borrows += 1
        return index

    def resource(self, index: int, resource: int) -> ResourceHandle:
        """The handle at an index, own or borrow.

        Raises:
            GuestTrap: there is none, or it is of another type.
        """
        entries = self._entries
        entry = entries[index] if index < len(entries) else None
        if entry.__class__ is ResourceHandle and entry.resource == resource:
            return entry
        self.get(index)
        if entry.__class__ is not ResourceHandle:
            raise GuestTrap(f"index {index} is not a resource")
        raise GuestTrap(
            f"handle index {index} used with the wrong type, expected guest-defined resource but found a different "
            "guest-defined resource"  # said of the host's too: wasmtime tells them apart only in the host's own table
        )

    def lend(self, index: int, resource: int, scope: Scope | None) -> Any:
        """What a handle stands for, for a call: the lifting of a `borrow<r>`.

        Args:
            scope: of the call; None where the guest cannot drop the handle before the call is over.

        Raises:
            GuestTrap: as `resource`.
        """
        handle = self.resource(index, resource)
        if scope is not None:
            handle.lends += 1
            scope.lenders.append(handle)
        return handle.rep

    def take_own(self, index: int, resource: int) -> Any:
        """Take out an own handle, and return what it stood for: the lifting of an `own<r>`.

        Raises:
            GuestTrap: as `resource`, or it is lent, or a borrow.
        """
        handle = self.resource(index, resource)
        if handle.lends:
            raise GuestTrap("cannot remove owned resource while borrowed")
        if handle.scope is not None:
            raise GuestTrap("cannot lift own resource from a borrow")
        self._entries[index] = None
        self._free.append(index)
        return handle.rep

    def drop(self, index: int, resource: int) -> ResourceHandle:
        """Take out a handle: `resource.drop`. The destructor, where it is an own handle, is the caller's to run.

        Raises:
            GuestTrap: as `resource`, or it is lent.
        """
        handle = self.resource(index, resource)
        if handle.lends:
            raise GuestTrap("cannot remove owned resource while borrowed")
        if handle.scope is not None:
            handle.scope.borrows -= 1
        self._entries[index] = None
        self._free.append(index)
        return handle
