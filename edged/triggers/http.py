"""The HTTP trigger: an exchange in, a route found, a guest called, an exchange answered.

    listener -> HttpTrigger.handle -> router -> pool -> guest -> exchange

Errors are raised, not answered: the listener answers an `EdgedError` with its status and JSON if nothing was sent, and
cuts the connection otherwise. What belongs to the app is logged here, one line for each failed request.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
import trio

from edged.errors import EdgedError
from edged.host.budget import Budget
from edged.host.guest_log import GuestLog
from edged.host.http.call import HttpCall
from edged.host.interface import Invocation
from edged.http.exchange import ClientGone, Exchange, Header
from edged.http.router import RouteMatch, Router, spin_headers
from edged.manifest.model import App, StaticResponse
from edged.wasm.linker import Export
from edged.wasm.pool import InstancePool

log = structlog.get_logger()

HANDLER = ("wasi:http/incoming-handler@0.2", "handle")
"""The export that makes a component an HTTP handler: interface name (any release of the track) and function."""

_WELL_KNOWN = "/.well-known/spin/"
_TEXT: Sequence[Header] = ((b"content-type", b"text/plain"),)
_JSON: Sequence[Header] = ((b"content-type", b"application/json"),)


@dataclass(frozen=True, slots=True)
class HttpComponent:
    """A component that answers requests."""

    id: str
    pool: InstancePool
    handler: Export
    log: GuestLog


@dataclass(slots=True)
class RequestCounts:
    """Requests of one app since it was loaded. `failed`: ended by an error of the guest or of ours."""

    served: int = 0
    failed: int = 0
    active: int = 0


class HttpTrigger:
    """All HTTP routes of one app.

    Args:
        targets: what each route leads to, in the manifest's order.
    """

    def __init__(self, app: App, targets: Sequence[tuple[str, HttpComponent | StaticResponse]]) -> None:
        self._app = app.name
        self.router: Router[HttpComponent | StaticResponse] = Router(targets)
        self._info = json.dumps({"name": app.name} | ({} if app.version is None else {"version": app.version})).encode()
        self.counts = RequestCounts()
        self._idle = trio.Event()
        # Unique in this process and hard to guess outside of it, and cheap: a request has 200 us in all.
        self._id_prefix = secrets.token_hex(6)
        self._ids = itertools.count(1)

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request.

        Raises:
            EdgedError, ClientGone, BodyError: see `edged.http.exchange.Handler`.
        """
        self.counts.active += 1
        try:
            path = exchange.request.path
            if path.startswith(_WELL_KNOWN):
                await self._well_known(exchange, path.removeprefix(_WELL_KNOWN))
                return
            match = self.router.match(path)
            if match is None:
                await _answer(exchange, 404)
            elif isinstance(match.target, StaticResponse):
                static = match.target
                headers = [(name.encode(), value.encode()) for name, value in static.headers]
                await _answer(exchange, static.status_code, headers, static.body)
            else:
                await self._call(exchange, match, match.target)
            self.counts.served += 1
        finally:
            self.counts.active -= 1
            if not self.counts.active:
                self._idle.set()

    async def wait_idle(self) -> None:
        """Return when no request is under way."""
        while self.counts.active:
            self._idle = trio.Event()
            await self._idle.wait()

    async def _well_known(self, exchange: Exchange, name: str) -> None:
        """Spin's reserved paths: they never reach the app."""
        match name:
            case "health":
                await _answer(exchange, 200, _TEXT, b"OK")
            case "info":
                await _answer(exchange, 200, _JSON, self._info)
            case _:
                await _answer(exchange, 404)

    async def _call(
        self, exchange: Exchange, match: RouteMatch[HttpComponent | StaticResponse], component: HttpComponent
    ) -> None:
        request_id = f"{self._id_prefix}{next(self._ids):010x}"
        budget = Budget()
        stdout = component.log.output("stdout", request_id, budget)
        stderr = component.log.output("stderr", request_id, budget)
        pool, limits = component.pool, component.pool.program.limits
        call = HttpCall(exchange, spin_headers(match, exchange.request), limits)
        try:
            instance = await pool.acquire(Invocation(request_id, stdout, stderr, budget), call.settle)
            try:
                await instance.call(component.handler, call.request, call.outparam())
                call.returned()
            finally:
                pool.release(instance)  # a client that reads slowly holds no instance
            await call.settle()
        except EdgedError as error:
            if call.client_gone:
                raise ClientGone from error
            error.request_id = request_id
            self._log_failure(exchange, component, error)
            raise
        finally:
            stdout.close()
            stderr.close()

    def _log_failure(self, exchange: Exchange, component: HttpComponent, error: EdgedError) -> None:
        self.counts.failed += 1
        ours = error.__cause__ is not None
        (log.error if ours else log.warning)(
            "request.failed",
            code=error.code,
            message=error.message,
            app=self._app,
            component=component.id,
            request_id=error.request_id,
            method=exchange.request.method,
            path=exchange.request.path,
            exc_info=error.__cause__ if ours else None,
        )


async def _answer(exchange: Exchange, status: int, headers: Sequence[Header] = (), body: bytes = b"") -> None:
    exchange.respond(status, headers)
    capacity = exchange.write_capacity()
    for start in range(0, len(body), max(capacity, 1)):
        exchange.write(body[start : start + capacity])
        if start + capacity < len(body):
            await exchange.flush()
    await exchange.finish()
