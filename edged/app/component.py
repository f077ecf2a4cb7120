"""One component of an app: from its source to something that triggers can call.

source -> compiled, or found in the cache -> linked with its host -> instantiated once
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import trio

from edged import manifest
from edged.app.options import ComponentLoaded, LoadOptions
from edged.errors import ComponentUnsupported, GuestTimeout, LogFolderError
from edged.host.guest_log import GuestLog
from edged.host.registry import REFUSED, HostConfig, core_modules, spin_interfaces, wasi_interfaces
from edged.manifest.model import App, Component
from edged.manifest.source import local_file
from edged.triggers.component import TriggerComponent, start_invocation
from edged.triggers.exports import Entry, check_handler, find_handler
from edged.triggers.wagi import find_entry_point
from edged.wasm.cache import AotCache
from edged.wasm.compiler import kind_of
from edged.wasm.component.compiled import CompiledPlan
from edged.wasm.core.instance import CorePool
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine
from edged.wasm.linker import Program
from edged.wasm.loader import LoadedComponent, LoadedModule, LoadedPlan, load_component, load_module
from edged.wasm.pool import InstancePool, Pool
from edged.wasm.types import describe


class _Linked(NamedTuple):
    """What triggers call.

    Attributes:
        refusals: imports that are refused when called.
    """

    pool: Pool[Any]
    exports: Mapping[str, Entry]
    refusals: tuple[str, ...]


async def load(
    model: App,
    component: Component,
    triggers: Collection[str],
    *,
    host: HostConfig,
    engine: Engine,
    cache: AotCache,
    options: LoadOptions,
) -> TriggerComponent:
    """Load a component.

    Args:
        triggers: types of the triggers that call it.
        host: what it gets, but its files, which come from the manifest.

    Raises:
        EdgedError: as `edged.app.load_app`.
    """
    started = time.perf_counter()
    source = await local_file(component.source, cache=options.sources)

    def on_compile() -> None:
        options.on_compile(component.id, _size_bytes(source))

    compiled: LoadedComponent | LoadedPlan | LoadedModule
    link: Callable[[HostConfig], _Linked]
    if await trio.to_thread.run_sync(_is_program, source, triggers):
        compiled = await load_module(engine, cache, source, on_compile=on_compile)
        link = partial(_link_module, engine, compiled)
    else:
        compiled = await load_component(engine, cache, source, on_compile=on_compile)
        link = partial(_link, engine, compiled, triggers)
    host = replace(host, files=await trio.to_thread.run_sync(manifest.mount, model, component))
    log = _open_log(model, component.id, options.log_folder)
    try:
        linked = link(host)
        if options.goes_first:
            linked.pool.turnstile = None
        await _try(linked.pool, log)
    except BaseException:
        log.close()
        raise
    seconds = time.perf_counter() - started
    options.on_loaded(ComponentLoaded(component.id, compiled.digest, not compiled.from_cache, seconds, linked.refusals))
    return TriggerComponent(component.id, linked.pool, log, linked.exports)


def _is_program(source: Path, triggers: Collection[str]) -> bool:
    """Whether this is a core module for the executor `wagi`. No other trigger has a use for one, and says so."""
    try:
        return set(triggers) == {"wagi"} and kind_of(source) == "module"
    except OSError:
        return False  # whoever loads it says what is wrong with the file


def _size_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # removed since it was hashed: the compiler says so
        return 0


def _link_module(engine: Engine, loaded: LoadedModule, host: HostConfig) -> _Linked:
    program = CoreProgram(engine, loaded.compiled, core_modules(host), host.limits)
    return _Linked(CorePool(program), {"wagi": find_entry_point(program)}, ())


def _link(engine: Engine, loaded: LoadedComponent | LoadedPlan, triggers: Collection[str], host: HostConfig) -> _Linked:
    compiled = loaded.compiled
    if isinstance(compiled, CompiledPlan):
        offered = ", ".join([*compiled.plan.type.exports, *compiled.plan.type.functions])
        raise ComponentUnsupported(
            f"the component is built for WASI 0.3 (it exports {offered or 'nothing'}), which edged does not run yet",
            remedy="Build it for the WASI 0.2 http world: an SDK that exports wasi:http/incoming-handler@0.2.",
        )
    interfaces = [*wasi_interfaces(host), *spin_interfaces(host)]
    try:
        program = Program(engine, compiled, interfaces, tuple(REFUSED), host.limits)
    except ComponentUnsupported:
        # An import that nobody knows is the second thing to say of a component that was made for another world.
        found = describe(compiled, engine.wasmtime)
        for trigger in triggers:
            check_handler(trigger, found)
        raise
    for trigger in triggers:
        check_handler(trigger, program.type)
    exports = {trigger: find_handler(trigger, program) for trigger in triggers}
    return _Linked(InstancePool(program), exports, tuple(program.refusals))


async def _try(pool: Pool[Any], log: GuestLog) -> None:
    """Instantiate once, so that a component that cannot start is an error of the load."""
    instance = pool.make(start_invocation(log, "start"), None)
    try:
        with trio.move_on_after(pool.limits.wall_s_max) as deadline:
            await instance.instantiate()
        if deadline.cancelled_caught:
            raise GuestTimeout(f"it did not start within {pool.limits.wall_s_max:g} s")
    finally:
        instance.close()


def _open_log(model: App, component: str, folder: Path | None) -> GuestLog:
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return GuestLog(model.name, component, folder=folder)
    except OSError as error:
        raise LogFolderError(f"the log folder {folder} cannot be written: {error.strerror}") from error
