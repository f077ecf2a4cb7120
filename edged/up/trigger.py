"""What calls an app's components: its routes, and the triggers that no request starts. For whoever shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from edged.host.redis.address import parse_address
from edged.manifest.model import App, HttpTrigger, WagiExecutor


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP trigger.

    Attributes:
        app: its name.
        route: None for a private one, which only other components of the app reach.
        url: the route on the first address that is listened on; for a private one, what other components call.
        target: id of the component, or None for a static response.
        executor: what the component is, or None for a static response.
    """

    app: str
    route: str | None
    url: str
    target: str | None
    executor: Literal["spin", "wagi"] | None = "spin"

    @staticmethod
    def all_of(app: App, base_url: str) -> tuple[Route, ...]:
        """The routes of an app, in the manifest's order."""
        return tuple(_route(app, trigger, base_url) for trigger in app.http_triggers)


def _route(app: App, trigger: HttpTrigger, base_url: str) -> Route:
    url = f"http://{trigger.component}.spin.internal/..." if trigger.route is None else base_url + trigger.route
    executor: Literal["spin", "wagi"] = "wagi" if isinstance(trigger.executor, WagiExecutor) else "spin"
    return Route(app.name, trigger.route, url, trigger.component, None if trigger.component is None else executor)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A redis trigger.

    Attributes:
        server: host and port, without user and password.
    """

    app: str
    component: str | None
    channel: str
    server: str
    type: Literal["redis"] = "redis"


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A cron trigger.

    Attributes:
        expression: as the manifest has it.
        next: when it calls, RFC 3339 in UTC; None for never again.
    """

    app: str
    component: str | None
    expression: str
    next: str | None = field(compare=False)
    type: Literal["cron"] = "cron"


Trigger = Subscribed | Scheduled
"""That no request starts."""


def triggers_of(model: App, values: Mapping[str, str], now: datetime) -> tuple[Trigger, ...]:
    """The triggers of an app besides HTTP.

    Args:
        values: of its variables, with which it was loaded. Of secret ones only a channel or a host is shown.
        now: in UTC.
    """
    subscribed = [
        Subscribed(
            model.name,
            trigger.component,
            trigger.channel.render(values),
            parse_address(trigger.address.render(values)).server,
        )
        for trigger in model.redis_triggers
    ]
    scheduled = [
        Scheduled(model.name, trigger.component, trigger.schedule.expression, _written(trigger.schedule.next(now)))
        for trigger in model.cron_triggers
    ]
    return (*subscribed, *scheduled)


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
