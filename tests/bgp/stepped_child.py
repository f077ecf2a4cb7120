"""`bgp.child` in a process whose wall clock is set by an hour: forward by SIGWINCH, back by SIGURG."""

from __future__ import annotations

import signal
import sys
import time

from bgp import child

_HOUR_S = 3600.0
_now = time.time
_offset_s = 0.0


def _step(number: int, _frame: object) -> None:
    global _offset_s  # noqa: PLW0603 - a clock is one for all
    _offset_s += _HOUR_S if number == signal.SIGWINCH else -_HOUR_S


if __name__ == "__main__":
    time.time = lambda: _now() + _offset_s
    signal.signal(signal.SIGWINCH, _step)
    signal.signal(signal.SIGURG, _step)
    sys.exit(child.main())
