"""When a cron trigger runs: an expression with seconds, as Spin's cron plugin reads it, in UTC.

| field        | values    | besides numbers                                                                      |
|--------------|-----------|--------------------------------------------------------------------------------------|
| second       | 0-59      |                                                                                      |
| minute       | 0-59      |                                                                                      |
| hour         | 0-23      |                                                                                      |
| day of month | 1-31      | `L`: the last day of the month                                                       |
| month        | 1-12      | JAN-DEC                                                                              |
| day of week  | 0-7       | SUN-SAT; 0 and 7 are Sunday; `5#2`: the 2nd Friday of a month, `5#L`, `5L`: the last |
| year         | 1970-2099 | may be left out                                                                      |

Every field is a list of `*` (or `?`, the same), `A`, `A-B`, `*/N`, `A/N` (from A on) and `A-B/N`. A day has to fit both
its fields, day of month and day of week: that is the plugin's rule, while crontab(5) is content with either. `@yearly`,
`@annually`, `@monthly`, `@weekly`, `@daily` and `@hourly` stand for an expression. What other readers of cron
expressions know and the plugin does not (Quartz' `W`, Sunday as 1, ranges that wrap around) is an error, never a guess.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType

from edged.limits import CRON_EXPRESSION_CHARS_MAX

EXAMPLE = "0 */5 * * * *"
"""Every five minutes."""

_YEARS = range(1970, 2100)
_NONE: Mapping[str, int] = MappingProxyType({})
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_NICKNAMES = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}

_NUMBER = re.compile(r"[0-9]{1,4}")
_STEPS = re.compile(r"([^/-]+)(?:-([^/-]+))?(?:/([0-9]{1,4}))?")
_NTH = re.compile(r"([0-9A-Z]+?)(?:#([1-5L])|L)")
_LAST_WEEK = "L"


class ScheduleError(ValueError):
    """An expression that cannot be read, or that no moment fits. The text says why, to stand behind the expression."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A set of moments, each a whole second. Made by `parse_schedule`.

    Attributes:
        expression: as it was written.
    """

    expression: str
    _seconds: tuple[int, ...]
    _minutes: tuple[int, ...]
    _hours: tuple[int, ...]
    _days: frozenset[int | str]
    _months: frozenset[int]
    _weekdays: frozenset[tuple[int, int | str | None]]  # weekday, Sunday is 0; in which week of the month, None: in any
    _years: frozenset[int]

    def next(self, after: datetime) -> datetime | None:
        """The first moment later than another; None if there is none until 2099.

        Args:
            after: in UTC.
        """
        start = after.replace(microsecond=0) + timedelta(seconds=1)
        at = start.timetz().replace(tzinfo=None)
        for day in self._days_from(start.date()):
            if day != start.date():
                at = time.min
            if (found := self._time_from(at)) is not None:
                return datetime.combine(day, found, UTC)
        return None

    def count(self, after: datetime, until: datetime) -> int:
        """How many moments are later than `after` and not later than `until`, however many: it counts by days."""
        if until <= after:
            return 0
        counted = 0
        for day in self._days_from(after.date()):
            if day > until.date():
                break
            counted += self._times_until(until.time() if day == until.date() else time.max)
            if day == after.date():
                counted -= self._times_until(after.time())
        return counted

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """The last moment that `count` would count. It goes through them one by one: for a short while only."""
        found = None
        while (tick := self.next(found or after)) is not None and tick <= until:
            found = tick
        return found

    def _days_from(self, day: date) -> Iterator[date]:
        while day.year in _YEARS:
            if day.year not in self._years:
                day = date(day.year + 1, 1, 1)
            elif day.month not in self._months:
                day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            else:
                if self._fits(day):
                    yield day
                day += timedelta(days=1)

    def _fits(self, day: date) -> bool:
        is_last_week = (day + timedelta(days=7)).month != day.month
        weekday = day.isoweekday() % 7
        weeks = (None, (day.day - 1) // 7 + 1, _LAST_WEEK if is_last_week else None)
        if not any((weekday, week) in self._weekdays for week in weeks):
            return False
        is_last_day = (day + timedelta(days=1)).month != day.month
        return day.day in self._days or (is_last_day and "L" in self._days)

    def _time_from(self, at: time) -> time | None:
        for hour in self._hours[bisect_left(self._hours, at.hour) :]:
            for minute in self._minutes:
                if (hour, minute) < (at.hour, at.minute):
                    continue
                from_second = at.second if (hour, minute) == (at.hour, at.minute) else 0
                index = bisect_left(self._seconds, from_second)
                if index < len(self._seconds):
                    return time(hour, minute, self._seconds[index])
        return None

    def _times_until(self, at: time) -> int:
        """How many times of a day are not later than one."""
        hours, minutes = bisect_left(self._hours, at.hour), bisect_left(self._minutes, at.minute)
        counted = hours * len(self._minutes) * len(self._seconds)
        if at.hour in self._hours:
            counted += minutes * len(self._seconds)
            if at.minute in self._minutes:
                counted += bisect_left(self._seconds, at.second + 1)
        return counted


def parse_schedule(expression: str) -> Schedule:
    """Read an expression.

    Raises:
        ScheduleError: it cannot be read, or fits no moment (31 February).
    """
    if len(expression) > CRON_EXPRESSION_CHARS_MAX:
        raise ScheduleError(f"is longer than {CRON_EXPRESSION_CHARS_MAX} characters")
    text = expression.strip()
    if text.startswith("@") and text.lower() not in _NICKNAMES:
        raise ScheduleError(f"is none of {', '.join(_NICKNAMES)}")
    fields = _NICKNAMES.get(text.lower(), text).upper().split()
    if len(fields) not in (6, 7):
        example = f"0 {' '.join(fields)}" if len(fields) == 5 else EXAMPLE
        raise ScheduleError(
            f"has {len(fields)} fields and needs 6 (second minute hour day-of-month month day-of-week), or 7 with a "
            f"year: `{example}`"
        )
    seconds, minutes, hours, days, months, weekdays = fields[:6]
    schedule = Schedule(
        expression,
        _sorted(_numbers("second", seconds, range(60))),
        _sorted(_numbers("minute", minutes, range(60))),
        _sorted(_numbers("hour", hours, range(24))),
        frozenset(_days(days)),
        frozenset(_numbers("month", months, range(1, 13), _MONTHS)),
        frozenset(_weekdays(weekdays)),
        frozenset(_numbers("year", fields[6], _YEARS) if len(fields) == 7 else _YEARS),
    )
    if schedule.next(datetime(_YEARS.start, 1, 1, tzinfo=UTC) - timedelta(seconds=1)) is None:
        raise ScheduleError(f"fits no day until {_YEARS.stop - 1}")
    return schedule


def _sorted(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(values)))


def _days(text: str) -> Iterator[int | str]:
    for part in text.split(","):
        yield from ("L",) if part == "L" else _numbers("day of month", part, range(1, 32))


def _weekdays(text: str) -> Iterator[tuple[int, int | str | None]]:
    field = "day of week"
    for part in text.split(","):
        if match := _NTH.fullmatch(part):
            week = match[2] or _LAST_WEEK
            day = _number(field, match[1], range(8), _WEEKDAYS) % 7
            yield day, week if week == _LAST_WEEK else int(week)
        else:
            # Sunday ends a range as 7: SAT-SUN.
            for day in _numbers(field, re.sub(r"-SUN\b", "-7", part), range(8), _WEEKDAYS):
                yield day % 7, None


def _numbers(field: str, text: str, allowed: range, names: Mapping[str, int] = _NONE) -> Iterator[int]:
    """The values of one field: a list of ranges with steps."""
    for part in text.split(","):
        match = _STEPS.fullmatch(part)
        if match is None:
            raise ScheduleError(
                f"has the {field} `{part or text}`, which is not a list of *, A, A-B, */N, A/N or A-B/N"
            )
        first, last, step = match.groups()
        if first in ("*", "?") and last is None:
            start, end = allowed.start, allowed.stop - 1
        else:
            start = _number(field, first, allowed, names)
            end = start if last is None else _number(field, last, allowed, names)
            if last is None and step is not None:
                end = allowed.stop - 1
        if start > end:
            raise ScheduleError(f"has the {field} `{part}`, which ends before it begins: write it as two, with a comma")
        if step is not None and int(step) == 0:
            raise ScheduleError(f"has the {field} `{part}` with a step of 0")
        yield from range(start, end + 1, 1 if step is None else int(step))


def _number(field: str, text: str, allowed: range, names: Mapping[str, int]) -> int:
    if text in names:
        return names[text]
    if not _NUMBER.fullmatch(text) or int(text) not in allowed:
        spelled = f", {next(iter(names))} to {list(names)[-1]}" if names else ""
        raise ScheduleError(
            f"has the {field} `{text}`, which is not one of {allowed.start} to {allowed.stop - 1}{spelled}"
        )
    return int(text)
