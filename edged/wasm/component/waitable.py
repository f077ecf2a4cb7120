"""What a guest can wait for, and the sets that it waits on.

A waitable has an event or none; a set knows which of its waitables have one and who waits for them, so that neither an
event nor a wait looks through the others: a guest may have thousands.

Source: CanonicalABI.md, "Waitable State" and "Subtask State".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from edged.wasm.component.messages import SET_DROP, SUBTASK_DROP, SYNC_IN_SET, trap_if
from edged.wasm.linear.table import HandleTable, Scope

Event = tuple[int, int, int]
"""Code, index of the waitable, payload."""

NONE, SUBTASK, STREAM_READ, STREAM_WRITE, FUTURE_READ, FUTURE_WRITE, TASK_CANCELLED = range(7)
BLOCKED = 0xFFFF_FFFF
"""What an operation answers that goes on by itself."""


class Waitable:
    """Something that has an event at times.

    Attributes:
        index: in its instance's table.
        event: makes the event when it is delivered; None: there is none.
        is_waited: a trampoline is parked on it, outside of any set.
    """

    __slots__ = ("_set", "_woken", "event", "index", "is_waited")

    def __init__(self) -> None:
        self.index = 0
        self.event: Callable[[], Event] | None = None
        self.is_waited = False
        self._set: WaitableSet | None = None
        self._woken: Callable[[], None] | None = None

    @property
    def is_in_set(self) -> bool:
        return self._set is not None

    def set_event(self, event: Callable[[], Event]) -> None:
        """There is an event now, in place of one that nobody has taken."""
        self.event = event
        woken = self._woken
        if woken is not None:
            self._woken = None
            woken()
        elif self._set is not None:
            self._set.add_ready(self)

    def take_event(self) -> Event:
        """Deliver the event."""
        event = self.event
        assert event is not None
        self.event = None
        if self._set is not None:
            self._set.ready.pop(self, None)
        return event()

    def wait(self, woken: Callable[[], None]) -> None:
        """Call `woken` once there is an event: for a trampoline that is parked on this one alone."""
        self._woken = woken

    def join(self, new: WaitableSet | None) -> None:
        """Be in a set, or in none.

        Raises:
            GuestTrap: a trampoline is parked on it.
        """
        trap_if(self.is_waited, SYNC_IN_SET)
        old = self._set
        if old is not None:
            old.count -= 1
            old.ready.pop(self, None)
        self._set = new
        if new is not None:
            new.count += 1
            if self.event is not None:
                new.add_ready(self)

    def check_alone(self) -> None:
        """
        Raises:
            GuestTrap: it is in a set, so that nobody may wait for it alone.
        """
        trap_if(self._set is not None, SYNC_IN_SET)


class WaitableSet:
    """Waitables that are waited for together.

    Attributes:
        count: of its waitables.
        ready: those with an event, the oldest first.
        waiting: how many wait on it, whether or not there is something for them.
        waiters: those that nothing was there for: called to look again.
    """

    __slots__ = ("count", "ready", "waiters", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.ready: dict[Waitable, None] = {}
        self.waiting = 0
        self.waiters: deque[Callable[[], None]] = deque()

    def add_ready(self, waitable: Waitable) -> None:
        self.ready[waitable] = None
        if self.waiters:
            self.waiters.popleft()()

    def take_event(self) -> Event:
        """The oldest event."""
        return next(iter(self.ready)).take_event()

    def check_droppable(self) -> None:
        """
        Raises:
            GuestTrap: it is in use.
        """
        trap_if(self.count or self.waiting, SET_DROP)


class SubtaskState(IntEnum):
    STARTING = 0
    STARTED = 1
    RETURNED = 2
    CANCELLED_BEFORE_STARTED = 3
    CANCELLED_BEFORE_RETURNED = 4


_RETURNED = SubtaskState.RETURNED


class Subtask(Waitable):
    """A call that a guest made and that did not answer at once.

    Attributes:
        scope: handles that were lent for it.
        is_delivered: its caller knows how it ended.
        is_cancelling: its caller asked for its end.
        cancel: asks whoever runs it.
    """

    __slots__ = ("cancel", "is_cancelling", "is_delivered", "scope", "state")

    def __init__(self, scope: Scope | None) -> None:
        super().__init__()
        self.state = SubtaskState.STARTING
        self.scope = scope
        self.is_delivered = False
        self.is_cancelling = False
        self.cancel: Callable[[], None] | None = None

    @property
    def is_resolved(self) -> bool:
        return self.state >= _RETURNED

    def started(self) -> None:
        self.state = SubtaskState.STARTED
        if self.index:
            self.set_event(self.deliver)

    def resolved(self, is_returned: bool) -> None:
        """It has ended: it returned a value, or was cancelled."""
        if is_returned:
            self.state = SubtaskState.RETURNED
        elif self.state is SubtaskState.STARTING:
            self.state = SubtaskState.CANCELLED_BEFORE_STARTED
        else:
            self.state = SubtaskState.CANCELLED_BEFORE_RETURNED
        if self.index:
            self.set_event(self.deliver)

    def deliver(self) -> Event:
        """Tell the caller its state; once that is final, what was lent may be dropped."""
        if self.state >= _RETURNED and not self.is_delivered:
            self.is_delivered = True
            if self.scope is not None:
                self.scope.give_back()
        return SUBTASK, self.index, self.state

    def add_to(self, table: HandleTable) -> int:
        """Its index for the guest, with its state."""
        self.index = table.add(self)
        return int(self.state) | self.index << 4

    def check_droppable(self) -> None:
        """
        Raises:
            GuestTrap: its caller does not know yet how it ended.
        """
        trap_if(not self.is_delivered, SUBTASK_DROP)


def waitable(table: HandleTable, index: int) -> Waitable:
    """
    Raises:
        GuestTrap: there is no waitable at that index.
    """
    found = table.get(index)
    trap_if(not isinstance(found, Waitable), "handle is not a waitable")
    return found  # type: ignore[no-any-return]


def entry(table: HandleTable, index: int, kind: type[Any], what: str) -> Any:
    """What is at an index.

    Args:
        what: of the message, if it is of another kind.

    Raises:
        GuestTrap: there is nothing, or something else.
    """
    found = table.get(index)
    trap_if(found.__class__ is not kind, what)
    return found
