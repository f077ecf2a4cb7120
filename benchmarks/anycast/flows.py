"""Connections that are kept, with a request on each again and again: what becomes of them.

    python -m benchmarks.anycast.flows ADDRESS PORT --host HOST [--count 400] [--interval 1] [--seconds 20]

Runs at a place of the lab. Says `ready` once every connection has had its first answer, and at the end a line of JSON
for each. No connection is opened a second time.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import Literal, cast

import h11
import trio

_READ_BYTES = 64 * 1024
_TIMEOUT_S = 5.0
_OPEN_AT_ONCE = 32
"""Fewer than wait at a listener before it is their turn."""

End = Literal["kept", "closed", "broken"]
"""Open to the end; ended by the server between two requests, as an answer said or without one; lost with a request."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A connection that has ended.

    Attributes:
        node: that answered its first request.
        ended: s, on the monotonic clock.
        requests: that were answered.
    """

    node: str
    end: End
    ended: float
    requests: int


def parse(line: str) -> Flow:
    return Flow(**json.loads(line))


class _Connection:
    """One, with a request at a time."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._http = h11.Connection(h11.CLIENT)
        self._stream = cast(trio.SocketStream, None)
        self.node = ""
        self.requests = 0

    async def open(self, address: str, port: int) -> None:
        self._stream = await trio.open_tcp_stream(address, port)
        await self.ask()

    async def run(self, interval_s: float, until: float) -> End:
        """Request after request, until the server ends it or the time is up."""
        due = trio.current_time() + random.uniform(0, interval_s)
        try:
            while due < until:
                with trio.move_on_at(due):
                    return "broken" if await self._stream.receive_some(1) else "closed"
                if not await self.ask():
                    return "closed"
                due += interval_s
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError):
            return "broken"
        return "kept"

    async def ask(self) -> bool:
        """One request; whether there may be another."""
        with trio.fail_after(_TIMEOUT_S):
            request = h11.Request(method="GET", target="/", headers=[("host", self._host)])
            await self._stream.send_all(
                (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
            )
            body = await self._answer()
        self.node = self.node or body
        self.requests += 1
        if self._http.their_state is h11.MUST_CLOSE or self._http.our_state is h11.MUST_CLOSE:
            return False
        self._http.start_next_cycle()
        return True

    async def _answer(self) -> str:
        body = b""
        while True:
            match self._http.next_event():
                case h11.NEED_DATA:
                    self._http.receive_data(await self._stream.receive_some(_READ_BYTES))
                case h11.Response(status_code=200):
                    pass
                case h11.Data() as data:
                    body += data.data
                case h11.EndOfMessage():
                    return body.decode(errors="replace")
                case other:
                    raise h11.RemoteProtocolError(f"{other} in place of an answer")

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


async def run(address: str, port: int, *, host: str, count: int, interval_s: float, seconds: float) -> list[Flow]:
    """All of them, from their beginning to their ends."""
    connections = [_Connection(host) for _ in range(count)]
    gate = trio.CapacityLimiter(_OPEN_AT_ONCE)
    flows: list[Flow] = []

    async def begin(connection: _Connection) -> None:
        async with gate:
            await connection.open(address, port)

    async def follow(connection: _Connection) -> None:
        end = await connection.run(interval_s, until)
        flows.append(Flow(connection.node, end, time.monotonic(), connection.requests))
        await connection.aclose()

    async with trio.open_nursery() as nursery:
        for connection in connections:
            nursery.start_soon(begin, connection)
    print("ready", flush=True)
    until = trio.current_time() + seconds
    async with trio.open_nursery() as nursery:
        for connection in connections:
            nursery.start_soon(follow, connection)
    return flows


def main() -> None:
    arguments = argparse.ArgumentParser(description="Keep connections, with a request on each again and again.")
    arguments.add_argument("address")
    arguments.add_argument("port", type=int)
    arguments.add_argument("--host", required=True)
    arguments.add_argument("--count", type=int, default=400, help="connections")
    arguments.add_argument("--interval", type=float, default=1.0, help="seconds between two requests of each")
    arguments.add_argument("--seconds", type=float, default=20.0)
    given = arguments.parse_args()

    async def all_of_it() -> list[Flow]:
        return await run(
            given.address,
            given.port,
            host=given.host,
            count=given.count,
            interval_s=given.interval,
            seconds=given.seconds,
        )

    for flow in trio.run(all_of_it):
        sys.stdout.write(json.dumps(asdict(flow)) + "\n")


if __name__ == "__main__":
    main()
