"""`wasi:clocks`: monotonic-clock, wall-clock, timezone.

Monotonic time is trio's, so that a test's clock is the guest's clock too. The clock of timezone is always UTC: a guest
does not learn where its node stands.
"""

from __future__ import annotations

import time
from typing import ClassVar, NamedTuple

import trio

from edged.host.interface import Interface, Invocation
from edged.host.poll import Deadline, Pollable

NANOSECONDS = 1_000_000_000


class Datetime(NamedTuple):
    """`record datetime`: seconds since 1970-01-01T00:00:00Z, and nanoseconds below one second."""

    seconds: int
    nanoseconds: int


def datetime_from_ns(time_ns: int) -> Datetime:
    """Times before 1970 cannot be told to a guest and become 1970."""
    return Datetime(*divmod(max(time_ns, 0), NANOSECONDS))


class MonotonicClock(Interface):
    """`wasi:clocks/monotonic-clock`. Instants and durations are nanoseconds."""

    wit: ClassVar[str] = "wasi:clocks/monotonic-clock"

    def now(self, _invocation: Invocation) -> int:
        # Rounded, not cut: an instant that a guest waited for must not read one nanosecond short of it.
        return round(trio.current_time() * NANOSECONDS)

    def resolution(self, _invocation: Invocation) -> int:
        return 1

    def subscribe_instant(self, _invocation: Invocation, when: int) -> Pollable:
        return Pollable(Deadline(when / NANOSECONDS))

    def subscribe_duration(self, _invocation: Invocation, when: int) -> Pollable:
        return Pollable(Deadline(trio.current_time() + when / NANOSECONDS))


class WallClock(Interface):
    """`wasi:clocks/wall-clock`."""

    wit: ClassVar[str] = "wasi:clocks/wall-clock"

    def now(self, _invocation: Invocation) -> Datetime:
        return datetime_from_ns(time.time_ns())

    def resolution(self, _invocation: Invocation) -> Datetime:
        return Datetime(0, 1)


class TimezoneDisplay(NamedTuple):
    """`record timezone-display`. The offset is in seconds."""

    utc_offset: int
    name: str
    in_daylight_saving_time: bool


class Timezone(Interface):
    """`wasi:clocks/timezone` (unstable in all of 0.2)."""

    wit: ClassVar[str] = "wasi:clocks/timezone"

    def display(self, _invocation: Invocation, _when: Datetime) -> TimezoneDisplay:
        return TimezoneDisplay(0, "UTC", False)

    def utc_offset(self, _invocation: Invocation, _when: Datetime) -> int:
        return 0
