"""Every limit of a guest, at the limit and one over it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import (
    GuestBudgetExhausted,
    GuestCpuExhausted,
    GuestMemoryExhausted,
    GuestStackExhausted,
    GuestTimeout,
)
from edged.limits import KiB
from tests.wasm.conftest import Link, Run, instance_of
from tests.wasm.hosts import Api

PAGE = 64 * KiB


async def test_memory_grows_to_its_limit(run: Run) -> None:
    assert await run("grow", 9, memory_bytes_max=10 * PAGE) == 10


async def test_memory_does_not_grow_over_its_limit(run: Run) -> None:
    assert await run("grow", 10, memory_bytes_max=10 * PAGE) == -1


async def test_memory_at_the_start_counts(link: Link) -> None:
    async with instance_of(link(memory_bytes_max=PAGE)):
        pass
    with pytest.raises(GuestMemoryExhausted):
        async with instance_of(link(memory_bytes_max=PAGE - 1)):
            pass


async def test_memory_over_a_pool_slot_is_refused_too(run: Run) -> None:
    """The operator may allow more than the pool has slots for; the guest sees a failed growth either way."""
    assert await run("grow", 5_000, memory_bytes_max=10_000 * PAGE) == -1


@pytest.mark.parametrize(
    ("limit", "needed"), [("memory_count_max", 1), ("table_count_max", 1), ("instance_count_max", 2)]
)
async def test_counts(link: Link, limit: str, needed: int) -> None:
    async with instance_of(link(**{limit: needed})):
        pass
    with pytest.raises(GuestMemoryExhausted):
        async with instance_of(link(**{limit: needed - 1})):
            pass


async def test_tables_grow_to_their_limit(run: Run) -> None:
    assert await run("grow-table", 9, table_elements_max=10) == 1
    assert await run("grow-table", 10, table_elements_max=10) == -1


async def test_recursion_ends_at_the_stack(run: Run) -> None:
    with pytest.raises(GuestStackExhausted):
        await run("recurse")


async def test_cpu_time(run: Run) -> None:
    assert await run("work", 1, cpu_s_max=5.0) == 1
    with pytest.raises(GuestCpuExhausted, match=r"more than 0\.05 s"):
        await run("spin", cpu_s_max=0.05)


async def test_wall_time(run: Run, api: Api, autojump_clock: trio.testing.MockClock) -> None:
    async def release_after(seconds: float) -> None:
        await trio.sleep(seconds)
        api.released.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(release_after, 1.9)
        assert await run("wait-twice", 1, wall_s_max=2.0) == 4
    api.released = trio.Event()
    with pytest.raises(GuestTimeout, match="more than 2 s"):
        await run("wait-twice", 1, wall_s_max=2.0)


async def test_waiting_is_not_cpu_time(run: Run, api: Api) -> None:
    api.released.set()
    assert await run("wait-twice", 1, cpu_s_max=1.0) == 4


async def test_host_calls(run: Run, api: Api) -> None:
    await run("note-many", 100, host_calls_max=100)
    assert len(api.notes) == 100
    with pytest.raises(GuestBudgetExhausted, match="too many host calls"):
        await run("note-many", 101, host_calls_max=100)


async def test_host_calls_of_suspending_functions(run: Run) -> None:
    assert await run("perhaps", 2, host_calls_max=1) == 2
    with pytest.raises(GuestBudgetExhausted, match="too many host calls"):
        await run("perhaps", 2, host_calls_max=0)


async def test_handles_at_once(run: Run) -> None:
    assert await run("keep-things", 10, handles_max=10) == 10
    with pytest.raises(GuestBudgetExhausted, match="more than 10 resource handles"):
        await run("keep-things", 11, handles_max=10)


async def test_handles_one_after_the_other(run: Run) -> None:
    assert await run("drop-things", 1_000, handles_max=1) == 1_000


async def test_bytes_of_one_host_call(run: Run, api: Api) -> None:
    """wasmtime lifts `list<u8>` to 32 bytes a byte, and itself bounds what one call may lift to 128 MiB."""
    await run("give", PAGE)
    assert [len(data) for data in api.taken] == [PAGE]
    with pytest.raises(GuestBudgetExhausted):
        await run("give", 8 * 1024 * KiB, memory_bytes_max=16 * 1024 * KiB)
