"""Whether one prefix is announced: what a node sees of itself, turned into one of three levels. Pure, with no clock.

Theory of operation: each state has rules, in the order in which they are tried. A rule names the state that follows,
and a function that says from which moment on it applies: `_NOW`, a moment to come, or `_NEVER` until something else
happens. One table so gives both what happens at a moment and when to look again, and `deadline` cannot say less than
what `advance` does.

    warming ──► up ◄──► suspect ──► down ◄──► hold-down ──► warming
       └───► degraded ◄──┘           any ──► draining ──► drained ──► warming

Only evidence of this node counts; see docs/adr/0016.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bgp.limits import (
    GATE_DEGRADED_S,
    GATE_DOWN_S,
    GATE_DOWN_S_MAX,
    GATE_DRAIN_S_MAX,
    GATE_FALL,
    GATE_FLAP_DECAY_S,
    GATE_PARTIAL_S,
    GATE_RISE,
    GATE_STALE_S,
    GATE_WARM_S,
)
from bgp.status import GateState, Level

_NOW = -math.inf
_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a node saw of itself in one round.

    Attributes:
        serving: which of its workers answered a request on the prefix's address.
        address_present: the address is this machine's.
        lagging: the event loop is too late to be of use.
        applied: the desired state runs; counts while warming only, since an app that cannot load is the app's fault.
        impaired: why requests should rather go elsewhere (a full disk), as a sentence without its end; "" for not.
        detail: what exactly was seen, for whoever reads the reason; "" for nothing.
    """

    serving: Literal["all", "some", "none"]
    address_present: bool = True
    lagging: bool = False
    applied: bool = True
    impaired: str = ""
    detail: str = ""

    @property
    def bad(self) -> bool:
        """Requests that come here fail."""
        return self.serving == "none" or not self.address_present or self.lagging

    @property
    def good(self) -> bool:
        return self.serving == "all" and not self.bad and not self.impaired

    def __str__(self) -> str:
        """The worst of it, as a sentence without its end."""
        if not self.address_present:
            worst = "the address is not this machine's"
        elif self.lagging:
            worst = "the event loop lags"
        elif self.serving == "none":
            worst = "no worker answers"
        elif self.impaired:
            worst = self.impaired
        elif self.serving == "some":
            worst = "not every worker answers"
        elif not self.applied:
            worst = "the desired state does not run yet"
        else:
            return "every worker answers"
        return f"{worst}: {self.detail}" if self.detail else worst


@dataclass(frozen=True, slots=True)
class GateTimes:
    """See `bgp.limits` for the reasons.

    Attributes:
        rise, fall: observations in a row.
        down_s: of the first withdrawal; doubles with each, up to `down_s_max`.
        stale_s: without an observation, what was seen last counts no more.
    """

    rise: int = GATE_RISE
    fall: int = GATE_FALL
    warm_s: float = GATE_WARM_S
    partial_s: float = GATE_PARTIAL_S
    degraded_s: float = GATE_DEGRADED_S
    down_s: float = GATE_DOWN_S
    down_s_max: float = GATE_DOWN_S_MAX
    flap_decay_s: float = GATE_FLAP_DECAY_S
    stale_s: float = GATE_STALE_S
    drain_s_max: float = GATE_DRAIN_S_MAX


