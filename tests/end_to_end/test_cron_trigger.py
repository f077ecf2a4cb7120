"""The cron trigger as a user has it: a guest of the Python SDK that a schedule calls, and its store."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import trio

from edged import manifest
from edged.app import LoadedApp, LoadOptions
from edged.triggers.cron import CronTrigger
from edged.worker.worker import Served, open_worker
from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE

MANIFEST = """
spin_manifest_version = 2
[application]
name = "clock"
[[trigger.cron]]
cron_expression = "* * * * * *"
component = "clock"
[component.clock]
source = "clock.wasm"
key_value_stores = ["default"]
"""
WAIT_S = 60


@asynccontextmanager
async def running(folder: Path, guest: Path) -> AsyncIterator[tuple[LoadedApp, CronTrigger]]:
    """An app that is called every second, served."""
    shutil.copy(guest, folder / "clock.wasm")
    model = manifest.parse(MANIFEST.encode(), folder / "spin.toml")
    options = LoadOptions(sources=folder / "sources", state_folder=folder / "state")
    with trio.fail_after(WAIT_S):
        async with open_worker(CACHE) as worker:
            loaded = await worker.load(model, options)
            worker.set([Served(loaded)])
            [trigger] = loaded.background.own
            assert isinstance(trigger, CronTrigger)
            yield loaded, trigger
            await worker.drain()


async def called(trigger: CronTrigger) -> None:
    """Return when a call has ended: the schedule is the wall clock's, so that takes up to a second of real time."""
    while not (trigger.counts.served or trigger.counts.failed):  # noqa: ASYNC110 - nothing tells when
        await trio.sleep(0.01)


async def test_a_tick_reaches_a_guest_that_keeps_it(tmp_path: Path, guest_path: GuestPath) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    async with running(tmp_path, guest_path("cron-python")) as (loaded, trigger):
        await called(trigger)
        await trigger.counts.wait_idle()
        statistics = trigger.statistics()
        store = loaded.services.state.key_value["default"]
        count, last = await store.get_many(["count", "last"], 1_000)
        assert count is not None
        assert int(count) == statistics.served >= 1
        assert last is not None
        last_tick = datetime.fromisoformat(last.decode())
        assert last_tick == statistics.last_tick
        assert before < last_tick <= datetime.now(UTC)
    assert trigger.counts.failed == 0
