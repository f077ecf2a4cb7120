"""Asking a loaded app for a path, in this process, before anybody else may."""

from __future__ import annotations

import trio

from edged.app import LoadedApp
from edged.errors import ProbeFailed
from edged.host.http.error import HttpError
from edged.host.http.transport import InboundResponse
from edged.http.exchange import ClientGone, RequestHead
from edged.http.handling import run_handler
from edged.limits import PROBE_TIMEOUT_S, READ_CHUNK_BYTES
from edged.triggers.local_exchange import LocalExchange

_CLIENT = ("127.0.0.1", 0)


async def probe(app: LoadedApp, path: str, host: str) -> None:
    """GET a path, as a client of that host would. Any status below 500 will do: what a path says is the app's affair.

    Raises:
        ProbeFailed: 500 and above, an error, an answer that breaks off, none within `PROBE_TIMEOUT_S`.
    """
    with trio.move_on_after(PROBE_TIMEOUT_S) as deadline:
        await _probe(app, path, host)
    if deadline.cancelled_caught:
        raise ProbeFailed(f"the probe {path} was not answered within {PROBE_TIMEOUT_S:g} s")


async def _probe(app: LoadedApp, path: str, host: str) -> None:
    head = RequestHead(
        method="GET",
        scheme="http",
        authority=host,
        target=path,
        http_version="1.1",
        headers=[(b"host", host.encode()), (b"user-agent", b"edged-probe")],
        client=_CLIENT,
    )
    problem: list[str] = []

    async with trio.open_nursery() as nursery:

        async def read(response: InboundResponse) -> None:
            """To the end: a guest may fail there as well, and waits for its reader."""
            try:
                while await response.body.receive(READ_CHUNK_BYTES):
                    pass
            except HttpError:
                problem.append("the answer broke off")

        def respond(response: InboundResponse) -> None:
            if response.status >= 500:
                problem.append(f"the status was {response.status}")
            nursery.start_soon(read, response)

        exchange = LocalExchange(head, None, respond)
        try:
            error = await run_handler(app.http.handle, exchange)
            if error is not None:
                problem.insert(0, f"{error.message} [{error.code}]")
            await exchange.conclude(error)
        except ClientGone:
            exchange.leave()
    if problem:
        raise ProbeFailed(f"the probe {path} failed: {problem[0]}")
