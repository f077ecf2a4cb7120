"""Mutated components: a plan, or an error of edged's own. Longer runs are `fuzz_plan.py`'s command."""

from __future__ import annotations

from collections import Counter

import pytest

from edged.errors import ComponentInvalid
from tests.wasm.plan.fuzz_plan import attempt, corpus, mutant, valid

COUNT_PER_CASE = 400


@pytest.mark.parametrize("first", [number * COUNT_PER_CASE for number in range(8)])
def test_mutants(first: int) -> None:
    outcomes = Counter(attempt(mutant(seed)) for seed in range(first, first + COUNT_PER_CASE))
    assert outcomes["plan"] >= COUNT_PER_CASE // 100, "mutations that leave nothing whole test only the first check"
    assert outcomes["component.invalid"] >= COUNT_PER_CASE // 10


def test_what_wasmtime_validates_is_not_called_invalid() -> None:
    """edged may know less, and say so, but never finds a fault in what has none."""
    mutants = [mutant(seed) for seed in range(1_000)]
    refused = [data for data in mutants if attempt(data) == ComponentInvalid.code]
    assert len(refused) > len(mutants) // 10
    assert not [data for data in refused if valid(data)]


def test_what_is_mutated_is_whole() -> None:
    assert sum(attempt(data) == "plan" for data in corpus()) > len(corpus()) // 2


def test_a_mutant_is_always_the_same() -> None:
    assert mutant(7) == mutant(7) != mutant(8)
