"""What a host module is: a WIT interface written as a Python class, with no wasmtime in it.

A module of `edged.host` provides one or more subclasses of `Interface`. The engine (`edged.wasm.linker`)
reads the component's own imports, finds the Interface of the same name, and binds each imported function:

| WIT                          | Python                                                          |
|------------------------------|-----------------------------------------------------------------|
| `f: func(a: A) -> R`         | `interface.f(invocation, a)`                                      |
| `constructor(a: A)` of `r`   | `interface.r_constructor(invocation, a)`                          |
| `g: static func(a: A)` of `r` | `interface.r_g(invocation, a)`                                   |
| `m: func(a: A)` of `r`       | `m(self, a)` of the class that `resources` names for `r`          |
| drop of an own handle of `r` | `drop(self)` of that class, also at the end of the request        |

Kebab-case becomes snake_case. A `def` answers at once; an `async def` suspends the guest and runs as part of the
request's own trio task. A suspension costs about 10 us, so a method that mostly can answer at once is a `def` marked
`@may_suspend`: it returns the value, or a coroutine that the guest is then suspended on. Values:

| WIT                  | Python                                                                            |
|----------------------|-----------------------------------------------------------------------------------|
| integers, bool, f32.. | int, bool, float; `char` and `string`: str                                        |
| `list<u8>`           | bytes in; any bytes-like out. Other lists: list in, sequence out                  |
| record, tuple        | tuple in field order (give a NamedTuple a name where that helps)                   |
| variant              | `"case"` without payload, `("case", payload)` with one                             |
| enum; flags          | the case's name; frozenset of names                                               |
| option<T>            | None or the value (`Some(value)` only where T is itself an option)                |
| result<T, E>         | as the function's result: return the ok value, raise `Err(e)`; elsewhere Ok / Err |
| own<r>, borrow<r>    | the Python object itself                                                          |
| stream<T>, future<T> | a reader in, a source out: see `edged.host.channel`                               |

A function that WIT calls `async` is the same to a host module: an `async def`, or a `def` that may answer at once. The
guest goes on while it is awaited, so several such calls of one request may be under way.

Any other exception that leaves a host function is our own fault: the request ends with `host.failed`,
except the errors of `edged.errors.GuestError`, which end it as themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from edged.host.budget import Budget
from edged.host.chain import Chain
from edged.host.output import OutputSink

if TYPE_CHECKING:
    import trio

    from edged.host.command import Command


class Err(Exception):
    """The err case of a WIT result: raised to answer with it, or a plain value inside other values."""

    __slots__ = ("value",)

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Err) and self.value == other.value

    def __hash__(self) -> int:
        return hash((Err, self.value))


@dataclass(frozen=True, slots=True)
class Ok:
    """The ok case of a WIT result that is not the function's own result."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Some:
    """An option that is there, where its payload is itself an option."""

    value: Any


F = TypeVar("F", bound=Callable[..., Any])


def may_suspend(method: F) -> F:
    """Mark a host method that returns either its value or a coroutine for it."""
    method.may_suspend = True  # type: ignore[attr-defined]
    return method


class Resource:
    """Base of host resource classes. The engine keeps the object as long as the guest owns a handle."""

    __slots__ = ()

    def drop(self) -> None:
        """Release what the object holds. Called once, by the guest's drop or at the request's end."""


@dataclass(slots=True)
class Invocation:
    """One call of a guest, as the host sees it: who is calling, where its output goes, what it may use.

    Attributes:
        chain: where this call stands among those that led to it.
        command: arguments, variables and streams of this call alone, for a guest that is run as a program.
        nursery: where host functions start tasks that go on beside the guest, as one that empties a guest's stream.
            Set by the runtime for as long as the call lasts, and cancelled at its end; None on WASI 0.2's path.
    """

    request_id: str
    stdout: OutputSink
    stderr: OutputSink
    budget: Budget = field(default_factory=Budget)
    chain: Chain = field(default_factory=Chain)
    command: Command | None = None
    nursery: trio.Nursery | None = None

    def close(self) -> None:
        """The call has ended: emit what is left of its output."""
        self.stdout.close()
        self.stderr.close()


RUNNING: ContextVar[Invocation] = ContextVar("RUNNING")
"""The call that this trio task runs a guest for, where its instance may serve several.

What a guest got in one call it may use in another. A resource that is to tell them apart asks here.
"""


class Interface:
    """One WIT interface. Subclasses set the class variables and define the methods.

    Attributes:
        wit: name without version, as `wasi:io/streams`.
        versions: version prefixes that this class serves: `0.2` serves 0.2.0 to 0.2.x, but no `-rc`.
        resources: WIT resource name -> Python class, for the resources that this interface owns.
    """

    wit: ClassVar[str]
    versions: ClassVar[tuple[str, ...]] = ("0.2",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {}
