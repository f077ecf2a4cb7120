"""Which workers hang: they live, accept connections, and answer nobody. Pure.

A worker is given time where nobody answers, since that may be the machine, and no blame for what our own loop was too
late to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edged.anycast.probe import Round
from edged.limits import CANARY_LAG_S_MAX, CANARY_SILENT_COUNT, HUNG_ALONE_S_MAX, HUNG_NEW_S_MAX, HUNG_S_MAX


@dataclass(slots=True)
class _Process:
    pid: int
    heard_at: float
    has_answered: bool = False
    unanswered: int = 0

    def patience_s(self, *, others_answer: bool) -> float:
        if others_answer:
            return HUNG_S_MAX
        return HUNG_ALONE_S_MAX if self.has_answered else HUNG_NEW_S_MAX


class Silence:
    """See the module."""

    def __init__(self) -> None:
        self._processes: dict[int, _Process] = {}

    def hung(self, round_: Round, pids: Mapping[int, int], now: float) -> list[int]:
        """The workers that are to be ended, after a round. Each is named once, and then anew after as long.

        Args:
            pids: of the workers that accept connections, by number. A new process has all the time again.
            now: on any one clock, seconds.
        """
        heard = {probe.worker for probe in round_.probes if not probe.silent}
        for worker, pid in pids.items():
            known = self._processes.get(worker)
            if known is None or known.pid != pid or worker in heard:
                self._processes[worker] = _Process(pid, now, worker in heard)
            elif round_.lag_s <= CANARY_LAG_S_MAX:
                known.unanswered += 1
        for worker in self._processes.keys() - pids.keys():
            del self._processes[worker]
        others_answer = bool(heard & pids.keys())
        found = [
            worker
            for worker, known in self._processes.items()
            if known.unanswered >= CANARY_SILENT_COUNT
            and now - known.heard_at >= known.patience_s(others_answer=others_answer)
        ]
        for worker in found:
            del self._processes[worker]
        return found
