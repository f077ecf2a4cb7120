"""Where a guest's stdout and stderr go."""

from __future__ import annotations

from typing import Protocol


class OutputSink(Protocol):
    """Takes a guest's output bytes as they come; never blocks, never raises, bounds itself."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None:
        """The request ended: emit what is left of an unfinished line."""
