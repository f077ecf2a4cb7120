"""Leaving without a failed request: kept connections end, others are preferred, the prefix goes, stragglers end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import trio

from bgp.limits import DRAIN_CLOSE_S, DRAIN_LINGER_S, DRAIN_LINGER_S_LEAST, DRAIN_LOOK_S, DRAIN_PROOF_S, DRAIN_SHIFT_S
from bgp.status import DrainReport

Step = Literal["closing", "shifting", "withdrawing", "lingering", "drained", "cut short", "undrained"]


class Draining(Protocol):
    """What a drain acts on."""

    def stay_away(self, reason: str) -> None:
        """Drain every gate that announces nothing: nobody comes back while a drain begins."""

    def close_connections(self, on: bool) -> None:
        """Have answers say that their connection ends, or no longer."""

    def shift(self, reason: str) -> bool:
        """Every gate's `drain`, for a reason; whether anything is still announced, as a last resort."""

    def withdraw(self) -> None:
        """Every gate's `withdraw`."""

    def undrain(self) -> None:
        """Every gate's `undrain`."""

    async def wait_proven(self, timeout_s: float) -> bool:
        """Until the withdrawal was seen to be sent to every established peer; whether it was, in time."""

    def connections(self) -> int:
        """That are open."""

    async def cease(self) -> None:
        """End the sessions (Cease), and the speaker. Called where this machine stops, and not otherwise."""


@dataclass(frozen=True, slots=True)
class DrainTimes:
    """In seconds; `bgp.limits` has the reasons.

    Attributes:
        close_s: for connections that are kept: once routers turn away, whoever goes on using one is reset.
        linger_s: for connections that stay open, after the withdrawal.
        linger_s_least: although there are none: routers further away send new ones until they know.
    """

    close_s: float = DRAIN_CLOSE_S
    shift_s: float = DRAIN_SHIFT_S
    proof_s: float = DRAIN_PROOF_S
    linger_s: float = DRAIN_LINGER_S
    linger_s_least: float = DRAIN_LINGER_S_LEAST


class Drain:
    """Of one node, again and again. One runs at a time: who asks meanwhile gets the end of that.

    Args:
        wall_clock: unix seconds, for the report.
        changed: told each report, when a step begins and at the end.
    """

    def __init__(
        self,
        node: Draining,
        times: DrainTimes,
        *,
        wall_clock: Callable[[], float],
        changed: Callable[[DrainReport], None],
    ) -> None:
        self._node = node
        self._times = times
        self._wall_clock = wall_clock
        self._changed = changed
        self._report: DrainReport | None = None
        self._ended = trio.Event()
        self._ended.set()
        self._hurry = trio.Event()
        self._undrained = False

    @property
    def report(self) -> DrainReport | None:
        """Of the drain that runs, or of the last; None if there was none."""
        return self._report

    async def run(self, reason: str, *, leave: bool = False) -> DrainReport:
        """Until the node is drained, or the drain was cut short or undone.

        A node that is drained already stays so, and its report is that of the drain before.

        Args:
            leave: the node stops: its sessions end, too, unless the drain was undone meanwhile.
        """
        while not self._ended.is_set():
            await self._ended.wait()
        report = self._report
        if report is None or report.step == "undrained":
            report = await self._steps(reason)
        if leave and report.step != "undrained":
            await self._node.cease()
        return report

    def cut_short(self) -> None:
        """Withdraw now, if that is still to come, and wait for nothing more. What is open is closed by the end."""
        self._hurry.set()

    def undrain(self) -> None:
        """Back through warming, from wherever a drain is, or after it."""
        if self._report is None or self._report.step == "undrained":
            self._node.undrain()  # drained since its start, by what another run of the program wrote down
            self._node.close_connections(False)
            return
        self._undrained = True
        self._hurry.set()
        if self._ended.is_set():
            self._undo()

    async def _steps(self, reason: str) -> DrainReport:
        node, times = self._node, self._times
        self._ended, self._hurry, self._undrained = trio.Event(), trio.Event(), False
        self._report = DrainReport(reason=reason, started=self._wall_clock(), ended=0.0, step="closing")
        try:
            self._changed(self._report)
            node.stay_away(reason)
            node.close_connections(True)
            await self._wait(times.close_s)
            if not self._hurry.is_set():
                self._step("shifting")
                if node.shift(reason):
                    await self._wait(times.shift_s)
            if not self._undrained:
                self._step("withdrawing")
                node.withdraw()
                await self._prove()
            if not self._undrained:
                self._step("lingering")
                await self._linger()
        finally:
            # Also if it is cancelled: whatever ends a drain leaves the prefix withdrawn, or warming.
            try:
                if self._undrained:
                    self._undo()
                else:
                    self._leave_withdrawn()
            finally:
                self._ended.set()
        return self._report

    def _leave_withdrawn(self) -> None:
        assert self._report is not None, "the end of no drain"
        self._node.withdraw()
        hurried = self._hurry.is_set() or self._report.step != "lingering"
        self._report = replace(self._report, connections_left=self._node.connections())
        self._step("cut short" if hurried else "drained")

    def _undo(self) -> None:
        self._node.undrain()
        self._node.close_connections(False)
        self._step("undrained")

    def _step(self, step: Step) -> None:
        assert self._report is not None, "a step of no drain"
        ended = self._wall_clock() if step in ("drained", "cut short", "undrained") else 0.0
        self._report = replace(self._report, step=step, ended=ended)
        self._changed(self._report)

    async def _wait(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._hurry.wait()

    async def _prove(self) -> None:
        assert self._report is not None
        async with trio.open_nursery() as nursery:

            async def prove() -> None:
                assert self._report is not None
                if await self._node.wait_proven(self._times.proof_s):
                    self._report = replace(self._report, withdrawal_proven=True)
                nursery.cancel_scope.cancel()

            nursery.start_soon(prove)
            await self._wait(self._times.proof_s)
            nursery.cancel_scope.cancel()

    async def _linger(self) -> None:
        times = self._times
        start = trio.current_time()
        await self._wait(min(times.linger_s_least, times.linger_s))
        while not self._hurry.is_set() and self._node.connections() and trio.current_time() < start + times.linger_s:
            await self._wait(DRAIN_LOOK_S)
