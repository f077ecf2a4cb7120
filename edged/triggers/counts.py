"""What a trigger has done since its app was loaded, and waiting until it does nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio


@dataclass(slots=True)
class Counts:
    """Calls of guests, and what a trigger answers itself: `with counts:` is around each. What leaves the block as an
    exception was not served; who raised it counts failures.

    Attributes:
        served: ended well.
        failed: ended by an error of the guest or of ours.
        active: under way.
    """

    served: int = 0
    failed: int = 0
    active: int = 0
    _idle: trio.Event = field(default_factory=trio.Event, repr=False)

    # Not a generator with @contextmanager, which costs each request 2 us.
    def __enter__(self) -> None:
        self.active += 1

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: object) -> None:
        if kind is None:
            self.served += 1
        self.active -= 1
        if not self.active:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Return when nothing is under way."""
        while self.active:
            if self._idle.is_set():
                self._idle = trio.Event()
            await self._idle.wait()
