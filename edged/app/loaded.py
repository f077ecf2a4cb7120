"""An app that can serve."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from edged.app.services import Services
from edged.manifest.model import App
from edged.triggers.component import TriggerComponent, start_invocation
from edged.triggers.http import HttpTrigger
from edged.triggers.scope import Background


class LoadedApp:
    """An app that can serve. Made by `load_app`.

    Attributes:
        http: answers requests, from the beginning.
        background: the other triggers; they work while `run` does, and they are switched on.
        services: what its components share.
    """

    def __init__(
        self,
        model: App,
        components: Mapping[str, TriggerComponent],
        http: HttpTrigger,
        background: Background,
        services: Services,
    ) -> None:
        self.model = model
        self.components = components
        self.http = http
        self.background = background
        self.services = services

    async def run(self) -> None:
        """What an app does besides answering requests, until cancelled: other triggers, instances ahead, tidying."""
        async with trio.open_nursery() as nursery:
            for component in self.components.values():
                if component.pool.limits.instances_ahead:
                    nursery.start_soon(component.pool.keep_ahead, start_invocation(component.log, "start"))
            nursery.start_soon(self.background.run, self.services.nursery)
            nursery.start_soon(self.services.run)

    async def wait_idle(self) -> None:
        """Return when no guest is at work."""
        counts = [self.http.counts, *self.background.counts]
        while any(each.active for each in counts):  # one may have called another meanwhile
            for each in counts:
                await each.wait_idle()

    def close(self) -> None:
        """Free what is kept between calls. Call it when `run` has ended and the app is idle."""
        for component in self.components.values():
            component.close()
        self.services.close()
