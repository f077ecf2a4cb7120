"""A worker: the pool that an app's limits ask for, the files it may open, the apps it serves."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from edged import manifest
from edged.app import LoadedApp, LoadOptions
from edged.errors import HostTaken, HostUnknown, NotReady
from edged.limits import GUEST_LIMITS_LOWEST, GuestLimits, MiB
from edged.wasm.engine import PoolConfig
from edged.worker.worker import Served, Worker, WorkerStatistics, open_worker, pool_for
from tests.guests import wat
from tests.host.fakes import FakeExchange, head


def test_the_usual_pool_serves_the_usual_limits_and_lower_ones() -> None:
    assert pool_for(GuestLimits()) == PoolConfig()
    # Artefacts belong to a pool: a lower limit must not mean that everything is compiled again.
    assert pool_for(GUEST_LIMITS_LOWEST) == PoolConfig()


@pytest.mark.parametrize(
    ("limit", "slot"),
    [
        ("memory_bytes_max", "memory_bytes_max"),
        ("table_elements_max", "table_elements"),
        ("memory_count_max", "memories_per_component"),
        ("table_count_max", "tables_per_component"),
        ("instance_count_max", "core_instances_per_component"),
    ],
)
def test_a_higher_limit_has_room(limit: str, slot: str) -> None:
    higher = 2 * getattr(GuestLimits(), limit)
    assert pool_for(replace(GuestLimits(), **{limit: higher})) == replace(PoolConfig(), **{slot: higher})


def test_more_requests_at_once_have_more_of_everything() -> None:
    usual = PoolConfig()
    pool = pool_for(replace(GuestLimits(), concurrent_max=usual.instances, instances_ahead=usual.instances))
    assert pool == replace(
        usual,
        instances=2 * usual.instances,
        core_instances=2 * usual.core_instances,
        memories=2 * usual.memories,
        tables=2 * usual.tables,
    )


def test_the_highest_limits_work() -> None:
    """In a process of its own: wasmtime ends the process where it cannot reserve a pool."""
    program = (
        "from edged.limits import GUEST_LIMITS_HIGHEST; from edged.wasm.engine import Engine; "
        "from edged.worker.worker import open_worker, pool_for; Engine(pool_for(GUEST_LIMITS_HIGHEST))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_memory_is_all_that_a_guest_can_address() -> None:
    assert pool_for(replace(GuestLimits(), memory_bytes_max=4096 * MiB)).memory_bytes_max == 4096 * MiB


async def test_a_worker_may_open_as_many_files_as_the_process_may(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        async with open_worker(tmp_path / "cache", PoolConfig(instances=1, core_instances=10, memories=10, tables=10)):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_was_imported_is_out_of_the_collectors_sight_and_apps_are_not(tmp_path: Path) -> None:
    gc.unfreeze()
    async with open_worker(tmp_path / "cache", SMALL) as worker:
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        app = await load(worker, tmp_path, "hello")
        worker.set([Served(app)])
        gone = weakref.ref(app.http)
        worker.set([])
        await worker.drain()
        del app
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        assert gone() is None
        assert 10_000 < gc.get_freeze_count() <= frozen, "nothing more is"


MANIFEST = """
spin_manifest_version = 2
[application]
name = "NAME"
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "GUEST.wat"
"""


async def load(worker: Worker, folder: Path, guest: str) -> LoadedApp:
    (folder / f"{guest}.wat").write_text(wat.text(guest))
    model = manifest.parse(MANIFEST.replace("NAME", guest).replace("GUEST", guest).encode(), folder / "spin.toml")
    return await worker.load(model, LoadOptions(sources=folder / "sources"))


async def ask(worker: Worker, authority: str, target: str = "/") -> bytes:
    exchange = FakeExchange(head(authority=authority, target=target))
    await worker.handle(exchange)
    return exchange.body


SMALL = PoolConfig(instances=10, core_instances=100, memories=50, tables=50)


async def test_many_apps_answer_for_their_own_hosts(tmp_path: Path) -> None:
    async with open_worker(tmp_path / "cache", SMALL) as worker:
        with pytest.raises(NotReady):
            await ask(worker, "a.test")
        hello, counter = [await load(worker, tmp_path, guest) for guest in ("hello", "counter")]
        worker.set([Served(hello, ("a.test", "b.test")), Served(counter, ("*.c.test",))])
        assert await ask(worker, "a.test") == await ask(worker, "B.test:8080") == b"hello"
        assert await ask(worker, "x.c.test") == b"1"
        with pytest.raises(HostUnknown):
            await ask(worker, "d.test")
        assert worker.statistics().apps == 2
        assert worker.statistics().requests_served == 3


async def test_two_apps_cannot_have_one_host(tmp_path: Path) -> None:
    async with open_worker(tmp_path / "cache", SMALL) as worker:
        hello, counter = [await load(worker, tmp_path, guest) for guest in ("hello", "counter")]
        worker.set([Served(hello, ("a.test",))])
        with pytest.raises(HostTaken, match=r"a\.test"):
            worker.set([Served(hello, ("a.test",)), Served(counter, ("A.test",))])
        assert await ask(worker, "a.test") == b"hello", "the old ones go on"
        counter.close()


async def test_an_app_that_is_served_no_more_ends_what_it_began(tmp_path: Path) -> None:
    async with open_worker(tmp_path / "cache", SMALL) as worker, trio.open_nursery() as nursery:
        sleep, hello = [await load(worker, tmp_path, guest) for guest in ("sleep", "hello")]
        worker.set([Served(sleep)])
        slow = FakeExchange(head(target="/100"))
        nursery.start_soon(worker.handle, slow)
        while not worker.statistics().requests_active:
            await trio.testing.wait_all_tasks_blocked()
        worker.set([Served(hello)])
        assert await ask(worker, "any") == b"hello"
        await trio.testing.wait_all_tasks_blocked()
        assert worker.statistics().retiring == 1
        while worker.statistics().retiring:
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert slow.body == b"100"


async def test_draining_waits_for_what_was_begun(tmp_path: Path) -> None:
    async with open_worker(tmp_path / "cache", SMALL) as worker, trio.open_nursery() as nursery:
        sleep, hello = [await load(worker, tmp_path, guest) for guest in ("sleep", "hello")]
        worker.set([Served(sleep, ("a.test",)), Served(hello, ("b.test",))])
        slow = FakeExchange(head(authority="a.test", target="/100"))
        nursery.start_soon(worker.handle, slow)
        while not worker.statistics().requests_active:
            await trio.testing.wait_all_tasks_blocked()
        await worker.drain()
        assert slow.body == b"100"
        assert worker.statistics() == WorkerStatistics(0, 0, 0, 0, 0, 0)
        with pytest.raises(NotReady):
            await ask(worker, "b.test")


async def test_everybody_who_drains_is_told(tmp_path: Path) -> None:
    async with open_worker(tmp_path / "cache", SMALL) as worker, trio.open_nursery() as nursery:
        worker.set([Served(await load(worker, tmp_path, "sleep"))])
        nursery.start_soon(worker.handle, FakeExchange(head(target="/100")))
        while not worker.statistics().requests_active:
            await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(worker.drain)
        nursery.start_soon(worker.drain)
