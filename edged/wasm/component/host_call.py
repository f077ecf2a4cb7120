"""What host functions leave to be done beside the guest: coroutines that answer it, and tasks of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from edged.errors import GuestBudgetExhausted, GuestError, HostFailed
from edged.host.interface import Err
from edged.limits import HOST_CALLS_HELD_BYTES_MAX, HOST_CALLS_HELD_MAX, MiB
from edged.wasm.component.release import release
from edged.wasm.store import failure_of

if TYPE_CHECKING:
    from edged.wasm.component.call import Call


class HostCall:
    """A coroutine of a host function's that is under way.

    Args:
        finish: a turn with its value, or with what it raised as the err case.
        is_alone: the task that called it is parked until then.

    Attributes:
        is_lost: it was cancelled, and there will be no such turn.
        lost: called then.
    """

    __slots__ = ("_call", "_coroutine", "_finish", "_name", "_scope", "is_alone", "is_answered", "is_lost", "lost")

    def __init__(
        self,
        call: Call,
        coroutine: Coroutine[Any, Any, Any],
        finish: Callable[[Any, Err | None], None],
        name: str,
        is_alone: bool,
    ) -> None:
        self.is_alone = is_alone
        self._call = call
        self._coroutine = coroutine
        self._finish = finish
        self._name = name
        self._scope = trio.CancelScope()
        self.is_answered = False
        self.is_lost = False
        self.lost: Callable[[], None] | None = None

    async def run(self) -> None:
        call = self._call
        value: Any = None
        caught: Err | None = None
        try:
            with self._scope:
                try:
                    value = await self._coroutine
                except Err as err:
                    caught = err
            if not self._scope.cancelled_caught:
                self.is_answered = True
                call.advance(Arrival(self._name, self._finish, value, caught))
        except Exception as exc:
            self.is_answered = True
            call.advance(partial(_raise, failure_of(self._name, exc)))
        finally:
            self.is_lost = not self.is_answered
            if self.is_lost and self.lost is not None:
                self.lost()
            call.miss_task()

    def cancel(self) -> None:
        """Nobody wants its value any more."""
        self._scope.cancel()

    def close(self) -> None:
        """It was never begun."""
        self._coroutine.close()


class Arrival:
    """The turn in which a guest is given what its host call came to."""

    __slots__ = ("_caught", "_finish", "_name", "_value")

    def __init__(self, name: str, finish: Callable[[Any, Err | None], None], value: Any, caught: Err | None) -> None:
        self._name = name
        self._finish = finish
        self._value = value
        self._caught = caught

    def __call__(self) -> None:
        try:
            self._finish(self._value, self._caught)
        except (GuestError, HostFailed):
            raise
        except Exception as exc:  # as of a value that is of another type than the guest imports the function with
            raise failure_of(self._name, exc) from exc

    def discard(self) -> None:
        """The call is over, and there will be no such turn."""
        release(self._value if self._caught is None else self._caught)


class HostRoom:
    """How much of the host's memory host calls of one request hold: arguments, which a guest may make of the same bytes
    any number of times, and answers until the guest takes them.

    Attributes:
        size_bytes: of arguments.
    """

    __slots__ = ("_call", "_count", "_waiting", "size_bytes")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._count = 0
        self._waiting: deque[Callable[[], None]] = deque()
        self.size_bytes = 0

    @property
    def is_full(self) -> bool:
        return self._count >= HOST_CALLS_HELD_MAX or self.size_bytes >= HOST_CALLS_HELD_BYTES_MAX

    def check(self) -> None:
        """Of a call that cannot wait for its turn, since the guest is in the middle of its code.

        Raises:
            GuestBudgetExhausted: those under way hold as much as they may.
        """
        if self.size_bytes >= HOST_CALLS_HELD_BYTES_MAX:
            raise GuestBudgetExhausted(
                f"the guest's calls of the host that wait hold more than {HOST_CALLS_HELD_BYTES_MAX // MiB} MiB"
            )

    def take(self, size_bytes: int) -> None:
        """A host call is under way."""
        self._count += 1
        self.size_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        """It is over, and the guest has its answer."""
        self._count -= 1
        self.size_bytes -= size_bytes
        self.begin_next()

    def wait(self, begin: Callable[[], None]) -> None:
        """Have a turn when there is room. It begins with `take_turn`, and ends with `begin_next`."""
        self._waiting.append(begin)

    def take_turn(self, begin: Callable[[], None]) -> bool:
        """False: others have taken the room, and there will be another turn."""
        self._count -= 1
        if self.is_full:
            self._waiting.appendleft(begin)
        return not self.is_full

    def give_up(self, begin: Callable[[], None]) -> None:
        """Have none any more."""
        if begin in self._waiting:
            self._waiting.remove(begin)

    def begin_next(self) -> None:
        """Let those begin that there may be room for: how large their arguments are shows in their turns."""
        while self._waiting and not self.is_full:
            self._count += 1
            self._call.schedule(self._waiting.popleft())


class Tasks:
    """What `Invocation.nursery` is while a call runs: a nursery that is made when something is started in it."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def start_soon(self, function: Callable[..., Awaitable[Any]], *arguments: Any, name: object = None) -> None:
        self._call.start(partial(_named, function, arguments, name))


async def _named(function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], _name: object) -> None:
    await function(*arguments)


def _raise(failure: BaseException) -> None:
    raise failure
