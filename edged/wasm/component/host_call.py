"""What host functions leave to be done beside the guest: coroutines that answer it, and tasks of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from edged.errors import GuestError, HostFailed
from edged.host.interface import Err
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
    """

    __slots__ = ("_call", "_coroutine", "_finish", "_name", "_scope", "is_alone", "is_answered", "is_lost")

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
