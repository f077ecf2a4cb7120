"""Looks at the newest checkpoint every now and then, and says what a freeze would look like. Nothing else follows."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from edged.errors import CheckpointExpired, CheckpointMissed
from edged.fleet.checkpoint import Checkpoint, Verdict, compare
from edged.fleet.record import Version
from edged.fleet.state import FleetState
from edged.limits import CHECKPOINT_GRACE_S, CHECKPOINT_LOOK_S

_SHOWN_COUNT_MAX = 5  # names in a message


class CheckpointWatch:
    """Of one node.

    Args:
        clock: unix time, s: for expiry, and for nothing else.
        monotonic: s: for how long something is missing.
    """

    def __init__(
        self,
        state: FleetState,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = trio.current_time,
    ) -> None:
        self._state = state
        self._clock = clock
        self._monotonic = monotonic
        self._missed_since: float | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            now = self._monotonic()
            await trio.to_thread.run_sync(self.look, now)
            await trio.sleep(CHECKPOINT_LOOK_S)

    def look(self, monotonic: float) -> None:
        """Once, in a thread: ten thousand apps take some ms."""
        view, now = self._state.view, self._clock()
        checkpoint = view.checkpoint
        if checkpoint is None or view.roster is None:
            self._missed_since = None
            return self._say(None, "", "", now)
        roster = Version(view.roster.epoch, view.roster.version)
        verdict = compare(checkpoint, view.heads, roster, now)
        is_behind = bool(verdict.missed) or verdict.differs
        if not is_behind:
            self._missed_since = None
        elif self._missed_since is None:
            self._missed_since = monotonic
        is_late = self._missed_since is not None and monotonic - self._missed_since > CHECKPOINT_GRACE_S
        return self._say(
            checkpoint, _expired(checkpoint, verdict), _missed(checkpoint, verdict) if is_late else "", now
        )

    def _say(self, checkpoint: Checkpoint | None, expired: str, missed: str, now: float) -> None:
        roster = self._state.roster
        subject = f"checkpoint {checkpoint.fleet if checkpoint else roster.fleet if roster else ''}"
        for kind, text in ((CheckpointExpired, expired), (CheckpointMissed, missed)):
            if text:
                self._state.raise_alarm(kind(text), subject, now)
            else:
                self._state.clear_alarm(subject, kind.code)


def _expired(checkpoint: Checkpoint, verdict: Verdict) -> str:
    if not verdict.expired_s:
        return ""
    return f"checkpoint {checkpoint.sequence} has expired, and no newer one has come to this node"


def _missed(checkpoint: Checkpoint, verdict: Verdict) -> str:
    if not verdict.missed:
        return f"this node has other records than checkpoint {checkpoint.sequence} names, under the same numbers"
    shown = ", ".join(verdict.missed[:_SHOWN_COUNT_MAX])
    more = len(verdict.missed) - _SHOWN_COUNT_MAX
    return f"this node lacks what checkpoint {checkpoint.sequence} names: {shown}" + (
        f" and {more} more" if more > 0 else ""
    )
