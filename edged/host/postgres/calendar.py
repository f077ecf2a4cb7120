"""Days and times as PostgreSQL counts them, from and to the tuples of spin:postgres.

Years go from 4713 BC to 294276, which Python's own dates do not; the calendar is the proleptic Gregorian one.
"""

from __future__ import annotations

Date = tuple[int, int, int]
"""Year, month, day. The year before 1 is 0."""

Time = tuple[int, int, int, int]
"""Hour, minute, second, nanosecond."""

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
EPOCH_UNIX_S = 946_684_800
"""2000-01-01, from where PostgreSQL counts, in Unix seconds."""

_DAYS_0 = 730_425
"""From 0000-03-01, where the arithmetic below begins, to 2000-01-01."""

_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def date_of_days(days: int) -> Date:
    """The date so many days after 2000-01-01. Years begin in March here, so that leap days are at their end."""
    era, day = divmod(days + _DAYS_0, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    return era * 400 + year + (month >= 10), month - 9 if month >= 10 else month + 3, day + 1


def days_of_date(date: Date) -> int:
    """Days after 2000-01-01.

    Raises:
        ValueError: there is no such day.
    """
    year, month, day = date
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _MONTH_DAYS[month - 1] + (month == 2 and is_leap):
        raise ValueError(f"there is no day {year}-{month}-{day}")
    year -= month <= 2
    era, year = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year * 365 + year // 4 - year // 100 + day_of_year - _DAYS_0


def time_of_us(microseconds: int) -> Time:
    """The time so long after midnight. 24:00:00 is midnight again."""
    seconds, fraction = divmod(microseconds % DAY_US, SECOND_US)
    return seconds // 3600, seconds // 60 % 60, seconds % 60, fraction * 1000


def us_of_time(time: Time) -> int:
    """Microseconds after midnight; what is less than one is cut off.

    Raises:
        ValueError: there is no such time.
    """
    hour, minute, second, nanosecond = time
    if hour > 23 or minute > 59 or second > 59 or nanosecond >= 1_000_000_000:
        raise ValueError(f"there is no time {hour}:{minute}:{second} and {nanosecond} ns")
    return (hour * 3600 + minute * 60 + second) * SECOND_US + nanosecond // 1000
