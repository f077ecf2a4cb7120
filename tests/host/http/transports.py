"""Whoever carries a guest's requests, in memory."""

from __future__ import annotations

import trio

from edged.host.http.transport import InboundResponse
from edged.host.http_client.fetch import WholeBody
from edged.host.network.grant import Grant
from edged.manifest.outbound import AllowedHosts, parse_host


class Body(WholeBody):
    """A response's body that knows whether it was let go of."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class FakeTransport:
    """Keeps what it is asked to send. Answers when told to."""

    def __init__(self) -> None:
        self.requests = []
        self.respond = []
        self.answer: trio.Event = trio.Event()
        self.failure: Exception | None = None
        self.body = Body(b"hello")
        self.cancelled = 0
        self.goes_on: trio.Event | None = None

    async def send(self, request, respond) -> None:
        self.requests.append(request)
        try:
            await self.answer.wait()
            if self.failure is not None:
                raise self.failure
            respond(InboundResponse(200, [(b"x", b"y"), (b"connection", b"close")], self.body))
            if self.goes_on is not None:
                await self.goes_on.wait()
        except trio.Cancelled:
            self.cancelled += 1
            raise


def grant(*allowed: str) -> Grant:
    return Grant(AllowedHosts(tuple(map(parse_host, allowed))))
