"""An application, loaded: every component compiled, linked and tried, every route in place.

`load_app` does all that can fail before the first request; what it returns can be swapped in for another by whoever
holds the handler (`edged.worker`), and `close` is called when its last request has ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from edged import manifest
from edged.errors import ComponentUnsupported, EdgedError, GuestTimeout, LogFolderError, Unsupported
from edged.host.budget import Budget
from edged.host.guest_log import GuestLog
from edged.host.interface import Invocation
from edged.host.registry import REFUSED, HostConfig, spin_interfaces, wasi_interfaces
from edged.host.state import State, open_state
from edged.limits import GuestLimits
from edged.manifest.model import App, Component, StaticResponse
from edged.manifest.outbound import allowed_hosts
from edged.manifest.source import local_file
from edged.triggers.http import HANDLER, HttpComponent, HttpTrigger
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine
from edged.wasm.instance import Instance
from edged.wasm.linker import Export, Program
from edged.wasm.loader import LoadedComponent as CompiledComponent
from edged.wasm.loader import load_component
from edged.wasm.pool import InstancePool
from edged.wasm.types import ComponentType, Handle, describe


@dataclass(frozen=True, slots=True)
class LoadedComponent:
    """What loading one component came to.

    Attributes:
        seconds: from source to linked.
        refusals: imports that are refused when called.
    """

    id: str
    digest: str
    compiled: bool
    seconds: float
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the operator or developer adds to the manifest.

    Attributes:
        environment: variables that every component gets, over its own.
        variables: values of application variables. They may be secrets and stay out of the repr.
        variables_ambient: values where `variables` has none; see `edged.manifest.resolve`.
        state_folder: where stores and databases are kept; None for an app whose stores are not there.
        log_folder: also write guests' output to files there.
        limits: of every guest of the app.
        sources: cache folder for sources fetched by URL.
        on_compile: told a component's id and size in bytes when it has to be compiled, which takes seconds.
        on_loaded: told what became of each component.
    """

    sources: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables_ambient: Mapping[str, str] = field(default_factory=dict, repr=False)
    state_folder: Path | None = None
    log_folder: Path | None = None
    limits: GuestLimits = field(default_factory=GuestLimits)
    on_compile: Callable[[str, int], None] = lambda _component, _bytes: None
    on_loaded: Callable[[LoadedComponent], None] = lambda _component: None


class LoadedApp:
    """An app that can serve. Made by `load_app`."""

    def __init__(self, model: App, components: Mapping[str, HttpComponent], state: State) -> None:
        self.model = model
        self._state = state
        self.components = components
        targets: list[tuple[str, HttpComponent | StaticResponse]] = []
        for trigger in model.http_triggers:
            if trigger.route is not None:
                target = trigger.static_response or components[trigger.component or ""]
                targets.append((trigger.route, target))
        self.http = HttpTrigger(model, targets)

    async def keep_ahead(self) -> None:
        """Keep instances ready where the limits ask for it. Runs until cancelled."""
        async with trio.open_nursery() as nursery:
            for component in self.components.values():
                if component.pool.program.limits.instances_ahead:
                    nursery.start_soon(component.pool.keep_ahead, _start_invocation(component.log))

    def close(self) -> None:
        """Free what is kept between requests. Call it when no request is under way."""
        for component in self.components.values():
            component.pool.close()
            component.log.close()
        self._state.close()


async def load_app(model: App, engine: Engine, cache: AotCache, options: LoadOptions) -> LoadedApp:
    """Load an app.

    Raises:
        Unsupported: the app asks for something that edged does not have.
        ManifestError, VariableError, SourceMissing, SourceUnavailable, DigestMismatch: the app's own files.
        ComponentInvalid, ComponentTooLarge, ComponentUnsupported, CompileFailed, GuestError: a component.
        LogFolderError, StateFolderError, CacheError: this machine.
    """
    missing = manifest.unsupported(model)
    if missing:
        raise Unsupported("\n".join(missing))
    # Rendered now, so that what is wrong with a variable is an error at load, not of the first request that needs it.
    values = manifest.resolve(model, options.variables, options.variables_ambient)
    variables = {id_: manifest.component_values(component, values) for id_, component in model.components.items()}
    for component in model.components.values():
        allowed_hosts(component.id, component.allowed_outbound_hosts, values)
    used = {trigger.component for trigger in model.http_triggers}
    served = [component for component in model.components.values() if component.id in used]
    labels = {label for component in served for label in component.key_value_stores}
    databases = {name for component in served for name in component.sqlite_databases}
    state = await trio.to_thread.run_sync(open_state, options.state_folder, labels, databases)
    components: dict[str, HttpComponent] = {}
    try:
        for component in model.components.values():
            if component.id in used:
                try:
                    host = HostConfig(
                        environment={**component.environment, **options.environment},
                        key_value={label: state.key_value.get(label) for label in component.key_value_stores},
                        databases={name: state.databases.get(name) for name in component.sqlite_databases},
                        variables=variables[component.id],
                        limits=options.limits,
                    )
                    components[component.id] = await _load_component(
                        model, component, host, engine, cache, options=options
                    )
                except EdgedError as error:
                    raise _named(error, component.id) from error.__cause__
        return LoadedApp(model, components, state)
    except BaseException:
        for loaded in components.values():
            loaded.log.close()
        state.close()
        raise


