"""What a key-value store has to be able to do, whoever keeps the values.

Limits on keys and values are held in `interfaces.py`: what reaches an engine is within them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

_integer = re.compile(rb"[+-]?[0-9]{1,19}").fullmatch
_S64 = range(-(2**63), 2**63)


class Later(Enum):
    """The answer of a `get_nowait` that would have to wait."""

    LATER = "later"


LATER = Later.LATER


class StoreFailed(Exception):
    """The engine could not do it. The message is for the guest: it names no file, address or secret of the node."""


class KeyValue(Protocol):
    """One store. Every method may be called by many tasks at once, and is one atomic step.

    All raise `StoreFailed`.
    """

    def get_nowait(self, key: str) -> bytes | Later | None:
        """The value, None where there is none, `LATER` where only `get_many` can tell.

        For engines that have what is asked for most at hand: a guest that gets it is not suspended, which costs more
        than the rest.
        """

    async def get_many(self, keys: Sequence[str], bytes_max: int) -> Sequence[bytes | None]:
        """The values in order, None where there is none. Fails if they are more than `bytes_max` in all."""

    async def set_many(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        """Set all, or fail and set none."""

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Delete all that are there."""

    async def exists(self, key: str) -> bool: ...

    async def keys(self, after: str, count_max: int) -> Sequence[str]:
        """The first `count_max` keys after that one, by code points; all from the first one on for `after` empty.

        An engine without snapshots may list or leave out what is set or deleted meanwhile.
        """

    async def increment(self, key: str, delta: int) -> int:
        """Add to the number that the value is (see `incremented`) and return the sum."""

    async def swap(self, key: str, expected: bytes | None, value: bytes) -> bool:
        """Set the value if it is `expected`, None for no value. Returns whether it was."""


def incremented(value: bytes | None, delta: int) -> int:
    """The sum, of a value that is a decimal number of 64 bits, or no value.

    Raises:
        StoreFailed: the value is something else, or the sum has more than 64 bits.
    """
    number = 0
    if value is not None:
        if not _integer(value):
            raise StoreFailed("the value is not a decimal number")
        number = int(value)
    if number not in _S64 or number + delta not in _S64:
        raise StoreFailed("the number does not fit into 64 bits")
    return number + delta
