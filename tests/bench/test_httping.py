"""What httping 2.5 printed in a network of three places, and what nobody's httping would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bench.httping import Latency, Ping, arguments, parse, parse_line
from edged.bench.target import parse_target
from edged.limits import BENCH_LINE_BYTES_MAX
from tests.bench.outputs import output


def test_answered() -> None:
    pings = list(parse(output("httping-answered.txt")))
    assert pings[0] == Ping(73.90, 200)
    assert Latency.of(pings) == Latency(5, 5, 73.75, pytest.approx(73.87, abs=0.05), 73.94)


def test_ipv6() -> None:
    assert list(parse(output("httping-ipv6.txt"))) == [Ping(73.94, 200), Ping(73.91, 200), Ping(74.11, 200)]


def test_an_error_of_the_server_is_no_answer() -> None:
    pings = list(parse(output("httping-503.txt")))
    assert [ping.status for ping in pings] == [503, 503, 503]
    assert Latency.of(pings) == Latency(3, 0)


@pytest.mark.parametrize(("status", "answered"), [(200, True), (404, True), (499, True), (500, False), (599, False)])
def test_what_counts_as_an_answer(status: int, answered: bool) -> None:
    assert Ping(1.0, status).is_answered is answered


def test_refused() -> None:
    assert list(parse(output("httping-refused.txt"))) == [Ping(None)] * 3


def test_a_link_that_is_cut_for_a_while() -> None:
    pings = list(parse(output("httping-cut.txt")))
    assert [ping.is_answered for ping in pings] == [True] * 4 + [False] * 3 + [True] * 5
    assert Latency.of(pings) == Latency(12, 9, 73.12, pytest.approx(73.88, abs=0.05), 74.61)


def test_nothing_sent() -> None:
    assert Latency.of(parse(b"")) == Latency(0, 0)


LINE = b"1795251318.840678 connected to 10.0.0.3:80 (115 bytes), seq=0 time=  0.01+ 36.41=%s ms 200 OK toff=-821"


@pytest.mark.parametrize(("printed", "latency_ms"), [(b" 73.90", 73.9), (b"  0.87", 0.87), (b"1073.90", 1073.9)])
def test_latencies(printed: bytes, latency_ms: float) -> None:
    assert parse_line(LINE % printed) == Ping(latency_ms, 200)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"1795251318.840678",
        b"1795251318.840678   \n",
        b"PING 10.0.0.3:80 (/):",
        b"12 connects, 9 ok, 25.00% failed, time 5999ms",
        b"1795251318.84 connected",
        b"x" * 10_000,
    ],
)
def test_lines_that_are_no_result(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "said", [b" nan", b" inf", b" -1.00", b"1e999", b" 1.00 ms", b"9" * 5000 + b".00", b" 73.90\0", b"\xff"]
)
def test_a_result_that_cannot_be_read_is_a_failure(said: bytes) -> None:
    line = LINE % said
    assert parse_line(line) == (Ping(None) if len(line) <= BENCH_LINE_BYTES_MAX else None)


@pytest.mark.parametrize(("extra", "read"), [(0, True), (1, False)])
def test_as_long_as_a_line_may_be(extra: int, read: bool) -> None:
    line = (LINE % b" 73.90").ljust(BENCH_LINE_BYTES_MAX + extra, b"x")
    assert parse_line(line) == (Ping(73.9, 200) if read else None)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_result_or_none(line: bytes) -> None:
    ping = parse_line(b"1795251318.840678" + line)
    assert ping is None or ping.latency_ms is None or ping.latency_ms >= 0


def test_its_command_line() -> None:
    target = parse_target("a", "http://203.0.113.10:8080/x")
    assert arguments(target, 3)[-4:] == ("-c", "3", "-g", "http://203.0.113.10:8080/x")
    assert "-c" not in arguments(target, None)
