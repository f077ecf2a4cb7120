"""Every guest of WASI 0.2 gives the same answers on the core API as on the C API, call by call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from edged.wasm.engine import Engine, PoolConfig
from tests.guests import wat
from tests.wasm.component.cases import SMALL
from tests.wasm.component.paths import Case, Compiled, Outcome, compile_both, run

BROKEN = {"core-module", "syntax-error", "no-handler", "unknown-import"}
"""Guests that no request reaches."""


@pytest.fixture(scope="module")
def still_engine() -> Iterator[Engine]:
    """Without epochs: where a guest gives way decides what is sent together, and that is not for the machine to say."""
    engine = Engine(PoolConfig())  # as `edged up`, whose artefacts are used
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def small(still_engine: Engine, engine: Engine) -> Callable[[Case], tuple[Engine, Compiled]]:
    """An engine for a case, and its guest of text, compiled once for both paths."""

    @functools.cache
    def compiled(guest: str, ticks: bool) -> tuple[Engine, Compiled]:
        used = engine if ticks else still_engine
        return used, compile_both(used, wat.wasm(guest))

    return lambda case: compiled(case.guest, case.ticks)


def ids(cases: Sequence[Case]) -> list[str]:
    return [case.id for case in cases]


def compare(engine: Engine, compiled: Compiled, case: Case, folder: Path) -> None:
    expected = run(engine, compiled, case, "c-api", folder)
    for ask, outcome in zip(case.asks, expected, strict=True):
        assert result(outcome) == ask.expects, f"{ask.target}: {outcome.answer} {outcome.error} {outcome.calls[-3:]}"
    found = run(engine, compiled, case, "core", folder)
    for ask, here, there in zip(case.asks, found, expected, strict=True):
        assert here.calls == there.calls, ask
        assert here == there, ask


def result(outcome: Outcome) -> object:
    return outcome.status if outcome.error is None else outcome.error[0]


@pytest.mark.parametrize("case", SMALL, ids=ids(SMALL))
def test_a_guest_of_text(small: Callable[[Case], tuple[Engine, Compiled]], case: Case, tmp_path: Path) -> None:
    compare(*small(case), case, tmp_path)
