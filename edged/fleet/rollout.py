"""One app on one node: from the deployment that it should run to the release that its workers serve.

    events ── Rollout.handle ──> Plan: what to keep on disk, what to do next, what the workers are given

Theory of operation. The app has up to three places: the release that is `live`, a `candidate` on its way to replace it,
and the `previous` one, which stays prepared for a while after it was replaced. Each goes through the same steps:

    fetch ── Fetched ──> verify ── CheckedOut ──> wait ── Judged(Go) ──> compile, probe ── Prepared ──> ready

Only a candidate waits, and only where its deployment goes in waves (`edged.fleet.wave`).

A candidate that is ready and still what is desired becomes live, and is watched: worker processes that crash under it,
or guests that fail most of their requests, bring the previous release back. A candidate that fails changes nothing
that is served. Either way that deployment is refused, and only a newer one is tried. Faults that pass by themselves
(no peer has the chunk, the disk is full, Vault is away) are tried again, ever more slowly.

Plans are level-triggered: each holds everything, so one that was missed does no harm. `saved` has to be on disk before
`placements` are given to workers: so a node that dies at any moment serves nothing older than before when it is back.
Nothing here reads a clock; `now` is monotonic seconds. Events about a version that has no place any more are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edged.errors import RolloutCrashed, RolloutHeld, RolloutRequestsFailed
from edged.fleet.record import Version
from edged.fleet.report import Stage
from edged.fleet.rollout_event import (
    CheckedOut,
    CheckOutFailed,
    Crashed,
    Desired,
    Event,
    Fetched,
    FetchFailed,
    Judged,
    Prepared,
    PrepareFailed,
    Preparing,
    Requests,
    Target,
    Tick,
)
from edged.fleet.rollout_plan import Placement, Plan, Refused, Saved, Task
from edged.fleet.wave import Go, Held, Verdict, Wait
from edged.limits import (
    ROLLOUT_CRASH_COUNT_MAX,
    ROLLOUT_FAILURE_COUNT_MAX,
    ROLLOUT_RETRY_S_MAX,
    ROLLOUT_RETRY_S_MIN,
    ROLLOUT_WATCH_S,
)

Step = Literal["fetch", "verify", "wait", "compile", "probe", "ready"]


@dataclass(slots=True)
class _Place:
    """A release on its way to be served, or there.

    Attributes:
        retry_at: nothing is done with it before; None if nothing failed.
        tries: that failed since the last step that went well.
        ended, failed: requests since it is live.
    """

    target: Target
    step: Step
    retry_at: float | None = None
    tries: int = 0
    code: str = ""
    message: str = ""
    crashes: int = 0
    ended: int = 0
    failed: int = 0

    def try_later(self, step: Step, code: str, message: str, now: float) -> None:
        wait = min(ROLLOUT_RETRY_S_MIN * 2**self.tries, ROLLOUT_RETRY_S_MAX)
        self.step, self.retry_at, self.tries, self.code, self.message = step, now + wait, self.tries + 1, code, message

    @property
    def fails_requests(self) -> bool:
        return self.failed >= ROLLOUT_FAILURE_COUNT_MAX and self.failed * 2 > self.ended

    @property
    def is_placed(self) -> bool:
        """Whether workers have it."""
        return self.step in ("compile", "probe", "ready") and self.retry_at is None


class Rollout:
    """See the module.

    Args:
        saved: what the last plan before a restart said; none for an app that this node never had.
    """

    def __init__(self, saved: Saved | None = None, *, now: float) -> None:
        saved = saved or Saved()
        self._now = now
        self._floor = saved.floor
        self._refused = saved.refused
        self._desired: Target | None = None
        self._wave: Verdict = Go()
        self._candidate: _Place | None = None
        # Whether they are still whole is for the checkout to find out; it was so when they were saved.
        self._live = _Place(saved.live, "verify") if saved.live else None
        self._previous = _Place(saved.previous, "verify") if saved.previous else None
        self._watch_until = now + ROLLOUT_WATCH_S if saved.watched else None

    def handle(self, event: Event, now: float) -> Plan:
        """Take in what happened, and say what holds from now on. Never raises."""
        self._now = max(now, self._now)
        _HANDLERS[type(event)](self, event)
        for place in self._places():
            if place.retry_at is not None and place.retry_at <= self._now:
                place.retry_at = None
        if self._watch_until is not None and self._watch_until <= self._now:
            self._end_watch()
        self._swap_if_ready()
        return self.plan()

    def plan(self) -> Plan:
        """What holds now."""
        stage, code, message = self._stage()
        live, desired = self._live, self._desired
        placed = [(self._live, True), (self._candidate, False), (self._previous, False)]
        return Plan(
            saved=Saved(
                floor=self._floor,
                live=live.target if live else None,
                watched=self._watch_until is not None,
                previous=self._previous.target if self._previous else None,
                refused=self._refused,
            ),
            task=self._task(),
            placements=tuple(Placement(place.target, serve) for place, serve in placed if place and place.is_placed),
            wake_at=min(self._moments(), default=None),
            stage=stage,
            desired=desired.version.sequence if desired and desired.release else 0,
            running=live.target.version.sequence if live else 0,
            release=live.target.release if live else "",
            code=code,
            message=message,
        )

    # --- events ---

    def _on_desired(self, event: Desired) -> None:
        target = event.target
        if target.version < self._floor or target == self._desired:
            return
        self._floor, self._desired, self._candidate = target.version, target, None
        self._wave = Wait("") if event.waits else Go()
        if not target.release:
            self._live = self._previous = self._watch_until = None
            return
        if self._live is not None and self._live.target.version == target.version:
            if self._live.target == target:
                return
            self._live = self._previous = self._watch_until = None  # the node has come to another region
        if not self._is_refused(target):
            self._candidate = _Place(target, "fetch")

    def _on_fetched(self, event: Fetched) -> None:
        self._advance(event.version, ("fetch",), "verify")

    def _on_checked_out(self, event: CheckedOut) -> None:
        waits = not isinstance(self._wave, Go) and self._place(event.version, ("verify",)) is self._candidate
        self._advance(event.version, ("verify",), "wait" if waits else "compile")

    def _on_judged(self, event: Judged) -> None:
        if self._desired is None or event.version != self._desired.version or isinstance(self._wave, Go):
            return  # what has gone is not called back
        self._wave = event.verdict
        if isinstance(event.verdict, Go):
            self._advance(event.version, ("wait",), "compile")

    def _on_preparing(self, event: Preparing) -> None:
        self._advance(event.version, ("compile", "probe"), event.step)

    def _on_prepared(self, event: Prepared) -> None:
        self._advance(event.version, ("compile", "probe", "ready"), "ready")

    def _on_fetch_failed(self, event: FetchFailed) -> None:
        place = self._place(event.version, ("fetch",))
        if place is not None:
            self._failed(place, "fetch", event.code, event.message, passing=event.passing)

    def _on_check_out_failed(self, event: CheckOutFailed) -> None:
        place = self._place(event.version, ("verify",))
        if place is None:
            return
        if event.incomplete and place.tries == 0:
            place.step, place.tries = "fetch", 1  # at once; but if it comes back for the same reason, slowly
        else:
            step: Step = "fetch" if event.incomplete else "verify"
            self._failed(place, step, event.code, event.message, passing=event.incomplete or event.passing)

    def _on_prepare_failed(self, event: PrepareFailed) -> None:
        place = self._place(event.version, ("compile", "probe", "ready"))
        if place is None:
            return
        if place is not self._live:
            self._failed(place, "compile", event.code, event.message, passing=event.passing)
        elif self._watch_until is not None and self._previous is not None and not event.passing:
            self._revert(event.code, event.message)
        else:
            place.code, place.message = event.code, event.message

    def _on_crashed(self, event: Crashed) -> None:
        place = self._place(event.version, ("compile", "probe", "ready"))
        if place is None or place is self._previous:
            return
        place.crashes += 1
        if place.crashes < ROLLOUT_CRASH_COUNT_MAX:
            return
        code, message = RolloutCrashed.code, f"{place.crashes} worker processes crashed while they had it"
        if place is self._candidate:
            self._failed(place, "compile", code, message, passing=False)
        elif self._watch_until is not None:
            self._revert(code, message)

    def _on_requests(self, event: Requests) -> None:
        place = self._live
        if place is None or place.target.version != event.version or self._watch_until is None:
            return
        place.ended += event.ended
        place.failed += event.failed
        # Without anything to go back to, some answers are better than none.
        if self._previous is not None and place.fails_requests:
            message = f"{place.failed} of its first {place.ended} requests failed"
            self._revert(RolloutRequestsFailed.code, message)

    def _on_tick(self, _event: Tick) -> None:
        pass

    # --- what they come to ---

    def _places(self) -> list[_Place]:
        """Those that there are, the most urgent first."""
        return [place for place in (self._live, self._candidate, self._previous) if place is not None]

    def _place(self, version: Version, steps: tuple[Step, ...]) -> _Place | None:
        """The place of this version, if it waits for an event of these steps."""
        for place in self._places():
            if place.target.version == version:
                return place if place.step in steps and place.retry_at is None else None
        return None

    def _advance(self, version: Version, steps: tuple[Step, ...], step: Step) -> None:
        place = self._place(version, steps)
        if place is not None:
            place.step, place.code, place.message = step, "", ""
            if step == "ready":
                place.tries = 0

    def _failed(self, place: _Place, step: Step, code: str, message: str, *, passing: bool) -> None:
        if passing or place is not self._candidate:
            place.try_later(step, code, message, self._now)
        else:
            self._refused = Refused(place.target.version, False, code, message)
            self._candidate = None

    def _swap_if_ready(self) -> None:
        candidate = self._candidate
        if candidate is None or candidate.step != "ready":
            return
        assert candidate.target == self._desired, "another desire takes the candidate away"
        live = self._live
        if live is not None and (self._watch_until is None or not (live.crashes or live.failed * 2 > live.ended)):
            self._previous = live  # without a complaint so far; else what was before it remains what to go back to
        self._live, self._candidate = candidate, None
        candidate.crashes = 0
        self._watch_until = self._now + ROLLOUT_WATCH_S

    def _revert(self, code: str, message: str) -> None:
        assert self._live is not None
        refused, version = self._refused, self._live.target.version
        if refused is not None and self._desired is not None and self._is_refused(self._desired):
            # What is desired had failed before it was live: that stays known, beside this.
            version, code = refused.version, refused.code
            message = f"{refused.message}; and what was live until now was taken back: {message}"
        self._refused = Refused(version, True, code, message)
        self._live = self._previous
        self._end_watch()

    def _end_watch(self) -> None:
        self._previous = self._watch_until = None

    def _is_refused(self, target: Target) -> bool:
        return self._refused is not None and self._refused.version == target.version

    def _task(self) -> Task | None:
        for place in self._places():
            if place.retry_at is None and place.step in ("fetch", "verify"):
                return Task("fetch" if place.step == "fetch" else "check-out", place.target)
        return None

    def _moments(self) -> list[float]:
        moments = [place.retry_at for place in self._places() if place.retry_at is not None]
        return moments if self._watch_until is None else [*moments, self._watch_until]

    def _stage(self) -> tuple[Stage, str, str]:
        """How far the app is with what is desired; before that is known, with what was live."""
        refused = self._refused
        if self._desired is not None and refused is not None and self._is_refused(self._desired):
            return "reverted" if refused.reverted else "failed", refused.code, refused.message
        place = self._candidate or self._live
        if place is None:
            return "idle", "", ""
        if place.step == "wait":
            return _waiting(self._wave)
        message = place.message or _without(self._wave)
        if place.step == "ready":
            return "live" if place.retry_at is None else "verify", place.code, message
        return place.step, place.code, message


def _waiting(wave: Verdict) -> tuple[Stage, str, str]:
    match wave:
        case Held(reason):
            return "held", RolloutHeld.code, reason
        case Wait(reason):
            return "waiting", "", reason
        case Go():
            raise AssertionError("what may go does not wait")


def _without(wave: Verdict) -> str:
    """What somebody should know of a release that went on without the others."""
    regions = ", ".join(wave.passed_over) if isinstance(wave, Go) else ""
    return f"it did not wait for {regions}, where nobody is heard of" if regions else ""


_HANDLERS: Mapping[type, Callable[[Rollout, Any], None]] = {
    Desired: Rollout._on_desired,
    Fetched: Rollout._on_fetched,
    FetchFailed: Rollout._on_fetch_failed,
    CheckedOut: Rollout._on_checked_out,
    CheckOutFailed: Rollout._on_check_out_failed,
    Judged: Rollout._on_judged,
    Preparing: Rollout._on_preparing,
    Prepared: Rollout._on_prepared,
    PrepareFailed: Rollout._on_prepare_failed,
    Crashed: Rollout._on_crashed,
    Requests: Rollout._on_requests,
    Tick: Rollout._on_tick,
}
