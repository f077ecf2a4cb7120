"""Loading an app does all that can fail before the first request.

What it returns can be swapped in for another app by whoever holds the handler (`edged.worker`), and is closed when its
last request has ended.
"""

from __future__ import annotations

from collections.abc import Mapping

import trio

from edged import manifest
from edged.app import component
from edged.app.loaded import BackgroundTrigger, LoadedApp
from edged.app.options import LoadOptions
from edged.errors import EdgedError, Unsupported
from edged.host.registry import HostConfig
from edged.host.state import open_state
from edged.manifest.model import App, HttpTrigger, Trigger
from edged.manifest.outbound import allowed_hosts
from edged.triggers import http
from edged.triggers.component import TriggerComponent
from edged.triggers.target import GuestTarget, HttpTarget, StaticTarget
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine


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
    for declared in model.components.values():
        allowed_hosts(declared.id, declared.allowed_outbound_hosts, values)
    callers = _callers(model)
    served = [declared for declared in model.components.values() if declared.id in callers]
    labels = {label for declared in served for label in declared.key_value_stores}
    databases = {name for declared in served for name in declared.sqlite_databases}
    state = await trio.to_thread.run_sync(open_state, options.state_folder, labels, databases)
    components: dict[str, TriggerComponent] = {}
    try:
        for declared in served:
            host = HostConfig(
                environment={**declared.environment, **options.environment},
                key_value={label: state.key_value.get(label) for label in declared.key_value_stores},
                databases={name: state.databases.get(name) for name in declared.sqlite_databases},
                variables=variables[declared.id],
                limits=options.limits,
            )
            try:
                components[declared.id] = await component.load(
                    model, declared, callers[declared.id], host=host, engine=engine, cache=cache, options=options
                )
            except EdgedError as error:
                raise _named(error, declared.id) from error.__cause__
        targets = [(trigger.route, _target(trigger, components)) for trigger in model.http_triggers]
        background: list[BackgroundTrigger] = []
        return LoadedApp(model, components, http.HttpTrigger(model, targets), background, state)
    except BaseException:
        for loaded in components.values():
            loaded.close()
        state.close()
        raise


def _callers(model: App) -> Mapping[str, set[str]]:
    """Component -> types of the triggers that call it. Others are not loaded."""
    callers: dict[str, set[str]] = {}
    for trigger in model.triggers:
        if trigger.component is not None:
            callers.setdefault(trigger.component, set()).add(_type(trigger))
    return callers


def _type(trigger: Trigger) -> str:
    return "http" if isinstance(trigger, HttpTrigger) else trigger.type


def _target(trigger: HttpTrigger, components: Mapping[str, TriggerComponent]) -> HttpTarget:
    if trigger.static_response is not None:
        return StaticTarget(trigger.static_response)
    assert trigger.component is not None, "the manifest has either"
    return GuestTarget(components[trigger.component])


def _named(error: EdgedError, component: str) -> EdgedError:
    """The same error, saying which component it is about."""
    if f"component `{component}`" in error.message:
        return error
    return type(error)(f"component `{component}`: {error.message}", remedy=error.remedy)
