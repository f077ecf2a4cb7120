"""What a host module for core modules is: functions over numbers and linear memory, with no wasmtime in it.

The engine (`edged.wasm.core`) reads what a core module imports, finds the `CoreModule` of the same name, and binds each
function to the method of that name of a session, of which each instance has one:

    session.fd_write(fd, iovs, iovs_len, written) -> errno

Numbers come as they are in the signature: `i` is an i32 and `I` an i64, both unsigned. An answer is one of them, signed
or not, or None. A method may be a `def`, an `async def` or `@may_suspend`, as in `edged.host.interface`. What it raises
means the same too, but there is no `Err`; a `MemoryFault` that leaves it is a trap of the guest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from edged.host.interface import Invocation
from edged.host.memory import Memory


class Signature(NamedTuple):
    """Of one function.

    Attributes:
        params: one letter each: `i` for i32, `I` for i64.
        result: a letter, or nothing.
    """

    params: str
    result: str


class Session(Protocol):
    """The functions of one instance, as methods, and what they keep between calls."""

    def close(self) -> None:
        """The instance has ended: release what it held."""


class CoreModule(Protocol):
    """A module that core modules import functions from. Stateless between requests, so made once.

    Attributes:
        name: that guests import from, as `wasi_snapshot_preview1`.
        functions: name -> signature.
        session: the class whose methods they are.
    """

    @property
    def name(self) -> str: ...

    @property
    def functions(self) -> Mapping[str, Signature]: ...

    @property
    def session(self) -> type[Session]: ...

    def open(self, invocation: Invocation, memory: Memory) -> Session:
        """The session of one instance, made at its first call of this module."""
