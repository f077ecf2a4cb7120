"""Days and times, held against Python's own where it has them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from edged.host.postgres.calendar import date_of_days, days_of_date, time_of_us, us_of_time


def test_days_as_python_has_them() -> None:
    for days in range((date.min - date(2000, 1, 1)).days, (date.max - date(2000, 1, 1)).days, 97):
        day = date(2000, 1, 1) + timedelta(days)
        assert date_of_days(days) == (day.year, day.month, day.day)
        assert days_of_date(date_of_days(days)) == days


@pytest.mark.parametrize("days", [-2_451_507, -730_486, -730_120, 0, 2_145_031_948])
def test_days_that_python_has_not(days) -> None:
    assert days_of_date(date_of_days(days)) == days


@pytest.mark.parametrize(
    "day", [(2023, 2, 29), (1900, 2, 29), (2024, 0, 1), (2024, 13, 1), (2024, 4, 31), (2024, 1, 0)]
)
def test_days_that_are_not(day) -> None:
    with pytest.raises(ValueError, match="no day"):
        days_of_date(day)


def test_times() -> None:
    assert time_of_us(us_of_time((23, 59, 59, 999_999_999))) == (23, 59, 59, 999_999_000)
    assert time_of_us(86_400_000_000) == (0, 0, 0, 0)
    for time in ((24, 0, 0, 0), (0, 60, 0, 0), (0, 0, 60, 0), (0, 0, 0, 10**9)):
        with pytest.raises(ValueError, match="no time"):
            us_of_time(time)
