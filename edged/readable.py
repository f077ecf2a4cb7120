"""Text from anyone, made safe to show."""

from __future__ import annotations

import re

# C0 without tab, DEL and C1 (escape sequences begin with one of these), line and paragraph separators, and the marks
# that turn text around: a line must read in the order it was written.
_steering = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]").sub


def readable(value: object) -> str:
    """A value as text in which no character steers a terminal or ends the line."""
    return _steering(lambda match: match[0].encode("unicode_escape").decode(), str(value))
