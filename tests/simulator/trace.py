"""All that happened in a simulated world, in its order, as one hash: two runs of a seed are the same if it is."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable

import trio


class Trace:
    """Lines of `time what details`.

    Args:
        tail: so many of the last lines are kept.
        show: called with every line.

    Attributes:
        tail: the last lines.
        count: of all lines.
    """

    def __init__(self, *, tail: int = 0, show: Callable[[str], None] | None = None) -> None:
        self.tail: deque[str] = deque(maxlen=tail)
        self.count = 0
        self._show = show
        self._keeps = tail > 0
        self._hash = hashlib.blake2b(digest_size=16)

    def note(self, what: str, *details: object) -> None:
        """Something happened now.

        Args:
            details: whose `str` is the same in every run: no addresses of objects, no real time.
        """
        line = f"{trio.current_time():.6f} {what} {' '.join(map(str, details))}\n"
        self._hash.update(line.encode(errors="backslashreplace"))
        self.count += 1
        if self._keeps:
            self.tail.append(line[:-1])
        if self._show is not None:
            self._show(line[:-1])

    def digest(self) -> str:
        """Of all lines until now."""
        return self._hash.hexdigest()
