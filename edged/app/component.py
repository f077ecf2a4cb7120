"""One component of an app: from its source to something that triggers can call.

source -> compiled, or found in the cache -> linked with its host -> instantiated once
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import trio

from edged import manifest
from edged.app.options import ComponentLoaded, LoadOptions
from edged.errors import ComponentUnsupported, GuestTimeout, LogFolderError
from edged.host.guest_log import GuestLog
from edged.host.registry import REFUSED, HostConfig, spin_interfaces, wasi_interfaces
from edged.manifest.model import App, Component
from edged.manifest.source import local_file
from edged.triggers.component import TriggerComponent, start_invocation
from edged.triggers.exports import check_handler, find_handler
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine
from edged.wasm.instance import Instance
from edged.wasm.linker import Program
from edged.wasm.loader import LoadedComponent, load_component
from edged.wasm.pool import InstancePool
from edged.wasm.types import describe


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
    compiled = await load_component(
        engine, cache, source, on_compile=lambda: options.on_compile(component.id, _size_bytes(source))
    )
    host = replace(host, files=await trio.to_thread.run_sync(manifest.mount, model, component))
    log = _open_log(model, component.id, options.log_folder)
    try:
        program = _link(engine, compiled, triggers, host)
        await _try(program, log)
    except BaseException:
        log.close()
        raise
    seconds = time.perf_counter() - started
    options.on_loaded(
        ComponentLoaded(component.id, compiled.digest, not compiled.from_cache, seconds, tuple(program.refusals))
    )
    exports = {trigger: find_handler(trigger, program) for trigger in triggers}
    return TriggerComponent(component.id, InstancePool(program), log, exports)


def _size_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # removed since it was hashed: the compiler says so
        return 0


def _link(engine: Engine, loaded: LoadedComponent, triggers: Collection[str], host: HostConfig) -> Program:
    interfaces = [*wasi_interfaces(host), *spin_interfaces(host)]
    try:
        program = Program(engine, loaded.compiled, interfaces, tuple(REFUSED), host.limits)
    except ComponentUnsupported:
        # An import that nobody knows is the second thing to say of a component that was made for another world.
        found = describe(loaded.compiled, engine.wasmtime)
        for trigger in triggers:
            check_handler(trigger, found)
        raise
    for trigger in triggers:
        check_handler(trigger, program.type)
    return program


async def _try(program: Program, log: GuestLog) -> None:
    """Instantiate once, so that a component that cannot start is an error of the load."""
    instance = Instance(program, start_invocation(log, "start"))
    try:
        with trio.move_on_after(program.limits.wall_s_max) as deadline:
            await instance.instantiate()
        if deadline.cancelled_caught:
            raise GuestTimeout(f"it did not start within {program.limits.wall_s_max:g} s")
    finally:
        instance.close()


def _open_log(model: App, component: str, folder: Path | None) -> GuestLog:
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return GuestLog(model.name, component, folder=folder)
    except OSError as error:
        raise LogFolderError(f"the log folder {folder} cannot be written: {error.strerror}") from error
