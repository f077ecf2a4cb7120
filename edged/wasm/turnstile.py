"""Who may compute in this pass of the trio loop, so that a pass stays short however many guests want to.

A pass goes through every task that can go on. Four hundred requests that come at once, of guests that take 3 ms each,
would make it a second long, in which nothing else of the worker moves: no connection, no answer, no sign of life.
"""

from __future__ import annotations

import trio

from edged.limits import PASS_GUEST_S_MAX, PASS_START_COUNT_MAX


class Turnstile(trio.abc.Instrument):
    """Two queues, first come first served: of requests that begin, and of guests that are busy.

    Attributes:
        spent_s: what guests computed in this pass, s. Whoever lets one compute adds to it.
    """

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._spent_before_s = 0.0
        self._busy = trio.Lock()
        self._starting = trio.lowlevel.ParkingLot()
        self._is_letting_in = False
        self._run: trio.lowlevel.TrioToken | None = None

    async def start(self) -> None:
        """Wait until a request may begin to compute: not at all, as long as passes are short."""
        run = trio.lowlevel.current_trio_token()
        if run is not self._run:
            self._begin(run)
        if not self._is_letting_in:
            if self.spent_s < PASS_GUEST_S_MAX:
                return
            self._is_letting_in = True
            trio.lowlevel.spawn_system_task(self._let_in, name="edged.wasm.turnstile")
        await self._starting.park()

    async def wait(self) -> None:
        """Let one busy guest through per pass.

        Without it, ten endless loops would each take their slice between two steps of every other request. With it,
        other requests wait for one slice at most, and the busy ones share what is left.
        """
        async with self._busy:
            await trio.lowlevel.checkpoint()

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - trio's
        """A pass begins."""
        self._spent_before_s, self.spent_s = self.spent_s, 0.0

    def _begin(self, run: trio.lowlevel.TrioToken) -> None:
        """An engine may outlive a run of the loop; its queues do not."""
        self._run = run
        self._busy = trio.Lock()
        self._starting = trio.lowlevel.ParkingLot()
        self._is_letting_in = False
        self.spent_s = 0.0
        trio.lowlevel.add_instrument(self)

    async def _let_in(self) -> None:
        """As many at a time as there was room for before: one, if each takes long, many, if they are small."""
        count = 1
        try:
            while self._starting:
                self._starting.unpark(count=count)
                await trio.lowlevel.checkpoint()  # the pass in which they begin
                await trio.lowlevel.checkpoint()  # and one more, since in that one we may be before them
                if self._spent_before_s > PASS_GUEST_S_MAX:
                    count = max(1, count // 2)
                elif self._spent_before_s < PASS_GUEST_S_MAX / 2:
                    count = min(2 * count, PASS_START_COUNT_MAX)
        finally:
            self._is_letting_in = False
