"""Cron expressions: what each means, tick by tick, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from edged.limits import CRON_EXPRESSION_CHARS_MAX
from edged.manifest.schedule import Schedule, ScheduleError, parse_schedule


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    while len(found) < count and (tick := schedule.next(found[-1] if found else after)) is not None:
        found.append(tick)
    return found


NOON = "2026-01-01T12:00:00"  # a Thursday


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * * *", NOON, ["2026-01-01T12:00:01", "2026-01-01T12:00:02"]),
        ("* * * * * *", "2026-01-01T12:00:00.999999", ["2026-01-01T12:00:01"]),
        ("? ? ? ? ? ?", NOON, ["2026-01-01T12:00:01"]),
        ("  0\t0 0 1 1 * ", NOON, ["2027-01-01T00:00:00"]),
        ("0 */5 * * * *", NOON, ["2026-01-01T12:05:00", "2026-01-01T12:10:00"]),
        ("0/15 * * * * *", NOON, ["2026-01-01T12:00:15", "2026-01-01T12:00:30"]),
        ("50/7 * * * * *", NOON, ["2026-01-01T12:00:50", "2026-01-01T12:00:57", "2026-01-01T12:01:50"]),
        ("5-10/3 * * * * *", NOON, ["2026-01-01T12:00:05", "2026-01-01T12:00:08", "2026-01-01T12:01:05"]),
        ("8,2,2 * * * * *", NOON, ["2026-01-01T12:00:02", "2026-01-01T12:00:08", "2026-01-01T12:01:02"]),
        ("59 59 23 31 12 *", NOON, ["2026-12-31T23:59:59", "2027-12-31T23:59:59"]),
        # The plugin's own example: odd minutes of two hours on six days.
        ("0 1/2 11,12 5-10 * * *", NOON, ["2026-01-05T11:01:00", "2026-01-05T11:03:00"]),
        ("0 1/2 11,12 5-10 * * *", "2026-01-10T12:58:00", ["2026-01-10T12:59:00", "2026-02-05T11:01:00"]),
        ("0 0 0 1 * *", "2026-01-01T00:00:00", ["2026-02-01T00:00:00"]),
        ("0 0 0 31 * *", NOON, ["2026-01-31T00:00:00", "2026-03-31T00:00:00"]),
        ("0 0 0 29 2 *", NOON, ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        ("0 0 0 29 FEB mon", NOON, ["2044-02-29T00:00:00", "2072-02-29T00:00:00"]),
        ("0 0 0 L 2 *", NOON, ["2026-02-28T00:00:00", "2027-02-28T00:00:00", "2028-02-29T00:00:00"]),
        ("0 0 0 15,L * *", NOON, ["2026-01-15T00:00:00", "2026-01-31T00:00:00"]),
        ("0 0 0 * Nov-DEC *", NOON, ["2026-11-01T00:00:00"]),
        # Sunday is 0 and 7, as in crontab(5), not 1 as in Quartz.
        ("0 0 0 * * 0", NOON, ["2026-01-04T00:00:00", "2026-01-11T00:00:00"]),
        ("0 0 0 * * 7", NOON, ["2026-01-04T00:00:00"]),
        ("0 0 0 * * Sun", NOON, ["2026-01-04T00:00:00"]),
        ("0 0 0 * * 1-5", "2026-01-02T00:00:00", ["2026-01-05T00:00:00"]),
        ("0 0 0 * * MON-FRI/2", NOON, ["2026-01-02T00:00:00", "2026-01-05T00:00:00", "2026-01-07T00:00:00"]),
        ("0 0 0 * * SAT-SUN", NOON, ["2026-01-03T00:00:00", "2026-01-04T00:00:00", "2026-01-10T00:00:00"]),
        ("0 0 0 * * 5#2", NOON, ["2026-01-09T00:00:00", "2026-02-13T00:00:00"]),
        ("0 0 0 * * 1#1,fri#5", NOON, ["2026-01-05T00:00:00", "2026-01-30T00:00:00", "2026-02-02T00:00:00"]),
        ("0 0 0 * * 5#L", NOON, ["2026-01-30T00:00:00", "2026-02-27T00:00:00"]),
        ("0 0 0 * * FRIL", NOON, ["2026-01-30T00:00:00", "2026-02-27T00:00:00"]),
        # Both fields of the day: Friday the 13th, not every 13th and every Friday.
        ("0 0 0 13 * FRI", NOON, ["2026-02-13T00:00:00", "2026-03-13T00:00:00", "2026-11-13T00:00:00"]),
        ("0 0 0 1 1 * 2030-2034/2", NOON, ["2030-01-01T00:00:00", "2032-01-01T00:00:00", "2034-01-01T00:00:00"]),
        ("@yearly", NOON, ["2027-01-01T00:00:00"]),
        ("@annually", NOON, ["2027-01-01T00:00:00"]),
        ("@monthly", NOON, ["2026-02-01T00:00:00"]),
        ("@weekly", NOON, ["2026-01-04T00:00:00"]),
        ("@Daily", NOON, ["2026-01-02T00:00:00"]),
        ("@hourly", NOON, ["2026-01-01T13:00:00"]),
    ],
)
def test_next(expression: str, after: str, expected: list[str]) -> None:
    assert ticks(parse_schedule(expression), moment(after), len(expected)) == [moment(text) for text in expected]


def test_last_second() -> None:
    schedule = parse_schedule("0 0 0 31 12 * 2098-2099")
    assert ticks(schedule, moment(NOON), 9) == [moment("2098-12-31"), moment("2099-12-31")]
    assert parse_schedule("* * * * * *").next(moment("2099-12-31T23:59:59")) is None


def test_years_that_are_over_are_no_error() -> None:
    """Whether the year is over depends on the day of the load; the expression is good."""
    assert parse_schedule("0 0 0 1 1 * 2020").next(moment(NOON)) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "has 0 fields"),
        ("0", "has 1 fields"),
        ("*/5 * * * *", "has 5 fields and needs 6 (second minute hour day-of-month month day-of-week), or 7 with a"),
        ("0 0 0 1 1 * 2030 *", "has 8 fields"),
        ("60 * * * * *", "has the second `60`, which is not one of 0 to 59"),
        ("* 60 * * * *", "has the minute `60`"),
        ("* * 24 * * *", "has the hour `24`"),
        ("* * * 0 * *", "has the day of month `0`"),
        ("* * * 32 * *", "has the day of month `32`"),
        ("* * * * 0 *", "has the month `0`, which is not one of 1 to 12, JAN to DEC"),
        ("* * * * 13 *", "has the month `13`"),
        ("* * * * * 8", "has the day of week `8`, which is not one of 0 to 7, SUN to SAT"),
        ("* * * * * * 1969", "has the year `1969`, which is not one of 1970 to 2099"),
        ("* * * * * * 2100", "has the year `2100`"),
        ("-1 * * * * *", "has the second `-1`, which is not a list of"),
        ("+1 * * * * *", "has the second `+1`"),
        ("1.5 * * * * *", "has the second `1.5`"),
        ("\N{ARABIC-INDIC DIGIT THREE} * * * * *", "has the second"),
        ("1,,2 * * * * *", "has the second `1,,2`"),
        ("1- * * * * *", "has the second `1-`"),
        ("1-2-3 * * * * *", "has the second `1-2-3`"),
        ("*/0 * * * * *", "has the second `*/0` with a step of 0"),
        ("*-5 * * * * *", "has the second `*`"),
        ("*/x * * * * *", "has the second `*/X`"),
        ("30-10 * * * * *", "has the second `30-10`, which ends before it begins: write it as two"),
        ("0 0 0 * * FRI-MON", "has the day of week `FRI-MON`, which ends before it begins"),
        ("0 0 0 * MONDAY *", "has the month `MONDAY`"),
        ("0 0 0 15W * *", "has the day of month `15W`"),
        ("0 0 0 L-3 * *", "has the day of month `L`"),
        ("0 0 0 * * L", "has the day of week `L`"),
        ("0 0 0 * * 5#6", "has the day of week `5#6`"),
        ("0 0 0 * * 1-5#2", "has the day of week `5#2`"),
        ("0 0 L * * *", "has the hour `L`"),
        ("@reboot", "is none of @yearly, @annually, @monthly, @weekly, @daily, @hourly"),
    ],
)  # fmt: skip
def test_refused(expression: str, reason: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(expression)
    assert str(caught.value).startswith(reason)


def test_five_fields_are_shown_with_their_second() -> None:
    with pytest.raises(ScheduleError, match=r"`0 \*/5 \* \* \* \*`$"):
        parse_schedule("*/5 * * * *")


@pytest.mark.parametrize("expression", ["0 0 0 31 2 *", "0 0 0 30 FEB ?", "* * * 31 4,6,9,11 *", "* * * 1 * MON#5"])
def test_impossible_dates(expression: str) -> None:
    with pytest.raises(ScheduleError, match="fits no day until 2099"):
        parse_schedule(expression)


def test_29_february_of_a_year_without_one() -> None:
    with pytest.raises(ScheduleError, match="fits no day"):
        parse_schedule("0 0 0 29 2 * 2026")


def test_length() -> None:
    longest = "0," * ((CRON_EXPRESSION_CHARS_MAX - 11) // 2) + "0 * * * * *"
    longest = longest.ljust(CRON_EXPRESSION_CHARS_MAX)
    assert parse_schedule(longest).next(moment(NOON)) == moment("2026-01-01T12:01:00")
    with pytest.raises(ScheduleError, match="longer than"):
        parse_schedule(longest + " ")


@pytest.mark.parametrize(
    "expression",
    ["* * * * * *", "*/7 */11 * * * *", "0 30 9-17 * * MON-FRI", "59 59 23 L * *", "0 0 0 * 2 *", "5 4 3 2 1 *"],
)
@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (NOON, 0),
        (NOON, 1),
        (NOON, 59),
        (NOON, 3600),
        ("2026-01-01T23:59:58.5", 1.5),
        ("2026-01-31T09:30:00", 43_200),
        ("2026-02-27T23:00:00.25", 3_601),
    ],
)
def test_count_and_latest(expression: str, after: str, seconds: float) -> None:
    """They say what going through the seconds one by one says."""
    schedule, start = parse_schedule(expression), moment(after)
    until = start + timedelta(seconds=seconds)
    expected: list[datetime] = []
    while (tick := schedule.next(expected[-1] if expected else start)) is not None and tick <= until:
        expected.append(tick)
    assert schedule.count(start, until) == len(expected)
    assert schedule.latest(start, until) == (expected[-1] if expected else None)


@pytest.mark.parametrize(
    ("expression", "after", "until", "expected"),
    [
        ("* * * * * *", "1970-01-01T00:00:00", "2026-01-01T00:00:00", 1_767_225_600),
        ("0 0 0 * * *", "2026-01-01T00:00:00", "2027-01-01T00:00:00", 365),
        ("0 0 0 29 2 *", "2000-01-01T00:00:00", "2099-12-31T00:00:00", 25),
        ("* * * * * *", "2026-01-02T00:00:00", "2026-01-01T00:00:00", 0),
    ],
)
def test_count_of_years(expression: str, after: str, until: str, expected: int) -> None:
    assert parse_schedule(expression).count(moment(after), moment(until)) == expected
