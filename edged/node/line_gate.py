"""How many lines of each app are read on: so many a second, and what is too much is counted. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass

from edged.limits import LOG_LINES_BURST_MAX, LOG_LINES_S_MAX, LOG_TAIL_APP_COUNT_MAX


@dataclass(slots=True)
class _App:
    room: float
    at: float
    dropped: int = 0


class LineGate:
    """See the module. Times are of one clock, s."""

    def __init__(self) -> None:
        self._apps: dict[str, _App] = {}

    def admits(self, app: str, now: float) -> bool:
        """Whether one more line of an app is read on."""
        each = self._apps.get(app)
        if each is None:
            if len(self._apps) >= LOG_TAIL_APP_COUNT_MAX:
                self._forget(now)
            each = self._apps[app] = _App(LOG_LINES_BURST_MAX, now)
        each.room = min(LOG_LINES_BURST_MAX, each.room + (now - each.at) * LOG_LINES_S_MAX)
        each.at = now
        if each.room < 1:
            each.dropped += 1
            return False
        each.room -= 1
        return True

    def take_dropped(self) -> dict[str, int]:
        """Lines of each app that were not read on since this was last asked."""
        found = {app: each.dropped for app, each in self._apps.items() if each.dropped}
        for app in found:
            self._apps[app].dropped = 0
        return found

    def _forget(self, now: float) -> None:
        """Who has all its room again needs no memory; if all are at it, all begin anew."""
        full_s = LOG_LINES_BURST_MAX / LOG_LINES_S_MAX
        self._apps = {app: each for app, each in self._apps.items() if each.dropped or now - each.at < full_s}
        if len(self._apps) >= LOG_TAIL_APP_COUNT_MAX:
            self._apps.clear()
