"""What `key-value.get` costs a guest, beside the same SELECT in plain Python: on its own thread, and as a trio server
would do it.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import trio
from wasmtime import component

from edged.host.interface import Invocation
from edged.host.key_value.interfaces import SpinKeyValue
from edged.host.key_value.sqlite import KeyValueFile
from edged.limits import GuestLimits
from edged.wasm.engine import Engine, PoolConfig
from edged.wasm.instance import Instance
from edged.wasm.linker import Program

GUEST = Path(__file__).with_name("key-value.wat")
VALUE = bytes(100)
CALLS = 2_000


class Nowhere:
    """An output of guests that keeps nothing."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def invocation() -> Invocation:
    return Invocation("bench", Nowhere(), Nowhere())


async def _measure(folder: Path, rounds: int) -> dict[str, float]:
    file = KeyValueFile(folder / "store.db")
    store = file.store("default")
    await store.set_many([("key", VALUE)])
    engine = Engine(PoolConfig())
    limits = dataclasses.replace(GuestLimits(), host_calls_max=10**9, cpu_s_max=600.0, wall_s_max=600.0)
    compiled = component.Component(engine.wasmtime, GUEST.read_text())
    program = Program(engine, compiled, [SpinKeyValue({"default": store})], (), limits)
    export = program.export("bench:guest/run", "get")
    assert export is not None
    connection = file._connection  # the peer uses the very same connection, settings and cache

    def select() -> bytes | None:
        row = connection.execute("SELECT value FROM spin_key_value WHERE store = 'default' AND key = 'key'").fetchone()
        return row and bytes(row[0])

    async def guest() -> None:
        instance = Instance(program, invocation())
        await instance.instantiate()
        await instance.call(export, CALLS)
        instance.close()

    async def plain() -> None:
        for _ in range(CALLS):
            select()

    async def threaded() -> None:
        for _ in range(CALLS):
            await trio.to_thread.run_sync(select)

    ways: dict[str, Callable[[], Awaitable[None]]] = {"edged": guest, "plain": plain, "threaded": threaded}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            started = perf_counter()
            await run()
            times[name].append((perf_counter() - started) / CALLS * 1e6)
    file.close()
    engine.close()
    return {name: statistics.median(seen) for name, seen in times.items()}


def measure(rounds: int) -> list[dict[str, Any]]:
    """Microseconds of one get of 100 bytes: by a guest, and in plain Python."""
    with tempfile.TemporaryDirectory() as folder:
        us = trio.run(_measure, Path(folder), rounds)
    return [
        {
            "call": "key-value get, SQLite",
            "edged_us": round(us["edged"], 1),
            "peer": peer,
            "peer_us": round(us[name], 1),
            "ratio": round(us["edged"] / us[name], 2),
        }
        for name, peer in (("plain", "sqlite3, blocking the loop"), ("threaded", "sqlite3 in trio.to_thread"))
    ]
