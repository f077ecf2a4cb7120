"""Numbers that stand for resources."""

from __future__ import annotations

from edged.host.interface import Resource
from edged.host.legacy.session import Numbers


class Counted(Resource):
    def __init__(self) -> None:
        self.dropped = 0

    def drop(self) -> None:
        self.dropped += 1


def test_numbers_are_given_again() -> None:
    numbers: Numbers[Counted] = Numbers()
    first, second, third = Counted(), Counted(), Counted()
    assert [numbers.add(first), numbers.add(second)] == [0, 1]
    numbers.drop(0)
    assert (first.dropped, numbers.get(0), numbers.get(1)) == (1, None, second)
    numbers.drop(0)
    numbers.drop(7)
    assert first.dropped == 1, "it was dropped already"
    assert numbers.add(third) == 0


def test_all_are_dropped_at_the_end() -> None:
    numbers: Numbers[Counted] = Numbers()
    held = [Counted() for _ in range(3)]
    for each in held:
        numbers.add(each)
    numbers.close()
    numbers.close()
    assert [each.dropped for each in held] == [1, 1, 1]
    assert numbers.get(0) is None
