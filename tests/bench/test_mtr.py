"""What mtr 0.95 printed in a network of three places, and what nobody's mtr would."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bench.mtr import Hop, Path, arguments, parse
from edged.bench.target import parse_target
from edged.errors import BenchFailed
from edged.limits import BENCH_HOPS_MAX
from tests.bench.outputs import output


def test_answered() -> None:
    path = parse(output("mtr-answered.json"))
    assert [(hop.host, hop.loss_percent) for hop in path.hops] == [("10.255.0.2", 0.0), ("10.255.0.3", 0.0)]
    assert path.last is path.hops[-1]
    assert path.last.avg_ms == pytest.approx(36.5, abs=1)


def test_ipv6() -> None:
    assert [hop.host for hop in parse(output("mtr-ipv6.json")).hops] == ["fd00:1::2", "2001:db8::10"]


def test_a_way_that_is_cut() -> None:
    assert parse(output("mtr-cut.json")).hops == (Hop("10.255.0.2", 0.0, 6.272), Hop("", 100.0, None))


def test_no_way() -> None:
    assert parse(b"") == Path()
    assert Path().last is None


def hub(**changes: object) -> dict[str, object]:
    return {"count": 1, "host": "10.0.0.1", "Loss%": 0.0, "Snt": 3, "Avg": 5.3} | changes


def report(*hubs: object) -> bytes:
    return json.dumps({"report": {"mtr": {"dst": "10.0.0.2"}, "hubs": hubs}}).encode()


def test_some_loss() -> None:
    assert parse(report(hub(**{"Loss%": 66.7}))).hops == (Hop("10.0.0.1", 66.7, 5.3),)


@pytest.mark.parametrize(
    "printed",
    [
        b"mtr: unable to get raw sockets",
        b"{",
        b"[]",
        b"1",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"report": []}',
        b'{"report": {"hubs": {}}}',
        report("x"),
        report({}),
        report(hub(host=1)),
        report(hub(host="x" * 256)),
        report(hub(Avg="5")),
        report(hub(Avg=True)),
        report(hub(Avg=-1)),
        report(hub(Avg=float("nan"))),
        report(hub(Avg=float("inf"))),
        report(hub(Avg=10**400)),
        report(hub(**{"Loss%": 100.1})),
        report(*[hub()] * (BENCH_HOPS_MAX + 1)),
    ],
)
def test_no_report(printed: bytes) -> None:
    with pytest.raises(BenchFailed, match="no report"):
        parse(printed)


def test_as_long_as_it_may_be() -> None:
    assert len(parse(report(*[hub(host="x" * 255)] * BENCH_HOPS_MAX)).hops) == BENCH_HOPS_MAX


@pytest.mark.parametrize("name", ["mtr-answered.json", "mtr-cut.json"])
def test_every_beginning_of_a_report_is_none(name: str) -> None:
    whole = output(name).rstrip()
    for end in range(1, len(whole)):
        if whole[:end].strip():
            with pytest.raises(BenchFailed):
                parse(whole[:end])


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["report", "hubs", "host", "Loss%", "Avg"]), inner)
        ),
    )
)
def test_any_json_is_a_path_or_none(value: object) -> None:
    with suppress(BenchFailed):
        assert isinstance(parse(json.dumps(value).encode()), Path)


def path(*hosts: str) -> Path:
    return Path(tuple(Hop(host, 0.0, 1.0) for host in hosts))


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        (path("a", "b"), path("a", "b"), False),
        (path("a", "b"), path("a", "c"), True),
        (path("a", "b"), path("a", "x", "b"), True),
        (path("a", "", "b"), path("a", "x", "b"), False),
        (path(), path(), False),
        (path("a"), path(), True),
    ],
)
def test_what_is_another_way(before: Path, after: Path, differs: bool) -> None:
    assert before.differs(after) is differs
    assert after.differs(before) is differs


def test_its_command_line() -> None:
    words = arguments(parse_target("a", "http://203.0.113.10:8080/"), 4, names=False)
    assert words[0] == "mtr"
    assert words[-2:] == ("-n", "203.0.113.10")
    assert "-n" not in arguments(parse_target("a", "http://203.0.113.10/"), 4, names=True)
    assert arguments(parse_target("a", "http://[2001:db8::10]/"), 4, names=True)[-2:] == ("-6", "2001:db8::10")
