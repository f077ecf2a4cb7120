"""httping(1): latency of HTTP requests, each on a connection of its own.

Its JSON (`-M`) is not used: httping 2.5, which Debian and Ubuntu have, ends with a segmentation fault at the first
request that fails, and that is what we are here for. Its lines have all of it as well, one for each request:

    1795251318.840678 connected to 10.0.0.3:80 (115 bytes), seq=0 time=  0.01+ 36.41+ 37.44+  0.05+  0.02= 73.90 ms 200
    1795251326.426849connect time out

The number in front is the time at its end. Lines with nothing behind it, or without it, are no results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edged.bench.target import Target
from edged.limits import BENCH_INTERVAL_S, BENCH_LINE_BYTES_MAX, BENCH_TIMEOUT_S

_result = re.compile(rb"[0-9]{1,12}\.[0-9]{6}(?P<said>.*[^\s].*)").fullmatch
_answer = re.compile(
    rb" connected to \S{1,100} \([0-9]{1,12} bytes\), seq=[0-9]{1,9} time=[ 0-9.+]{0,200}= ?"
    rb"(?P<total_ms>[ ]{0,8}[0-9]{1,9}\.[0-9]{2}) ms (?P<status>[0-9]{3})(?: .*)?"
).fullmatch
_FAILED_STATUS = 500


@dataclass(frozen=True, slots=True)
class Ping:
    """One request.

    Attributes:
        latency_ms: until the answer was there: connecting and asking are two round trips. None if there was none.
        status: of the answer, 0 if there was none.
    """

    latency_ms: float | None
    status: int = 0

    @property
    def is_answered(self) -> bool:
        """By a server that could: what is not found was answered all the same."""
        return self.latency_ms is not None and self.status < _FAILED_STATUS


@dataclass(frozen=True, slots=True)
class Latency:
    """Of several requests; the times are None if none was answered.

    Attributes:
        sent: requests.
        answered: those that were answered.
    """

    sent: int
    answered: int
    min_ms: float | None = None
    avg_ms: float | None = None
    max_ms: float | None = None

    @staticmethod
    def of(pings: Iterable[Ping]) -> Latency:
        all_pings = tuple(pings)
        times = [ping.latency_ms for ping in all_pings if ping.is_answered and ping.latency_ms is not None]
        if not times:
            return Latency(len(all_pings), 0)
        return Latency(len(all_pings), len(times), min(times), sum(times) / len(times), max(times))


def arguments(target: Target, count: int | None) -> tuple[str, ...]:
    """The command line.

    Args:
        count: of requests; None for as many as there is time.
    """
    words = ["httping", "-S", "-s", "--ts", "-vv", "-i", f"{BENCH_INTERVAL_S:g}", "-t", f"{BENCH_TIMEOUT_S:g}"]
    words += [] if count is None else ["-c", str(count)]
    return (*words, *target.httping)


def parse_line(line: bytes) -> Ping | None:
    """What a line says of a request; None if it is about none."""
    found = _result(line.strip(b"\r\n")) if len(line) <= BENCH_LINE_BYTES_MAX else None
    if found is None:
        return None
    answer = _answer(found["said"])
    return Ping(None) if answer is None else Ping(float(answer["total_ms"]), int(answer["status"]))


def parse(output: bytes) -> Iterator[Ping]:
    """All that a run says."""
    for line in output.splitlines():
        ping = parse_line(line)
        if ping is not None:
            yield ping
