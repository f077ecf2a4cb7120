"""One wasmtime engine per worker process: its configuration, its pool of memory, its epoch.

The epoch is how a busy guest is made to give way: a thread advances it every millisecond while guests run, and a
guest that meets its deadline leaves its fiber and lets the trio loop have a turn (`edged.wasm.store`).
"""

from __future__ import annotations

import hashlib
import platform
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import wasmtime

from edged.limits import EPOCH_TICK_S, STACK_ASYNC_BYTES, STACK_WASM_BYTES_MAX, GuestLimits, KiB, MiB
from edged.wasm import ffi
from edged.wasm.turnstile import Turnstile

# A tick thread that wakes a thousand times a second costs two percent of a core, so it dozes when no guest runs.
_TICK_IDLE_S = 0.010
# One that an instance may have in any case, and one for its allocator, or anybody's. They are address space only.
_STACKS_PER_INSTANCE = 2


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """Slots of the pooling allocator. Address space is reserved for all of them, memory only for those used.

    A guest that needs more of one kind than its share is refused at instantiation, with the limit's name.
    """

    instances: int = 1_000  # as Spin; component instances alive at once in one worker
    core_instances: int = 10_000
    memories: int = 4_000
    tables: int = 8_000
    memory_bytes_max: int = GuestLimits().memory_bytes_max
    table_elements: int = GuestLimits().table_elements_max
    memories_per_component: int = GuestLimits().memory_count_max
    tables_per_component: int = GuestLimits().table_count_max
    core_instances_per_component: int = GuestLimits().instance_count_max
    instance_bytes_max: int = 4 * MiB  # wasmtime's own metadata of one core instance
    keep_resident_bytes: int = 64 * KiB  # per memory: zeroed in place instead of given back, which costs a fault


class Engine:
    """A wasmtime engine with async calls, epochs and a pool.

    Args:
        pool: slots to reserve; None for an engine that only compiles.
    """

    def __init__(self, pool: PoolConfig | None = None) -> None:
        config = _config()
        config.epoch_interruption = True
        raw = ffi.address(config.ptr())
        # WASI 0.3 has no values in the C API. With its machinery on, wasmtime 50 ends a suspended call that was given
        # two borrowed handles (wasi:io/poll) with a bug of its own; the guest `poll` in tests/triggers holds that.
        ffi.lib.wasmtime_config_wasm_component_model_async_set(raw, False)
        ffi.lib.wasmtime_config_concurrency_support_set(raw, False)
        ffi.lib.wasmtime_config_max_wasm_stack_set(raw, STACK_WASM_BYTES_MAX)
        ffi.lib.wasmtime_config_async_stack_size_set(raw, STACK_ASYNC_BYTES)
        if pool is not None:
            _use_pool(raw, pool)
        self.wasmtime = wasmtime.Engine(config)
        self.address = ffi.address(self.wasmtime.ptr())
        self.pool = pool
        self.guest: Any = None
        """The `edged.wasm.store.GuestStore` on the stack right now: host callbacks ask who is calling."""
        self.polls = 0
        """Guest polls begun so far; the ticker dozes while it stands still."""
        self.fibers_spare = 0
        """Of components on the core API, calls that wait on stacks, but for FIBER_OWN_COUNT of each instance."""
        self.instances = 0
        """Instances alive."""
        self.turnstile = Turnstile()
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    def start_ticking(self) -> None:
        """Start the epoch thread. Guests that never call the host cannot be interrupted before this."""
        if self._ticker is None:
            self._ticker = threading.Thread(target=self._tick, name="edged-epoch", daemon=True)
            self._ticker.start()

    def close(self) -> None:
        """Stop the epoch thread."""
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join()
            self._ticker = None

    def _tick(self) -> None:
        increment, address = ffi.lib.wasmtime_engine_increment_epoch, self.address
        seen = -1
        while not self._stop.is_set():
            if self.polls == seen and self.guest is None:
                time.sleep(_TICK_IDLE_S)
            else:
                time.sleep(EPOCH_TICK_S)
            seen = self.polls
            increment(address)


def new_validator() -> wasmtime.Engine:
    """An engine that says whether a component is valid, with every feature of the component model that edged can run.

    The core features are `Engine`'s but for objects that wasmtime collects: its collector does not look at fibers that
    wait, of which our own instances may have several in one store, and would free what they still use. Features that
    the C API cannot turn on (lists of fixed length, error contexts, threads) it refuses. It runs nothing, so it
    optimizes nothing.
    """
    config = _config()
    config.wasm_gc = False
    config.wasm_exceptions = False  # one that was caught is such an object too
    config.cranelift_opt_level = "none"
    raw = ffi.address(config.ptr())
    for feature in ("async", "async_stackful", "more_async_builtins", "map", "implements"):
        getattr(ffi.lib, f"wasmtime_config_wasm_component_model_{feature}_set")(raw, True)
    return wasmtime.Engine(config)


def _config() -> wasmtime.Config:
    """What all engines have in common: the features of core modules."""
    config = wasmtime.Config()
    config.wasm_threads = False
    return config


def _use_pool(config: int, pool: PoolConfig) -> None:
    settings = {
        "total_component_instances": pool.instances,
        "total_core_instances": pool.core_instances,
        "total_memories": pool.memories,
        "total_tables": pool.tables,
        "total_stacks": _STACKS_PER_INSTANCE * pool.instances,
        "max_memory_size": pool.memory_bytes_max,
        "max_unused_warm_slots": 100,
        "max_component_instance_size": pool.instance_bytes_max,
        "max_core_instance_size": pool.instance_bytes_max,
        "max_core_instances_per_component": pool.core_instances_per_component,
        "max_memories_per_component": pool.memories_per_component,
        "max_tables_per_component": pool.tables_per_component,
        "max_memories_per_module": pool.memories_per_component,  # all of them may be of one module
        "max_tables_per_module": pool.tables_per_component,
        "table_elements": pool.table_elements,
        "linear_memory_keep_resident": pool.keep_resident_bytes,
        "table_keep_resident": pool.keep_resident_bytes,
        "async_stack_keep_resident": pool.keep_resident_bytes,
    }
    allocation = ffi.lib.wasmtime_pooling_allocation_config_new()
    for name, value in settings.items():
        getattr(ffi.lib, f"wasmtime_pooling_allocation_config_{name}_set")(allocation, value)
    ffi.lib.wasmtime_pooling_allocation_strategy_set(config, allocation)
    ffi.lib.wasmtime_pooling_allocation_config_delete(allocation)


def _cpu_features() -> str:
    """What the processor can do, as the kernel says: an artefact compiled on another CPU may not run on this one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    flags = [line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))]
    return platform.machine() + " " + (" ".join(sorted(flags[0].split())) if flags else "")


def fingerprint(pool: PoolConfig) -> str:
    """A hash of everything that a compiled artefact depends on besides the component: wasmtime, CPU, configuration."""
    parts = [ffi.VERSION, _cpu_features(), repr(sorted(asdict(pool).items()))]
    parts.append(f"{STACK_WASM_BYTES_MAX} {STACK_ASYNC_BYTES}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
