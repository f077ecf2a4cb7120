"""The canary of a worker: a guest of our own, asked by the node as a client would (`edged.anycast.prober`).

It goes the way of every app: the same load, engine, pool of instances, listener. What it answers tells that guests of
this worker can answer. It is no site: no host of an app, no traffic, no statistics. Only this machine's own requests
reach it; anybody else's go where they would go without it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog
import trio

from edged import manifest
from edged.app import LoadedApp, LoadOptions
from edged.errors import EdgedError, HostUnknown, NotReady
from edged.http.canary import WORKER_HEADER, canary_host, is_canary, is_here
from edged.http.exchange import Exchange
from edged.http.hosts import host_of
from edged.http.response import error_response
from edged.limits import CANARY_GUEST_LIMITS, CANARY_RETRY_S
from edged.worker.worker import Worker

log = structlog.get_logger()

_FILE = Path(__file__).with_name("canary.wat")
_MANIFEST = b"""
spin_manifest_version = 2
[application]
name = "edged-canary"
[[trigger.http]]
route = "/..."
component = "canary"
[component.canary]
source = "canary.wat"
"""


class Canary:
    """See the module.

    Args:
        number: of the worker.
        sources: as in `LoadOptions`; nothing is fetched.
        changed: called when `settled` is so.

    Attributes:
        settled: it is loaded, or could not be at first.
    """

    def __init__(self, worker: Worker, number: int, sources: Path, changed: Callable[[], None]) -> None:
        self._worker = worker
        self._number = number
        self._host = canary_host(number)
        self._options = LoadOptions(sources=sources, limits=CANARY_GUEST_LIMITS, goes_first=True)
        self._app: LoadedApp | None = None
        self._changed = changed
        self.settled = False

    async def run(self) -> None:
        """Load it, again if that fails, and have it until cancelled."""
        app = await self._load()
        self._app = app
        self._settle()
        try:
            await app.run()
        finally:
            self._app = None
            with trio.CancelScope(shield=True):
                await app.wait_idle()  # its limits see to that
            app.close()

    def answers(self, exchange: Exchange) -> bool:
        """Whether a request is for a canary, this worker's or another's, and one of this machine's own."""
        request = exchange.request
        return is_canary(request.authority) and is_here(request.client[0])

    async def handle(self, exchange: Exchange) -> None:
        """Answer such a request.

        Raises:
            EdgedError, ClientGone, BodyError: see `edged.http.exchange.Handler`.
        """
        if host_of(exchange.request.authority) != self._host:
            await self._refuse(exchange, HostUnknown("this is another worker's canary"))
        elif self._app is None:
            await self._refuse(exchange, NotReady("the canary is not loaded"))
        else:
            await self._app.http.handle(exchange)

    async def _refuse(self, exchange: Exchange, error: EdgedError) -> None:
        status, headers, body = error_response(error)
        exchange.respond(status, [*headers, (WORKER_HEADER.encode(), b"%d" % self._number)])
        exchange.write(body)
        await exchange.finish()

    async def _load(self) -> LoadedApp:
        model = manifest.parse(_MANIFEST, _FILE.with_name("spin.toml"))
        while True:
            try:
                return await self._worker.load(model, self._options)
            except EdgedError as error:
                log.error("canary.failed", worker=self._number, code=error.code, message=error.message)
            self._settle()
            await trio.sleep(CANARY_RETRY_S)

    def _settle(self) -> None:
        self.settled = True
        self._changed()
