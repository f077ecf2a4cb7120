"""A client who asks at a constant rate, each time on a new connection, however long those before take.

    python -m tests.lab.client ADDRESS PORT --host HOST [--rate 50] [--timeout 3] [--seconds 10]

Runs at a place of the lab. Writes a line of JSON for each request that has ended. When its time is up, or on SIGTERM,
it asks no more, and ends with the last answer; or with its parent's pipe. `begun` is `time.monotonic()`, which all
places of a machine share.
"""

from __future__ import annotations

import argparse
import errno
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Literal

import h11
import trio

_READ_BYTES = 64 * 1024
_BODY_BYTES_MAX = 4096

Failure = Literal["", "reset", "refused", "unreachable", "timeout", "status", "protocol"]
_FAILURES: dict[int, Failure] = {
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One request that has ended.

    Attributes:
        begun: s, on the monotonic clock.
        took_s: until its whole answer was there, or until it failed.
        body: what was answered with status 200, which names the region; "" for anything else.
        failure: "" for none.
    """

    begun: float
    took_s: float
    body: str
    failure: Failure

    @property
    def ended(self) -> float:
        return self.begun + self.took_s


def parse(line: str) -> Answer:
    """A line that a client printed."""
    return Answer(**json.loads(line))


def read(lines: Iterator[str]) -> list[Answer]:
    """All of it, by when each began."""
    return sorted(map(parse, lines), key=lambda answer: answer.begun)


async def ask(address: str, port: int, host: str, timeout_s: float) -> Answer:
    """One request on a connection of its own."""
    # Not trio's own time, which begins somewhere else in every process.
    begun = time.monotonic()
    body: str = ""
    failure: Failure = "timeout"
    with trio.move_on_after(timeout_s):
        body, failure = await _ask(address, port, host)
    return Answer(begun, time.monotonic() - begun, body, failure)


async def _ask(address: str, port: int, host: str) -> tuple[str, Failure]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    http = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target="/", headers=[("host", host), ("connection", "close")])
    try:
        with trio.socket.socket(family, socket.SOCK_STREAM) as connection:
            await connection.connect((address, port))
            stream = trio.SocketStream(connection)
            await stream.send_all((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
            return await _read(http, stream)
    except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError) as error:
        return "", failure_of(error, has_ended=http.trailing_data[1])


def failure_of(error: OSError | trio.BrokenResourceError | h11.RemoteProtocolError, *, has_ended: bool) -> Failure:
    """What became of a request.

    Args:
        has_ended: the server has sent its last byte.
    """
    match error:
        case OSError():
            return _FAILURES.get(error.errno or 0, "protocol")
        case trio.BrokenResourceError(__cause__=OSError() as cause):
            return _FAILURES.get(cause.errno or 0, "reset")
        case trio.BrokenResourceError():
            return "reset"
        case _:
            # The connection ended before the answer was whole: to whom it happens, that is no better than a reset.
            return "reset" if has_ended else "protocol"


async def _read(http: h11.Connection, stream: trio.SocketStream) -> tuple[str, Failure]:
    status, body = 0, b""
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(await stream.receive_some(_READ_BYTES))
            case h11.Response() as answer:
                status = answer.status_code
            case h11.Data() as data:
                body += data.data
                if len(body) > _BODY_BYTES_MAX:
                    return "", "protocol"
            case h11.EndOfMessage():
                return (body.decode(errors="replace"), "") if status == 200 else ("", "status")
            case _:
                return "", "protocol"


async def run(address: str, port: int, *, host: str, rate: float, timeout_s: float, seconds: float) -> None:
    """Requests until the time is up, each printed when it has ended."""

    async def one() -> None:
        answer = await ask(address, port, host, timeout_s)
        sys.stdout.write(json.dumps(asdict(answer)) + "\n")
        sys.stdout.flush()

    async with trio.open_nursery() as nursery, until_told() as told:
        due = trio.current_time()
        end = due + seconds
        while due < end and not told.is_set():
            nursery.start_soon(one)
            due += 1 / rate
            await trio.sleep_until(due)


@asynccontextmanager
async def until_told() -> AsyncIterator[trio.Event]:
    """Set by SIGTERM while the block runs."""
    told = trio.Event()

    async def hear() -> None:
        async for _ in signals:
            told.set()

    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            yield told
            nursery.cancel_scope.cancel()


def main() -> None:
    arguments = argparse.ArgumentParser(description="Ask at a constant rate, each time on a new connection.")
    arguments.add_argument("address")
    arguments.add_argument("port", type=int)
    arguments.add_argument("--host", required=True)
    arguments.add_argument("--rate", type=float, default=50.0, help="requests a second")
    arguments.add_argument("--timeout", type=float, default=3.0, help="seconds, of each")
    arguments.add_argument("--seconds", type=float, default=10.0)
    given = arguments.parse_args()
    trio.run(
        lambda: run(
            given.address,
            given.port,
            host=given.host,
            rate=given.rate,
            timeout_s=given.timeout,
            seconds=given.seconds,
        )
    )


if __name__ == "__main__":
    main()
