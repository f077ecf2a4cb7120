"""Calls of guests by guests: how deep one stands among them, and how many there are.

    a client ── guest ── Chain.call() ── guest ── Chain.call() ── guest
                  '── Chain.call() ── guest

Each has budgets of its own, so that without a count of all of them one request could have every instance of a worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from edged.limits import CHAIN_CALLS_OPEN_MAX, CHAIN_DEPTH_MAX


class ChainTooDeep(Exception):
    """Calls have led to calls too often: most likely they go round in a circle."""


class ChainTooWide(Exception):
    """As many calls are under way as one from outside may lead to."""


@dataclass(slots=True)
class _Calls:
    """Under way of one call from outside, at whatever depth."""

    left: int = CHAIN_CALLS_OPEN_MAX


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a call of a guest stands; as it is made, one from outside.

    Attributes:
        depth: how many calls of other guests led to this one.
    """

    depth: int = 0
    _calls: _Calls = field(default_factory=_Calls, repr=False, compare=False)

    @contextmanager
    def call(self) -> Iterator[Chain]:
        """One more call, which the guest of this one makes.

        Raises:
            ChainTooDeep, ChainTooWide
        """
        if self.depth >= CHAIN_DEPTH_MAX:
            raise ChainTooDeep
        calls = self._calls
        if calls.left < 1:
            raise ChainTooWide
        calls.left -= 1
        try:
            yield Chain(self.depth + 1, calls)
        finally:
            calls.left += 1
