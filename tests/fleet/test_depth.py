"""How full queues are."""

from __future__ import annotations

from edged.fleet.depth import Depth, HighWater, fullest


def test_the_most_that_was_in_it() -> None:
    high = HighWater()
    assert high.highest == 0
    for count, highest in ((3, 3), (1, 3), (4, 4), (0, 4)):
        high.reached(count)
        assert high.highest == highest


def test_of_several_the_fullest() -> None:
    one, two = Depth("lines", 3, 4, 10), Depth("lines", 1, 9, 10)
    assert fullest((one,)) == one
    assert fullest((one, two)) == Depth("lines", 3, 9, 10)
