"""When a region's wave may go: a release goes to some regions first, and to the next when those do well with it.

    deployment.waves    ((eu,), (us, ap))
    reports of nodes ──> Wave.verdict ──> Go:   the region's nodes load it
                                          Wait: an earlier wave is on its way, or has not served it for long enough
                                          Held: an earlier wave could not serve it

Evidence is what nodes say of themselves, so it is advice: it may delay a release or stop it on its way, and never
withdraws or deletes anything, nor moves a sequence. A region of which nobody is heard is passed over after a while: a
dead region, or a partition with us on the other side, must not keep releases back for ever. But one that fell silent
*after* it took this very release may have been ended by it, and holds it.

No input or output; `now` is monotonic seconds of the clock that `Board` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edged.fleet.board import Seen
from edged.fleet.deployment import Deployment
from edged.fleet.report import AppReport
from edged.limits import WAVE_SILENCE_S

_FAILED = ("failed", "reverted")
_NAMES_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True)
class Go:
    """It may be loaded.

    Attributes:
        passed_over: regions of earlier waves of which nobody is heard.
    """

    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet. The reason stays the same until something happens, so that it can be shown."""

    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """Not at all, unless those who kept it back do better, or leave the fleet."""

    reason: str


Verdict = Go | Wait | Held

Nodes = Sequence[tuple[str, Seen]]
"""The other nodes of the fleet: region by the roster, and what was heard."""


class Wave:
    """One deployment, for the nodes of one region.

    Args:
        deployment: that names the region.
    """

    def __init__(self, deployment: Deployment, region: str) -> None:
        index = next((at for at, wave in enumerate(deployment.waves) if region in wave), 0)
        self._deployment = deployment
        self._earlier = tuple(name for wave in deployment.waves[:index] for name in wave)
        self._live_since: dict[str, float] = {}
        """By node, when it was first seen to serve it without a break."""
        self._proven: set[str] = set()
        """Regions that have served it for long enough."""

    @property
    def is_first(self) -> bool:
        """Whether there is nothing to wait for."""
        return not self._earlier

    def verdict(self, nodes: Nodes, now: float) -> Verdict:
        """Whether the region's nodes may load it, by what is known now. Never raises."""
        earlier: dict[str, list[Seen]] = {name: [] for name in self._earlier}
        others: list[Seen] = []
        for region, seen in nodes:
            earlier.get(region, others).append(seen)
        serving = {seen.name for group in earlier.values() for seen in group if self._serves(seen)}
        self._live_since = {name: self._live_since.get(name, now) for name in serving}
        found = [self._look(name, group, now, others) for name, group in earlier.items()]
        for kind in (Held, Wait):
            for verdict in found:
                if isinstance(verdict, kind):
                    return verdict
        return Go(tuple(name for name, verdict in zip(self._earlier, found, strict=True) if verdict != Go()))

    def _look(self, region: str, nodes: Sequence[Seen], now: float, others: Sequence[Seen]) -> Verdict:
        """One region of an earlier wave; `others` are nodes of none."""
        for seen in nodes:
            app = self._report(seen)
            if app.desired == self._deployment.sequence and app.stage in _FAILED:
                return Held(f"{region}/{seen.name} {app.stage}: {app.error_message or app.error_code or 'unknown why'}")
        heard = [seen for seen in nodes if seen.state == "up"]
        if not heard:
            return self._look_at_silence(region, nodes, now, others)
        late = [seen for seen in heard if seen.name not in self._live_since]
        if late:
            return Wait(f"{region} does not serve it yet: {_listed(self._place(seen) for seen in late)}")
        if not any(self._served_s(seen, now) >= self._deployment.soak_s for seen in heard):
            return Wait(f"{region} has not served it for {self._deployment.soak_s} s yet")
        self._proven.add(region)
        return Go()

    def _look_at_silence(self, region: str, nodes: Sequence[Seen], now: float, others: Sequence[Seen]) -> Verdict:
        if not nodes or region in self._proven:
            return Go()
        # Who was ahead of us, and is heard of, had seen what is hidden from us.
        others_go = any(map(self._serves, others))
        took = [seen for seen in nodes if self._report(seen).desired == self._deployment.sequence]
        if now - max(seen.since for seen in nodes) <= WAVE_SILENCE_S and (took or not others_go):
            return Wait(f"nobody in {region} is heard of")
        if took:
            return Held(f"nobody in {region} is heard of since {_listed(seen.name for seen in took)} took it")
        return Go((region,))

    def _serves(self, seen: Seen) -> bool:
        app, deployment = self._report(seen), self._deployment
        if seen.state != "up":
            return False
        if app.running == deployment.sequence:
            is_it = app.release in deployment.regions.values()
            return is_it and (app.stage == "live" or app.desired > deployment.sequence)
        return app.running > deployment.sequence

    def _served_s(self, seen: Seen, now: float) -> float:
        """As long as it was seen to, or as it says itself: by its own clock alone, so that none has to be right."""
        watched = now - self._live_since[seen.name]
        app = self._report(seen)
        if seen.report is None or app.desired != self._deployment.sequence:
            return watched
        return max(watched, seen.report.time - app.since)

    def _report(self, seen: Seen) -> AppReport:
        return _NOTHING if seen.report is None else seen.report.apps.get(self._deployment.app, _NOTHING)

    def _place(self, seen: Seen) -> str:
        app = self._report(seen)
        return f"{seen.name} ({app.stage if app.desired == self._deployment.sequence else 'has not begun'})"


_NOTHING = AppReport()


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - _NAMES_SHOWN_MAX
    return ", ".join(found[:_NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
