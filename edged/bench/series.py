"""Latency over time, of one client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import trio

from edged.bench.client import Client, running
from edged.bench.httping import Ping, arguments, parse_line
from edged.bench.target import Target
from edged.limits import BENCH_LINE_BYTES_MAX, BENCH_PINGS_MAX, BENCH_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Sample:
    """A request.

    Attributes:
        at_s: when it began, in seconds since the series began; of one that was not answered, when that was known.
    """

    at_s: float
    ping: Ping


@dataclass(slots=True)
class Series:
    """Grows while it is measured.

    Attributes:
        began: by trio's clock.
    """

    client: str
    began: float
    samples: list[Sample] = field(default_factory=list)

    def add(self, ping: Ping, now: float) -> None:
        """A request has ended. Past the limit, nothing more is kept."""
        if len(self.samples) < BENCH_PINGS_MAX:
            at = now - self.began - (ping.latency_ms or 0.0) / 1000
            self.samples.append(Sample(max(at, 0.0), ping))

    @property
    def failed(self) -> int:
        """Requests without an answer."""
        return sum(not sample.ping.is_answered for sample in self.samples)

    @property
    def longest_gap_s(self) -> float:
        """Between the beginnings of two answered requests with failed ones between them, or from the last one answered
        to the end; 0 if none failed. An outage is shorter, by up to two intervals.
        """
        longest, last, failed = 0.0, None, False
        for sample in self.samples:
            if not sample.ping.is_answered:
                failed = True
                continue
            if failed and last is not None:
                longest = max(longest, sample.at_s - last)
            last, failed = sample.at_s, False
        return max(longest, self.samples[-1].at_s - last) if failed and last is not None else longest


async def measure(client: Client, target: Target, series: Series) -> None:
    """Request after request, until cancelled. Times are ours: clocks of clients may differ.

    Raises:
        BenchFailed: the tool cannot be started.
    """
    while True:
        async with running(client, arguments(target, None)) as stdout:
            async for line in _lines(stdout):
                ping = parse_line(line)
                if ping is not None:
                    series.add(ping, trio.current_time())
        # It gives up where a name cannot be resolved, as does a link of SSH that broke.
        await trio.sleep(BENCH_TIMEOUT_S)


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    """Lines without their ends; of one that is too long, its beginning is left out."""
    rest = b""
    async for part in stream:
        *lines, rest = (rest + part).split(b"\n")
        rest = rest[-BENCH_LINE_BYTES_MAX:]
        for line in lines:
            yield line
