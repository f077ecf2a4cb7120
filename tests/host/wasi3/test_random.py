"""wasi:random 0.3."""

from __future__ import annotations

import pytest

from edged.errors import GuestBudgetExhausted
from edged.host.budget import Budget
from edged.host.wasi3.random import Insecure, InsecureSeed, Random
from edged.limits import RANDOM_CALL_BYTES_MAX
from tests.host.fakes import invocation

BYTES = {"secure": Random().get_random_bytes, "insecure": Insecure().get_insecure_random_bytes}


@pytest.mark.parametrize("kind", BYTES)
def test_bytes_differ(kind) -> None:
    call = invocation()
    assert BYTES[kind](call, 0) == b""
    assert len(BYTES[kind](call, 32)) == 32
    assert BYTES[kind](call, 32) != BYTES[kind](call, 32)


@pytest.mark.parametrize("kind", BYTES)
def test_one_call_gives_no_more_than_its_most(kind) -> None:
    for length in (RANDOM_CALL_BYTES_MAX, RANDOM_CALL_BYTES_MAX + 1, (1 << 64) - 1):
        assert len(BYTES[kind](invocation(), length)) == RANDOM_CALL_BYTES_MAX


@pytest.mark.parametrize("kind", BYTES)
def test_a_request_has_a_budget(kind) -> None:
    call = invocation(Budget(random_bytes=8))
    BYTES[kind](call, 8)
    with pytest.raises(GuestBudgetExhausted):
        BYTES[kind](call, 1)


def test_numbers_and_the_seed() -> None:
    call = invocation()
    assert Random().get_random_u64(call) != Random().get_random_u64(call)
    assert Insecure().get_insecure_random_u64(call) != Insecure().get_insecure_random_u64(call)
    first, second = InsecureSeed().get_insecure_seed(call)
    assert first != second
