"""`wasi:clocks` 0.3: monotonic-clock, system-clock, timezone. The same clocks as 0.2's."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, ClassVar, NamedTuple

import trio

from edged.host.clocks import NANOSECONDS
from edged.host.interface import Interface, Invocation, may_suspend
from edged.host.wasi3 import VERSIONS


class Instant(NamedTuple):
    """`record instant`: seconds since 1970-01-01T00:00:00Z, negative before, and nanoseconds after that."""

    seconds: int
    nanoseconds: int


def instant_from_ns(time_ns: int) -> Instant:
    return Instant(*divmod(time_ns, NANOSECONDS))


class MonotonicClock(Interface):
    """`wasi:clocks/monotonic-clock`. Marks and durations are nanoseconds."""

    wit: ClassVar[str] = "wasi:clocks/monotonic-clock"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def now(self, _invocation: Invocation) -> int:
        # Rounded, not cut: a mark that a guest waited for must not read one nanosecond short of it.
        return round(trio.current_time() * NANOSECONDS)

    def get_resolution(self, _invocation: Invocation) -> int:
        return 1

    @may_suspend
    def wait_until(self, _invocation: Invocation, when: int) -> Coroutine[Any, Any, None] | None:
        return _sleep_until(when / NANOSECONDS)

    @may_suspend
    def wait_for(self, _invocation: Invocation, how_long: int) -> Coroutine[Any, Any, None] | None:
        # From now on, whenever the runtime comes to await it.
        return _sleep_until(trio.current_time() + how_long / NANOSECONDS)


def _sleep_until(deadline_s: float) -> Coroutine[Any, Any, None] | None:
    return trio.sleep_until(deadline_s) if deadline_s > trio.current_time() else None


class SystemClock(Interface):
    """`wasi:clocks/system-clock`."""

    wit: ClassVar[str] = "wasi:clocks/system-clock"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def now(self, _invocation: Invocation) -> Instant:
        return instant_from_ns(time.time_ns())

    def get_resolution(self, _invocation: Invocation) -> int:
        return 1


class Timezone(Interface):
    """`wasi:clocks/timezone` (unstable in 0.3.0). It is always UTC: a guest does not learn where its node stands."""

    wit: ClassVar[str] = "wasi:clocks/timezone"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def iana_id(self, _invocation: Invocation) -> str | None:
        return "UTC"

    def utc_offset(self, _invocation: Invocation, _when: Instant) -> int | None:
        return 0

    def to_debug_string(self, _invocation: Invocation) -> str:
        return "UTC"
