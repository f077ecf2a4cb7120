"""Loading an app does all that can fail before the first request.

What it returns can be swapped in for another app by whoever holds the handler (`edged.worker`), and is closed when its
last request has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from edged import manifest
from edged.app import component
from edged.app.loaded import LoadedApp
from edged.app.options import LoadOptions
from edged.app.services import Services, open_services
from edged.errors import EdgedError, Unsupported
from edged.host.registry import HostConfig
from edged.manifest.model import App, HttpTrigger, Trigger, WagiExecutor
from edged.manifest.outbound import allowed_hosts
from edged.runtime_config.components import check_components
from edged.runtime_config.labels import check_labels
from edged.triggers import cron, http, redis
from edged.triggers.async_target import AsyncGuestTarget
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import Style
from edged.triggers.record import RecordTarget
from edged.triggers.scope import Background, BackgroundTrigger, Channel, OrderedTrigger, TickNews
from edged.triggers.target import GuestTarget, HttpTarget, StaticTarget
from edged.triggers.wagi import WagiTarget
from edged.variables_provider import resolve_variables
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine

_TARGETS: Mapping[Style, Callable[[TriggerComponent], HttpTarget]] = {
    "handler": AsyncGuestTarget,
    "incoming-handler": GuestTarget,
    "record": RecordTarget,
}
"""How a component wants its requests -> who hands them over."""


async def load_app(
    model: App, engine: Engine, cache: AotCache, options: LoadOptions, nursery: trio.Nursery
) -> LoadedApp:
    """Load an app.

    Args:
        nursery: where work runs that its guests begin. It has to outlive the app.

    Raises:
        Unsupported: the app asks for something that edged does not have.
        ManifestError, VariableError, SourceMissing, SourceUnavailable, DigestMismatch: the app's own files.
        ComponentInvalid, ComponentTooLarge, ComponentUnsupported, CompileFailed, GuestError: a component.
        VariablesUnavailable, LabelUnknown, RuntimeConfigError, RuntimeConfigUnsupported: the runtime config.
        LogFolderError, StateFolderError, CacheError: this machine.
    """
    missing = manifest.unsupported(model)
    if missing:
        raise Unsupported("\n".join(missing))
    check_labels(model, options.runtime_config)
    check_components(model, options.runtime_config)
    values = await resolve_variables(model, options.variables, options.providers)
    for declared in model.components.values():
        # So that what is wrong with a variable is an error at load, not of the first request that needs it.
        allowed_hosts(declared.id, declared.allowed_outbound_hosts, values)
    callers = _callers(model)
    served = [declared for declared in model.components.values() if declared.id in callers]
    services = await open_services(model.name, served, values, options, nursery)
    components: dict[str, TriggerComponent] = {}
    hosts: dict[str, HostConfig] = {}
    try:
        for declared in served:
            host = hosts[declared.id] = services.host_config(declared)
            try:
                components[declared.id] = await component.load(
                    model, declared, callers[declared.id], host=host, engine=engine, cache=cache, options=options
                )
            except EdgedError as error:
                raise _named(error, declared.id) from error.__cause__
        targets = [(trigger.route, _target(trigger, components, hosts)) for trigger in model.http_triggers]
        services.local.trigger = trigger = http.HttpTrigger(model, targets)
        return LoadedApp(model, components, trigger, _background(model, components, services, options.ticks), services)
    except BaseException:
        for loaded in components.values():
            loaded.close()
        services.close()
        raise


def _callers(model: App) -> Mapping[str, set[str]]:
    """Component -> types of the triggers that call it. Others are not loaded."""
    callers: dict[str, set[str]] = {}
    for trigger in model.triggers:
        if trigger.component is not None:
            callers.setdefault(trigger.component, set()).add(_type(trigger))
    return callers


def _type(trigger: Trigger) -> str:
    if isinstance(trigger, HttpTrigger):
        return "wagi" if isinstance(trigger.executor, WagiExecutor) else "http"
    return trigger.type


def _target(
    trigger: HttpTrigger, components: Mapping[str, TriggerComponent], hosts: Mapping[str, HostConfig]
) -> HttpTarget:
    if trigger.static_response is not None:
        return StaticTarget(trigger.static_response)
    guest = _guest(trigger, components)
    if isinstance(trigger.executor, WagiExecutor):
        return WagiTarget(guest, trigger.executor.argv, hosts[guest.id].environment)
    return _TARGETS[guest.exports["http"].style](guest)


def _background(
    model: App, components: Mapping[str, TriggerComponent], services: Services, ticks: TickNews | None
) -> Background:
    """The triggers that no request starts."""
    own: list[BackgroundTrigger] = []
    ordered: dict[str, OrderedTrigger] = {}
    channels: dict[str, Channel] = {}
    for trigger in model.cron_triggers:
        call = cron.guest_call(_guest(trigger, components))
        if trigger.scope == "node" or ticks is None:
            own.append(cron.CronTrigger(model.name, trigger, call))
        else:
            ordered[trigger.id] = cron.OrderedCron(model.name, trigger, call, ticks)
    everywhere: list[redis.Subscription] = []
    for each in model.redis_triggers:
        subscription = redis.subscription(each, _guest(each, components), services.values)
        if each.scope == "node" or ticks is None:
            everywhere.append(subscription)
        else:
            channels[each.id] = redis.RedisTrigger(model.name, [subscription], services.dialer, scope=each.scope)
    if everywhere:
        own.append(redis.RedisTrigger(model.name, everywhere, services.dialer))
    return Background(own, ordered, channels)


def _guest(trigger: Trigger, components: Mapping[str, TriggerComponent]) -> TriggerComponent:
    assert trigger.component is not None, "the manifest has seen to that"
    return components[trigger.component]


def _named(error: EdgedError, component: str) -> EdgedError:
    """The same error, saying which component it is about."""
    if f"component `{component}`" in error.message:
        return error
    return type(error)(f"component `{component}`: {error.message}", remedy=error.remedy)
