"""Triggers that no request starts, in real workers: one of them calls, another one when it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio

from edged.node.pool_event import TickBegun, TickEnded
from edged.worker.report import TriggerState
from edged.worker.table import Site, TriggerOrder
from tests.node.checkouts import checkout, site
from tests.node.test_workers import Pool

OpenPool = Callable[[], AbstractAsyncContextManager[Pool]]

_MANIFEST = """
spin_manifest_version = 2
[application]
name = "clock"
{more}
[[trigger.cron]]
id = "nightly"
cron_expression = "{expression}"
component = "guest"
[component.guest]
source = "guest.wasm"
"""

ODD, EVEN = 61, 62
"""The guest fails at the one, and not at the other."""


def clock(folder: Path, expression: str, more: str = "") -> Site:
    checkout(folder, "cron")
    (folder / "spin.toml").write_text(_MANIFEST.format(expression=expression, more=more))
    return site(folder, "clock")


def shared(folder: Path) -> Site:
    return clock(folder, "@yearly", '[application.tool.edged]\nscopes = { nightly = "fleet" }')


@pytest.fixture
def open_pool(tmp_path: Path) -> OpenPool:
    @asynccontextmanager
    async def open_() -> AsyncIterator[Pool]:
        pool = Pool(tmp_path / "cache", 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.workers.run)
            yield pool
            pool.workers.stop()

    return open_


def ticks(pool: Pool) -> list[TickBegun | TickEnded]:
    return [event for event in pool.events if isinstance(event, TickBegun | TickEnded)]


def failed(pool: Pool) -> Counter[str]:
    """Which ticks were logged as failed, and how often."""
    return Counter(line.decode().split('"tick": "')[1][:20] for line in pool.lines if b"tick.failed" in line)


async def test_a_tick_is_called_by_one_of_two_workers(open_pool: OpenPool, tmp_path: Path) -> None:
    """Each odd second fails: what is logged more than once was called more than once."""
    async with open_pool() as pool:
        await pool.serve(clock(tmp_path / "clock", "1/2 * * * * *"))
        await pool.until(lambda: len(failed(pool)) >= 3)
        assert set(failed(pool).values()) == {1}
        assert ticks(pool) == []


async def test_another_worker_calls_when_the_one_that_did_has_ended(open_pool: OpenPool, tmp_path: Path) -> None:
    async with open_pool() as pool:
        await pool.serve(clock(tmp_path / "clock", "1/2 * * * * *"))
        await pool.until(lambda: len(failed(pool)) >= 1)
        runner = pool.workers.state._calls.runner("clock")
        assert runner is not None
        pool.kill(runner)
        before = len(failed(pool))
        await pool.until(lambda: len(failed(pool)) >= before + 2)
        assert set(failed(pool).values()) == {1}


async def test_orders_are_carried_out_once_by_one_worker(open_pool: OpenPool, tmp_path: Path) -> None:
    async with open_pool() as pool:
        await pool.serve(shared(tmp_path / "clock"))
        await pool.until(lambda: pool.workers.triggers() == {"clock": {"nightly": TriggerState("fleet", "@yearly")}})
        begun, ended = TickBegun("clock", "nightly", EVEN), TickEnded("clock", "nightly", EVEN)
        for number, expected in ((1, 1), (1, 1), (2, 2)):
            pool.workers.set_orders({})
            pool.workers.set_orders({"clock": {"nightly": TriggerOrder(EVEN, number)}})
            await pool.until(lambda expected=expected: ticks(pool).count(ended) == expected)  # type: ignore[misc]
        assert ticks(pool) == [begun, ended] * 2
        pool.workers.set_orders({"clock": {"nightly": TriggerOrder(ODD, 3), "unknown": TriggerOrder(EVEN, 4)}})
        await pool.until(lambda: len(failed(pool)) == 1)
        await pool.until(lambda: len(ticks(pool)) == 6)


async def test_the_next_worker_is_given_the_orders_of_one_that_has_ended(open_pool: OpenPool, tmp_path: Path) -> None:
    async with open_pool() as pool:
        await pool.serve(shared(tmp_path / "clock"))
        await pool.until(lambda: bool(pool.workers.triggers()))
        runner = pool.workers.state._calls.runner("clock")
        assert runner is not None
        pool.kill(runner)
        await pool.until(lambda: pool.workers.state._calls.runner("clock") == 1 - runner)
        pool.workers.set_orders({"clock": {"nightly": TriggerOrder(EVEN, 1)}})
        await pool.until(lambda: TickEnded("clock", "nightly", EVEN) in ticks(pool))
