"""Values that were meant for a guest and do not reach it: what they own has no owner then, and is let go of here.

A host function that gives a connection, or a body, has handed it over. Where the guest cannot be given it, for an
address that is none or a table that is full, or does not want it any more, nobody else would ever drop it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from edged.host.interface import Err, Ok, Resource, Some
from edged.wasm.component.pipe import End
from edged.wasm.linear.table import ResourceHandle

if TYPE_CHECKING:
    from edged.wasm.linear.context import Context
    from edged.wasm.linear.table import HandleTable


def release(value: Any, table: HandleTable | None = None) -> Exception | None:
    """Drop the resources in a value, and close its streams and futures. What could not be is returned.

    Args:
        value: as in `edged.host.interface`.
        table: has what of the value came through, which is left there.
    """
    return _release(value, () if table is None else _held(table))


def releasing(give: Callable[[Context, Any], Any]) -> Callable[[Context, Any], Any]:
    """The same lowering of a value, which lets go of what it could not give."""

    def give_all(context: Context, value: Any) -> Any:
        try:
            return give(context, value)
        except BaseException:
            release(value, context.instance.table)
            raise

    return give_all


def releasing_at(give: Callable[[Context, int, Any], None]) -> Callable[[Context, int, Any], None]:
    """The same of one that stores it at an address."""

    def give_all(context: Context, address: int, value: Any) -> None:
        try:
            give(context, address, value)
        except BaseException:
            release(value, context.instance.table)
            raise

    return give_all


def _held(table: HandleTable) -> Collection[int]:
    """Identities of what a table has."""
    held = set()
    for entry in table:
        if entry.__class__ is ResourceHandle:
            held.add(id(entry.rep))
        elif entry.__class__ is End and entry.pipe.writer is not None:
            held.add(id(entry.pipe.writer.source))
    return held


def _release(value: Any, held: Collection[int]) -> Exception | None:
    if isinstance(value, tuple | list):
        failures = [_release(part, held) for part in value]
        return next(filter(None, failures), None)
    if isinstance(value, Ok | Err | Some):
        return _release(value.value, held)
    let_go = value.drop if isinstance(value, Resource) else getattr(value, "close", None)
    if let_go is not None and id(value) not in held:
        try:
            let_go()
        except Exception as exc:
            return exc
    return None
