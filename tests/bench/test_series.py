from __future__ import annotations

from pathlib import Path

import pytest
import trio

from edged.bench import series
from edged.bench.httping import Ping
from edged.bench.series import Sample, Series, measure
from edged.bench.target import parse_target
from edged.limits import BENCH_LINE_BYTES_MAX, BENCH_PINGS_MAX
from tests.bench.tools import CAT, STAYS, client

TARGET = parse_target("anycast", "http://203.0.113.10/")
LOST = Ping(None)


class Watched(Series):
    """Tells when it has so many samples."""

    def __init__(self, count: int) -> None:
        super().__init__("edi", trio.current_time())
        self.count = count
        self.full = trio.Event()

    def add(self, ping: Ping, now: float) -> None:
        super().add(ping, now)
        if len(self.samples) >= self.count:
            self.full.set()


async def measured(folder: Path, script: str, count: int) -> list[Sample]:
    watched = Watched(count)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(measure, client(folder, httping=script), TARGET, watched)
        await watched.full.wait()
        nursery.cancel_scope.cancel()
    return watched.samples


async def test_request_after_request(tmp_path: Path) -> None:
    samples = await measured(tmp_path, f"{CAT}httping-cut.txt; {STAYS}", 12)
    assert [sample.ping.is_answered for sample in samples] == [True] * 4 + [False] * 3 + [True] * 5
    assert all(sample.at_s >= 0 for sample in samples)


async def test_a_tool_that_gives_up_is_started_again(tmp_path: Path, autojump_clock: object) -> None:
    autojump_clock.autojump_threshold = 0.2  # type: ignore[attr-defined]
    assert len(await measured(tmp_path, f"{CAT}httping-refused.txt", 7)) >= 7


async def test_a_line_that_does_not_end_is_not_kept(tmp_path: Path) -> None:
    endless = f"head -c {BENCH_LINE_BYTES_MAX * 100} /dev/zero; echo; {CAT}httping-ipv6.txt; {STAYS}"
    assert [sample.ping.latency_ms for sample in await measured(tmp_path, endless, 3)] == [73.94, 73.91, 74.11]


async def test_lines_in_pieces() -> None:
    send, receive = trio.testing.memory_stream_one_way_pair()
    text = b"one\ntwo\n\nthree\nfo"

    async def slowly() -> None:
        for byte in text:
            await send.send_all(bytes([byte]))
        await send.aclose()

    lines = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(slowly)
        async for line in series._lines(receive):
            lines.append(line)
    assert lines == [b"one", b"two", b"", b"three"]


def of(*pings: Ping) -> Series:
    """One a second."""
    made = Series("edi", 100.0)
    for second, ping in enumerate(pings):
        made.add(ping, 100.0 + second)
    return made


def test_it_begins_before_its_answer() -> None:
    made = Series("edi", 100.0)
    made.add(Ping(250.0, 200), 101.0)
    made.add(Ping(None), 102.0)
    made.add(Ping(5000.0, 200), 103.0)  # a clock that was late
    assert [sample.at_s for sample in made.samples] == [0.75, 2.0, 0.0]


OK = Ping(0.0, 200)


@pytest.mark.parametrize(
    ("pings", "failed", "gap_s"),
    [
        ((), 0, 0.0),
        ((OK, OK, OK), 0, 0.0),
        ((OK, LOST, OK), 1, 2.0),
        ((OK, LOST, LOST, OK, OK, LOST, OK), 3, 3.0),
        ((OK, LOST, LOST), 2, 2.0),
        ((LOST, OK), 1, 0.0),
        ((LOST, LOST), 2, 0.0),
        ((OK, Ping(1.0, 503), OK), 1, 2.0),
    ],
)
def test_gaps(pings: tuple[Ping, ...], failed: int, gap_s: float) -> None:
    made = of(*pings)
    assert made.failed == failed
    assert made.longest_gap_s == pytest.approx(gap_s)


def test_as_many_as_are_kept() -> None:
    made = of(*[OK] * (BENCH_PINGS_MAX - 1))
    made.add(OK, 200.0)
    assert len(made.samples) == BENCH_PINGS_MAX
    made.add(OK, 201.0)
    assert len(made.samples) == BENCH_PINGS_MAX
