"""The HTTP trigger: an exchange in, a route found, a guest called, an exchange answered.

    listener -> HttpTrigger.handle -> router -> target -> pool -> guest -> exchange

Errors are raised, not answered: the listener answers an `EdgedError` with its status and JSON if nothing was sent, and
cuts the connection otherwise. What belongs to the app is logged here, one line for each failed request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import structlog

from edged.errors import EdgedError
from edged.host.chain import Chain
from edged.http.exchange import Exchange, Header
from edged.http.router import RouteMatch, Router
from edged.manifest.model import App
from edged.triggers.counts import Counts
from edged.triggers.target import HttpTarget, answer

log = structlog.get_logger()

_WELL_KNOWN = "/.well-known/spin/"
_TEXT: Sequence[Header] = ((b"content-type", b"text/plain"),)
_JSON: Sequence[Header] = ((b"content-type", b"application/json"),)


class HttpTrigger:
    """All HTTP routes of one app.

    Args:
        targets: what each route leads to, in the manifest's order; None for a private one.
    """

    def __init__(self, app: App, targets: Iterable[tuple[str | None, HttpTarget]]) -> None:
        self._app = app.name
        targets = list(targets)
        self.router: Router[HttpTarget] = Router(targets)
        # What service chaining reaches, by a route of its own each: all below the root of the component's name.
        self._services = {target.component: Router([("/...", target)]) for _, target in targets if target.component}
        self._info = json.dumps({"name": app.name} | ({} if app.version is None else {"version": app.version})).encode()
        self.counts = Counts()

    @property
    def services(self) -> frozenset[str]:
        """Ids of the components that other components may call."""
        return frozenset(self._services)

    async def handle(self, exchange: Exchange, chain: Chain | None = None) -> None:
        """Answer one request.

        Args:
            chain: the request's place among calls of guests; None for a client's.

        Raises:
            EdgedError, ClientGone, BodyError: see `edged.http.exchange.Handler`.
        """
        with self.counts:
            path = exchange.request.path
            if path.startswith(_WELL_KNOWN):
                await self._well_known(exchange, path.removeprefix(_WELL_KNOWN))
                return
            match = self.router.match(path)
            if match is None:
                await answer(exchange, 404)
            else:
                await self._answer(exchange, match, chain)

    async def handle_service(self, component: str, exchange: Exchange, chain: Chain) -> None:
        """Have one of `services` answer a request of another component. As `handle`."""
        with self.counts:
            match = self._services[component].match(exchange.request.path)
            assert match is not None
            await self._answer(exchange, match, chain)

    async def _answer(self, exchange: Exchange, match: RouteMatch[HttpTarget], chain: Chain | None) -> None:
        try:
            await match.target.handle(exchange, match, chain)
        except EdgedError as error:
            self._log_failure(exchange, match.target.component, error)
            raise

    async def _well_known(self, exchange: Exchange, name: str) -> None:
        """Spin's reserved paths: they never reach the app."""
        match name:
            case "health":
                await answer(exchange, 200, _TEXT, b"OK")
            case "info":
                await answer(exchange, 200, _JSON, self._info)
            case _:
                await answer(exchange, 404)

    def _log_failure(self, exchange: Exchange, component: str | None, error: EdgedError) -> None:
        self.counts.failed += 1
        ours = error.__cause__ is not None
        (log.error if ours else log.warning)(
            "request.failed",
            code=error.code,
            message=error.message,
            app=self._app,
            component=component,
            request_id=error.request_id,
            method=exchange.request.method,
            path=exchange.request.path,
            exc_info=error.__cause__ if ours else None,
        )
