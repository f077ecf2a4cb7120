"""wasi:random"""

from __future__ import annotations

import pytest

from edged.errors import GuestBudgetExhausted
from edged.host.budget import Budget
from edged.host.random import Insecure, InsecureSeed, Random
from edged.limits import RANDOM_BYTES_MAX, RANDOM_CALL_BYTES_MAX
from tests.host.fakes import invocation

BYTES = [Random().get_random_bytes, Insecure().get_insecure_random_bytes]
NUMBERS = [Random().get_random_u64, Insecure().get_insecure_random_u64]


@pytest.mark.parametrize("random_bytes", BYTES)
def test_bytes_are_as_many_as_asked_and_never_the_same(random_bytes) -> None:
    assert random_bytes(invocation(), 0) == b""
    one, other = random_bytes(invocation(), 32), random_bytes(invocation(), 32)
    assert len(one) == len(other) == 32
    assert one != other


@pytest.mark.parametrize("random_u64", NUMBERS)
def test_numbers_are_64_bits_and_never_the_same(random_u64) -> None:
    numbers = {random_u64(invocation()) for _ in range(64)}
    assert len(numbers) == 64
    assert 2**60 < max(numbers) < 2**64


def test_the_seed_is_two_numbers() -> None:
    one, other = InsecureSeed().insecure_seed(invocation())
    assert one != other
    assert max(one, other) < 2**64


@pytest.mark.parametrize("random_bytes", BYTES)
def test_one_call_gives_so_many_bytes_and_not_one_more(random_bytes) -> None:
    assert len(random_bytes(invocation(), RANDOM_CALL_BYTES_MAX)) == RANDOM_CALL_BYTES_MAX
    for length in (RANDOM_CALL_BYTES_MAX + 1, 2**64 - 1):
        with pytest.raises(GuestBudgetExhausted):
            random_bytes(invocation(), length)


@pytest.mark.parametrize("random_bytes", BYTES)
def test_one_request_gets_its_budget_and_not_one_byte_more(random_bytes) -> None:
    guest = invocation(Budget(random_bytes=100))
    random_bytes(guest, 100)
    with pytest.raises(GuestBudgetExhausted):
        random_bytes(guest, 1)
    assert Budget().random_bytes == RANDOM_BYTES_MAX


@pytest.mark.parametrize("random_u64", NUMBERS)
def test_a_number_costs_eight_bytes(random_u64) -> None:
    guest = invocation(Budget(random_bytes=8))
    random_u64(guest)
    with pytest.raises(GuestBudgetExhausted):
        random_u64(guest)


def test_a_seed_costs_sixteen_bytes() -> None:
    InsecureSeed().insecure_seed(invocation(Budget(random_bytes=16)))
    with pytest.raises(GuestBudgetExhausted):
        InsecureSeed().insecure_seed(invocation(Budget(random_bytes=15)))
