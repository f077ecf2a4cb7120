"""Our own cases of the component model's rules, written from the specification: `cases/*/*.wast`, run by `wast.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from edged.wasm.engine import Engine
from tests.wasm.component.wast import SMALL_POOL, run_script

CASES = Path(__file__).with_name("cases")
SCRIPTS = sorted(CASES.glob("*/*.wast"))
FOLDERS = ("async", "linking", "resources", "traps", "values")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(SMALL_POOL)
    engine.start_ticking()
    yield engine
    engine.close()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_all_that_a_script_expects_is_so(
    engine: Engine, path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    before = engine.instances
    outcomes = await run_script(engine, await trio.Path(path).read_text())
    assert [outcome for outcome in outcomes if outcome.verdict != "ok"] == []
    assert len(outcomes) > 1
    assert engine.instances == before


def test_there_are_scripts_of_every_kind() -> None:
    assert {path.parent.name for path in SCRIPTS} == set(FOLDERS)