class Gate:
    """Of one prefix. Times are seconds of a clock that never goes back.

    Call `observe` with each round of evidence, and `advance` when `deadline` has come. After a pause of the whole
    process that is one step at a time: nobody is withdrawn for having been stopped.

    Attributes:
        since: when the state was entered.
        flaps: withdrawals for bad health, ever.
    """

    def __init__(self, now: float, times: GateTimes | None = None) -> None:
        self._times = GateTimes() if times is None else times
        self._state: GateState = "warming"
        self._steady: GateState = "up"  # where a suspicion that comes to nothing leads back to
        self._reason = "warming up"
        self.since = now
        self.flaps = 0
        self._goods = self._oks = self._bads = 0  # in a row
        self._evidence: Evidence | None = None
        self._observed = now
        self._partial_since = _NEVER
        self._settled = now  # a degraded prefix is not announced as usual before
        self._hold_until = now
        self._strikes = 0.0  # flaps of late: one less for each flap_decay_s
        self._struck = now

    @property
    def state(self) -> GateState:
        return self._state

    @property
    def level(self) -> Level:
        return _LEVELS[self._steady if self._state == "suspect" else self._state]

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def hold_until(self) -> float:
        """Until when it stays withdrawn although healthy; 0 for not."""
        return self._hold_until if self._state in ("down", "hold-down") else 0.0

    def observe(self, evidence: Evidence, now: float) -> None:
        ok = not evidence.bad and (evidence.applied or self._state != "warming")
        self._bads = self._bads + 1 if evidence.bad else 0
        self._oks = self._oks + 1 if ok else 0
        self._goods = self._goods + 1 if ok and evidence.good else 0
        if evidence.serving == "all":
            self._partial_since = _NEVER
        else:
            self._partial_since = min(self._partial_since, now)
        if self._state != "warming":
            evidence = replace(evidence, applied=True)  # each push is a moment in which it is not, and nobody's fault
        self._evidence, self._observed = evidence, now
        if self._state in ("warming", "up"):
            self._reason = "warming up" if self._state == "warming" and ok and evidence.applied else str(evidence)
        self._follow(now)

    def advance(self, now: float) -> None:
        """Do what time alone makes due."""
        if now >= self._observed + self._times.stale_s:
            self._goods = self._oks = 0  # nothing becomes better by what was seen long ago
        self._follow(now)

    def deadline(self) -> float | None:
        """When to call `advance`, if nothing else is called before; None for never. Nothing changes until then."""
        moment = min((when(self) for when, _ in _RULES[self._state]), default=_NEVER)
        return None if moment == _NEVER else moment

    def drain(self, now: float, reason: str = "draining") -> None:
        """To be preferred by nobody from now on. What is not announced is drained at once."""
        if self._state not in ("draining", "drained"):
            self._enter("drained" if self.level == "withdrawn" else "draining", now, reason)

    def withdraw(self, now: float) -> None:
        """The second step of a drain; without the first it is one, too."""
        if self._state != "drained":
            self._enter("drained", now, self._reason if self._state == "draining" else "draining")

    def undrain(self, now: float) -> None:
        """Back through warming, and before that through what is left of a hold-down: draining is no way around it."""
        if self._state in ("draining", "drained"):
            self._enter("hold-down" if now < self._hold_until else "warming", now)

    # --- rules -----------------------------------------------------------------------------------------------

    def _follow(self, now: float) -> None:
        for _ in _RULES:
            for when, following in _RULES[self._state]:
                if when(self) <= now:
                    self._enter(self._steady if following is None else following, now)
                    break
            else:
                return
        raise AssertionError(f"rules lead in a circle, by way of {self._state}")

    def _enter(self, state: GateState, now: float, reason: str = "") -> None:
        times = self._times
        seen = str(self._evidence)
        before, self._state, self.since = self._state, state, now
        self._reason = reason or seen
        if state == "suspect":
            self._steady = before
            if not self._bads:
                self._reason = f"nothing was observed for {times.stale_s:g} s"
        elif state == "down" and before == "suspect":
            self._reason = seen if self._bads else f"nothing was observed for {2 * times.stale_s:g} s"
            self._hold_until = now + self._strike(now, times.down_s)
            self.flaps += 1
        elif state == "degraded" and before != "suspect":
            self._settled = now + self._strike(now, times.degraded_s)
        elif state == "hold-down":
            self._reason = f"healthy again, and held back: withdrawals for bad health so far: {self.flaps}"
        elif state == "warming":
            self._goods = self._oks = 0
            self._reason = "warming up"
        elif state == "drained" and not reason:
            self._reason = f"while draining: {seen}" if self._bads else "nobody ended a drain"

    def _strike(self, now: float, shortest_s: float) -> float:
        """Count a flap; how long what follows lasts at least, in seconds: twice as long for each flap of late."""
        times = self._times
        most = math.ceil(math.log2(times.down_s_max / times.down_s))
        strikes = max(0.0, self._strikes - (now - self._struck) / times.flap_decay_s)
        self._strikes, self._struck = min(strikes + 1, most), now
        return min(math.ldexp(shortest_s, math.ceil(strikes)), times.down_s_max)

    def _bad(self) -> float:
        return _NOW if self._bads else _NEVER

    def _ok(self) -> float:
        return _NOW if self._oks else _NEVER

    def _failed(self) -> float:
        return _NOW if self._bads >= self._times.fall else _NEVER

    def _stale(self) -> float:
        return max(self.since, self._observed) + self._times.stale_s

    def _cleared(self) -> float:
        return _NOW if not self._bads and self._observed >= self.since else _NEVER

    def _poor(self) -> float:
        if self._evidence is not None and self._evidence.impaired:
            return _NOW
        return self._partial_since + self._times.partial_s

    def _sound(self) -> float:
        return self._settled if self._goods >= self._times.rise else _NEVER

    def _ready(self) -> float:
        return self.since + self._times.warm_s if self._goods >= self._times.rise else _NEVER

    def _ready_poor(self) -> float:
        return max(self.since + self._times.warm_s, self._poor()) if self._oks >= self._times.rise else _NEVER

    def _held(self) -> float:
        return self._hold_until

    def _drain_forgotten(self) -> float:
        return self.since + self._times.drain_s_max


_LEVELS: Mapping[GateState, Level] = {
    "warming": "withdrawn",
    "up": "plain",
    "degraded": "last-resort",
    "down": "withdrawn",
    "hold-down": "withdrawn",
    "draining": "last-resort",
    "drained": "withdrawn",
}  # suspect: that of the state before it

_Rule = tuple[Callable[[Gate], float], GateState | None]  # None: back to the state before the suspicion
_RULES: Mapping[GateState, tuple[_Rule, ...]] = {
    "warming": ((Gate._ready, "up"), (Gate._ready_poor, "degraded")),
    "up": ((Gate._bad, "suspect"), (Gate._stale, "suspect"), (Gate._poor, "degraded")),
    "suspect": ((Gate._failed, "down"), (Gate._stale, "down"), (Gate._cleared, None)),
    "degraded": ((Gate._bad, "suspect"), (Gate._stale, "suspect"), (Gate._sound, "up")),
    "down": ((Gate._ok, "hold-down"),),
    "hold-down": ((Gate._bad, "down"), (Gate._held, "warming")),
    "draining": ((Gate._failed, "drained"), (Gate._drain_forgotten, "drained")),
    "drained": (),
}
