from __future__ import annotations

import pytest

from edged.host.budget import Budget, hold_too_much, is_whole
from edged.limits import FILES_OPEN_MAX

GIVEN_BACK = sorted({*Budget.__slots__} - {"log_bytes", "random_bytes"})


@pytest.mark.parametrize("what", GIVEN_BACK)
def test_what_is_held_is_seen(what: str) -> None:
    budget = Budget()
    assert is_whole(budget)
    setattr(budget, what, getattr(budget, what) - 1)
    assert not is_whole(budget)


@pytest.mark.parametrize("what", ["log_bytes", "random_bytes"])
def test_what_is_spent_is_not_held(what: str) -> None:
    budget = Budget()
    setattr(budget, what, 0)
    assert is_whole(budget)


@pytest.mark.parametrize("what", GIVEN_BACK)
def test_several_requests_may_hold_together_what_one_may(what: str) -> None:
    one, other = Budget(), Budget()
    setattr(one, what, 0)
    assert not hold_too_much([one, other])
    setattr(other, what, getattr(other, what) - 1)
    assert hold_too_much([one, other])


def test_different_things_are_not_added_up() -> None:
    assert not hold_too_much([Budget(files=0), Budget(databases=0), Budget(http_requests=0)])
    assert not hold_too_much([])
    assert hold_too_much([Budget(files=FILES_OPEN_MAX - 1)] * (FILES_OPEN_MAX + 1))


@pytest.mark.parametrize("what", GIVEN_BACK)
def test_what_is_taken_is_taken_at_once(what: str) -> None:
    """Whoever asks for more while the first is made meets the limit, too."""
    budget, refusal = Budget(), ValueError("none left")
    setattr(budget, what, 2)
    with budget.taking(what, refusal), budget.taking(what, refusal):
        with pytest.raises(ValueError, match="none left"), budget.taking(what, refusal):
            pytest.fail("a third")
        assert getattr(budget, what) == 0
    assert getattr(budget, what) == 0, "kept"


def test_what_could_not_be_made_is_given_back() -> None:
    budget = Budget()
    with pytest.raises(ZeroDivisionError), budget.taking("files", ValueError()):
        raise ZeroDivisionError
    assert is_whole(budget)
