"""What a worker sets up: the pool that an app's limits ask for, the files it may open."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edged.limits import GUEST_LIMITS_LOWEST, GuestLimits, MiB
from edged.wasm.engine import PoolConfig
from edged.worker import open_worker, pool_for


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
        "from edged.worker import open_worker, pool_for; Engine(pool_for(GUEST_LIMITS_HIGHEST))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_memory_is_all_that_a_guest_can_address() -> None:
    assert pool_for(replace(GuestLimits(), memory_bytes_max=4096 * MiB)).memory_bytes_max == 4096 * MiB


async def test_a_worker_may_open_as_many_files_as_the_process_may(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        async with open_worker(tmp_path / "cache", PoolConfig(instances=1, core_instances=10)):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
