from __future__ import annotations

import pytest

from edged.http.backoff import Backoff


def made(chance: float = 1.0, **others: float) -> Backoff:
    return Backoff(0.5, 10.0, 30.0, lambda: chance, **others)


def test_twice_as_long_each_time_up_to_a_limit() -> None:
    backoff = made()
    assert [backoff.ended() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_from_the_beginning_after_it_lasted() -> None:
    backoff = made()
    for _ in range(5):
        backoff.ended()
    assert backoff.ended(29.999) == 10.0
    assert backoff.ended(30.0) == 0.5
    assert backoff.ended(0.0) == 1.0


@pytest.mark.parametrize(("chance", "waits"), [(0.0, [0.25, 0.5]), (0.5, [0.375, 0.75]), (1.0, [0.5, 1.0])])
def test_half_of_it_is_chance(chance: float, waits: list[float]) -> None:
    backoff = made(chance)
    assert [backoff.ended() for _ in waits] == waits


def test_one_that_goes_on_where_another_was() -> None:
    former = made()
    former.ended()
    former.ended()
    later = made(limit_s=former.limit_s)
    assert [later.ended(), later.ended()] == [2.0, 4.0]
    assert later.ended(30.0) == 0.5