async def _load_component(
    model: App,
    component: Component,
    host: HostConfig,
    engine: Engine,
    cache: AotCache,
    *,
    options: LoadOptions,
) -> HttpComponent:
    started = time.perf_counter()
    source = await local_file(component.source, cache=options.sources)
    loaded = await load_component(
        engine, cache, source, on_compile=lambda: options.on_compile(component.id, _size_bytes(source))
    )
    files = await trio.to_thread.run_sync(manifest.mount, model, component)
    host = replace(host, files=files)
    log = _open_log(model, component.id, options.log_folder)
    try:
        program, handler = _link(engine, loaded, host)
        await _try(program, log)
    except BaseException:
        log.close()
        raise
    seconds = time.perf_counter() - started
    options.on_loaded(
        LoadedComponent(component.id, loaded.digest, not loaded.from_cache, seconds, tuple(program.refusals))
    )
    return HttpComponent(component.id, InstancePool(program), handler, log)


def _size_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # removed since it was hashed: the compiler says so
        return 0


def _link(engine: Engine, loaded: CompiledComponent, host: HostConfig) -> tuple[Program, Export]:
    interfaces = [*wasi_interfaces(host), *spin_interfaces(host)]
    try:
        program = Program(engine, loaded.compiled, interfaces, tuple(REFUSED), host.limits)
    except ComponentUnsupported:
        # An import that nobody knows is the second thing to say of a component that was made for another world.
        _check_world(describe(loaded.compiled, engine.wasmtime))
        raise
    _check_world(program.type)
    handler = program.export(*HANDLER)
    assert handler is not None, "its world was checked"
    return program, handler


def _check_world(found: ComponentType) -> None:
    """Raise if the component exports no handler that can be called."""
    interface, function = HANDLER
    handlers = [
        exported.functions[function]
        for name, exported in found.exports.items()
        if name.startswith(interface) and "-rc" not in name and function in exported.functions
    ]
    if not handlers:
        exports = f" (it exports {', '.join(found.exports)})" if found.exports else ""
        raise ComponentUnsupported(
            f"the component exports no {interface} handler{exports}",
            remedy="Build the component for Spin's http trigger, or for the wasi:http/proxy world.",
        )
    takes = [
        found.resource_names[param.resource - 1][1]
        for param in handlers[0].params
        if isinstance(param, Handle) and param.owned
    ]
    if takes != ["incoming-request", "response-outparam"] or handlers[0].result is not None:
        raise ComponentUnsupported(
            f"the component's {interface} handler takes or gives something else than wasi:http says",
            remedy="Rebuild the component with its SDK.",
        )


async def _try(program: Program, log: GuestLog) -> None:
    """Instantiate once, so that a component that cannot start is an error of the load."""
    instance = Instance(program, _start_invocation(log))
    try:
        with trio.move_on_after(program.limits.wall_s_max) as deadline:
            await instance.instantiate()
        if deadline.cancelled_caught:
            raise GuestTimeout(f"it did not start within {program.limits.wall_s_max:g} s")
    finally:
        instance.close()


def _named(error: EdgedError, component: str) -> EdgedError:
    """The same error, saying which component it is about."""
    if f"component `{component}`" in error.message:
        return error
    return type(error)(f"component `{component}`: {error.message}", remedy=error.remedy)


def _start_invocation(log: GuestLog) -> Invocation:
    """What a component's start functions see, before there is a request."""
    budget = Budget()
    return Invocation("start", log.output("stdout", "start", budget), log.output("stderr", "start", budget), budget)


def _open_log(model: App, component: str, folder: Path | None) -> GuestLog:
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return GuestLog(model.name, component, folder=folder)
    except OSError as error:
        raise LogFolderError(f"the log folder {folder} cannot be written: {error.strerror}") from error
