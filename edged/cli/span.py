"""Lengths of time, as people type them."""

from __future__ import annotations

import re

from edged.errors import UsageError

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_span = re.compile(r"([0-9]{1,6})([smhd])").fullmatch


def parse_span(text: str) -> int:
    """Seconds of `90s`, `30m`, `12h` or `7d`.

    Raises:
        UsageError
    """
    match = _span(text)
    if not match or match[1].strip("0") == "":
        raise UsageError(f"{text!r} is no length of time", remedy="Write it as 90s, 30m, 12h or 7d.")
    return int(match[1]) * _UNITS_S[match[2]]
