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
from edged.host.registry import (
    REFUSED,
    HostConfig,
    core_modules,
    spin1_interfaces,
    spin_interfaces,
    wasi3_interfaces,
    wasi_interfaces,
)
from edged.manifest.model import App, Component
from edged.manifest.source import local_file
from edged.triggers.component import TriggerComponent, start_invocation
from edged.triggers.exports import Entry, LinkedComponent, check_handler, find_handler
from edged.triggers.wagi import ENTRY_POINT, find_entry_point
from edged.wasm.cache import AotCache
from edged.wasm.compiler import kind_of
from edged.wasm.component.program import ComponentProgram
from edged.wasm.component.reuse import ComponentPool, ReusePool
from edged.wasm.core.instance import CorePool
from edged.wasm.core.kinds import world_of
from edged.wasm.core.lifted import WorldProgram
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine
from edged.wasm.linker import Program
from edged.wasm.loader import LoadedComponent, LoadedModule, LoadedPlan, load_component, load_module
from edged.wasm.plan.compiled import CompiledPlan
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
    if await trio.to_thread.run_sync(_is_module, source):
        compiled = await load_module(engine, cache, source, on_compile=on_compile)
        module = await trio.to_thread.run_sync(source.read_bytes)
        link = partial(_link_module, engine, compiled, module, triggers)
    else:
        compiled = await load_component(engine, cache, source, on_compile=on_compile)
        link = partial(_link, engine, compiled, triggers)
    host = replace(host, files=await trio.to_thread.run_sync(manifest.mount, model, component))
    log = _open_log(model, component.id, options.log_folder)
    try:
        # In a thread: a component may have ten thousand imports to bind, and others have requests meanwhile.
        linked = await trio.to_thread.run_sync(link, host)
        if options.goes_first:
            linked.pool.turnstile = None
        await _try(linked.pool, log)
    except BaseException:
        log.close()
        raise
    seconds = time.perf_counter() - started
    options.on_loaded(ComponentLoaded(component.id, compiled.digest, not compiled.from_cache, seconds, linked.refusals))
    return TriggerComponent(component.id, linked.pool, log, linked.exports)


def _is_module(source: Path) -> bool:
    try:
        return kind_of(source) == "module"
    except OSError:
        return False  # whoever loads it says what is wrong with the file


def _size_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # removed since it was hashed: the compiler says so
        return 0


def _link_module(
    engine: Engine, loaded: LoadedModule, module: bytes, triggers: Collection[str], host: HostConfig
) -> _Linked:
    world = world_of(loaded.compiled, module)
    interfaces = [*wasi_interfaces(host), *spin_interfaces(host), *spin1_interfaces(host)]
    program = CoreProgram(
        engine,
        loaded.compiled,
        core_modules(host),
        host.limits,
        world=world,
        interfaces=interfaces,
        refusable=tuple(REFUSED),
    )
    exports: dict[str, Entry] = {}
    for trigger in triggers:
        # CGI enters a program, whatever else it imports.
        if world is None or (trigger == "wagi" and program.export(ENTRY_POINT) is not None):
            exports[trigger] = _entry_point(trigger, program)
        else:
            exports |= _find([trigger], WorldProgram(program))
    return _Linked(CorePool(program), exports, tuple(program.refusals))


def _entry_point(trigger: str, program: CoreProgram) -> Entry:
    """Where a trigger enters a program that has no world: only CGI does."""
    if trigger != "wagi":
        raise ComponentUnsupported(
            "it is a core module, not a component, and exports nothing that a trigger could call",
            remedy="Build it as a component (cargo build --target wasm32-wasip2, or componentize it); a program that "
            'speaks CGI runs as it is with executor = { type = "wagi" }.',
        )
    return find_entry_point(program)


def _link(engine: Engine, loaded: LoadedComponent | LoadedPlan, triggers: Collection[str], host: HostConfig) -> _Linked:
    compiled = loaded.compiled
    interfaces = [*wasi_interfaces(host), *wasi3_interfaces(host), *spin_interfaces(host)]
    program: Program | ComponentProgram
    pool: Pool[Any]
    try:
        if isinstance(compiled, CompiledPlan):
            program = ComponentProgram(engine, compiled, interfaces, tuple(REFUSED), host.limits)
            pool = ReusePool(program) if program.reusable else ComponentPool(program)
        else:
            program = Program(engine, compiled, interfaces, tuple(REFUSED), host.limits)
            pool = InstancePool(program)
    except ComponentUnsupported:
        # An import that nobody knows is the second thing to say of a component that was made for another world.
        found = compiled.plan.type if isinstance(compiled, CompiledPlan) else describe(compiled, engine.wasmtime)
        for trigger in triggers:
            check_handler(trigger, found)
        raise
    return _Linked(pool, _find(triggers, program), tuple(program.refusals))


def _find(triggers: Collection[str], program: LinkedComponent) -> Mapping[str, Entry]:
    for trigger in triggers:
        check_handler(trigger, program.type)
    return {trigger: find_handler(trigger, program) for trigger in triggers}


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
