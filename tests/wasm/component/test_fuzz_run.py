"""Mutated guests that run: answers, or errors of edged's own, and nothing left behind. Longer runs are `fuzz_run.py`'s
command."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import wasmtime
from trio.testing import MockClock

from edged.host.wasi3.http.types import HttpTypes
from tests.guests import wat
from tests.wasm.component import fuzz_corpus
from tests.wasm.component.fuzz_host import Bench, Finding
from tests.wasm.component.fuzz_run import attempt, mutant, with_section
from tests.wasm.component.mutation import mutate_bytes, mutate_text, parse, write


@pytest.fixture
async def bench(nursery: trio.Nursery, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(nursery, tmp_path)
    yield bench
    bench.close()


@pytest.mark.parametrize(
    ("kind", "first", "count", "outcomes"),
    [
        ("component", 0, 40, {"answered", "component.invalid", "guest.trap", "not text"}),
        ("component", 40, 40, {"answered", "component.invalid", "guest.trap", "not text"}),
        ("module", 0, 120, {"answered", "component.invalid", "guest.trap", "not text"}),
        ("values", 0, 15, {"equal", "guest.trap"}),
    ],
    ids=["components", "more-components", "modules", "values"],
)
async def test_mutants(
    bench: Bench, autojump_clock: MockClock, kind: str, first: int, count: int, outcomes: set[str]
) -> None:
    """Each comes to something else: mutations that leave nothing whole would test only the first check."""
    for seed in range(first, first + count):
        await attempt(bench, seed, kind)
    assert set(bench.outcomes) >= outcomes


@pytest.mark.parametrize("kind", fuzz_corpus.KINDS)
async def test_core_modules_are_whole(bench: Bench, autojump_clock: MockClock, kind: str) -> None:
    chance = random.Random(0)
    for _ in range(5):
        text = fuzz_corpus.module(chance, kind)
        await bench.module(with_section(bytes(wasmtime.wat2wasm(text)), kind), chance)
    assert not [outcome for outcome in bench.outcomes if outcome.startswith("component")]


async def test_components_are_whole(bench: Bench, autojump_clock: MockClock) -> None:
    for text in fuzz_corpus.components()[::10]:
        await bench.component(bytes(wasmtime.wat2wasm(text)), random.Random(0))
    assert not bench.outcomes["component.invalid"]


async def test_a_fault_is_found(bench: Bench, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the host: what it raises that is no error of edged's own."""
    hello = bytes(wasmtime.wat2wasm(wat.text("hello3")))
    await bench.component(hello, random.Random(0))

    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(HttpTypes, "fields_constructor", fail)
    with pytest.raises(Finding, match="ZeroDivisionError"):
        await bench.component(hello, random.Random(0))


def test_a_mutant_is_always_the_same() -> None:
    assert mutant(5, "component") == mutant(5, "component") != mutant(6, "component")


def test_text_comes_back() -> None:
    text = '(component $c (core module (func (param i32) (result i32) (local.get 0))) (export "a b" (func 1)))'
    assert write(parse(text)) == text


@pytest.mark.parametrize("seed", range(5))
def test_a_mutation_changes_something(seed: int) -> None:
    text = write(parse(wat.text("hello3")))
    assert any(mutate_text(random.Random(seed + 100 * try_), text, text) != text for try_ in range(3))
    data = bytes(wasmtime.wat2wasm(text))
    assert any(mutate_bytes(random.Random(seed + 100 * try_), data) != data for try_ in range(5))
