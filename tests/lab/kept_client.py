"""Clients who keep their connections, and open another when the server has said that one ends.

    python -m tests.lab.kept_client ADDRESS PORT --host HOST [--count 10] [--rate 50] [--timeout 3] [--seconds 10]

As `tests.lab.client`, whose lines it writes: one for each request. Nothing is asked a second time, also where browsers
would: a request on a connection that ends at the same moment has failed.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Literal

import h11
import trio

from tests.lab.client import Answer, Failure, failure_of, until_told

_READ_BYTES = 64 * 1024


class _Kept:
    """One client with a connection, or with none yet."""

    def __init__(self, address: str, port: int, host: str) -> None:
        self._to = address, port
        self._host = host
        self._stream: trio.SocketStream | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def ask(self, timeout_s: float) -> Answer:
        begun = time.monotonic()
        body: str = ""
        failure: Failure = "timeout"
        with trio.move_on_after(timeout_s):
            try:
                body, failure = await self._ask()
            except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError) as error:
                body, failure = "", failure_of(error, has_ended=self._http.trailing_data[1])
        if failure or self._http.our_state is h11.MUST_CLOSE or self._http.their_state is h11.MUST_CLOSE:
            await self._close()
        elif self._stream is not None:
            self._http.start_next_cycle()
        return Answer(begun, time.monotonic() - begun, body, failure)

    async def rest(self, until: float) -> None:
        """Until the next request; a connection that the server ends meanwhile is let go of."""
        with trio.move_on_at(until):
            if self._stream is not None:
                with suppress(trio.BrokenResourceError):
                    await self._stream.receive_some(1)
                await self._close()
            await trio.sleep_until(until)

    async def _ask(self) -> tuple[str, Failure]:
        if self._stream is None:
            self._http = h11.Connection(h11.CLIENT)
            connection = trio.socket.socket(socket.AF_INET6 if ":" in self._to[0] else socket.AF_INET)
            try:
                await connection.connect(self._to)
            except BaseException:
                connection.close()
                raise
            self._stream = trio.SocketStream(connection)
        request = h11.Request(method="GET", target="/", headers=[("host", self._host)])
        await self._stream.send_all((self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b""))
        status: Literal[0] | int = 0
        body = b""
        while True:
            match self._http.next_event():
                case h11.NEED_DATA:
                    self._http.receive_data(await self._stream.receive_some(_READ_BYTES))
                case h11.Response() as answer:
                    status = answer.status_code
                case h11.Data() as data:
                    body += data.data
                case h11.EndOfMessage():
                    return (body.decode(errors="replace"), "") if status == 200 else ("", "status")
                case _:
                    return "", "protocol"

    async def _close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await trio.aclose_forcefully(stream)


async def run(address: str, port: int, *, host: str, count: int, rate: float, timeout_s: float, seconds: float) -> None:
    """Requests until the time is up, each printed when it has ended.

    Args:
        count: clients.
        rate: requests a second of all of them.
    """
    begin = trio.current_time()
    interval_s = count / rate

    async def one(due: float) -> None:
        kept = _Kept(address, port, host)
        while due < begin + seconds and not told.is_set():
            await kept.rest(due)
            answer = await kept.ask(timeout_s)
            sys.stdout.write(json.dumps(asdict(answer)) + "\n")
            sys.stdout.flush()
            due = max(due + interval_s, trio.current_time())
        await kept.rest(trio.current_time())

    async with until_told() as told, trio.open_nursery() as nursery:
        for index in range(count):
            nursery.start_soon(one, begin + index / rate)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Keep connections, and ask on them at a constant rate.")
    arguments.add_argument("address")
    arguments.add_argument("port", type=int)
    arguments.add_argument("--host", required=True)
    arguments.add_argument("--count", type=int, default=10, help="connections")
    arguments.add_argument("--rate", type=float, default=50.0, help="requests a second, of all")
    arguments.add_argument("--timeout", type=float, default=3.0, help="seconds, of each")
    arguments.add_argument("--seconds", type=float, default=10.0)
    given = arguments.parse_args()
    trio.run(
        lambda: run(
            given.address,
            given.port,
            host=given.host,
            count=given.count,
            rate=given.rate,
            timeout_s=given.timeout,
            seconds=given.seconds,
        )
    )


if __name__ == "__main__":
    main()
