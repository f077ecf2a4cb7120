from __future__ import annotations

from pathlib import Path

import pytest
import trio.testing

from edged.bench.client import HERE, Client, check_tools, parse_clients, parse_command, run_command, run_tool, running
from edged.errors import BenchFailed, BenchToolMissing, UsageError
from edged.limits import BENCH_CLIENTS_MAX, BENCH_OUTPUT_BYTES_MAX
from tests.bench.tools import STAYS, client


def test_clients() -> None:
    assert parse_clients([]) == (HERE,)
    assert parse_clients(["edi=ip netns exec x", "lax=ssh -p 22 'lax 1'"]) == (
        Client("edi", ("ip", "netns", "exec", "x")),
        Client("lax", ("ssh", "-p", "22", "lax 1")),
    )


@pytest.mark.parametrize("texts", [["edi"], ["=ssh edi"], ["a b=ssh"], ["edi="], ["edi=ssh 'x"], ["a=x", "a=y"]])
def test_no_clients(texts: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_clients(texts)


def test_as_many_as_there_may_be() -> None:
    texts = [f"c{number}=ssh c" for number in range(BENCH_CLIENTS_MAX + 1)]
    assert len(parse_clients(texts[:-1])) == BENCH_CLIENTS_MAX
    with pytest.raises(UsageError, match="at most"):
        parse_clients(texts)


def test_a_command_is_not_expanded() -> None:
    assert parse_command("sh -c 'echo $HOME; true' *") == ("sh", "-c", "echo $HOME; true", "*")


async def test_what_a_tool_prints_however_it_ends(tmp_path: Path) -> None:
    made = client(tmp_path, httping='echo "$@"; echo noise >&2; exit 127')
    assert await run_tool(made, ("httping", "-c", "3"), 60) == b"-c 3\n"


@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False)])
async def test_as_much_as_a_tool_may_print(extra: int, fits: bool, tmp_path: Path) -> None:
    made = client(tmp_path, mtr=f"head -c {BENCH_OUTPUT_BYTES_MAX + extra} /dev/zero")
    if fits:
        assert len(await run_tool(made, ("mtr",), 60)) == BENCH_OUTPUT_BYTES_MAX
    else:
        with pytest.raises(BenchFailed, match="mtr printed more"):
            await run_tool(made, ("mtr",), 60)


async def test_a_tool_that_does_not_end(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = (
        0.2  # real seconds, in which a process has begun, and one that is told has ended
    )
    with pytest.raises(BenchFailed, match="httping did not end in 60 s"):
        await run_tool(client(tmp_path, httping=STAYS), ("httping",), 60)


async def test_a_tool_that_does_not_want_to_end(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = 0.2
    made = client(tmp_path, httping="trap '' TERM\necho deaf\nwhile :; do read x < /dev/zero; done")
    async with running(made, ("httping",)) as stdout:
        assert await stdout.receive_some() == b"deaf\n"


async def test_both_tools_are_there(tmp_path: Path) -> None:
    await check_tools(client(tmp_path, httping="true", mtr="true"))


@pytest.mark.parametrize(("tools", "missing"), [({"mtr": "true"}, "httping"), ({"httping": "true"}, "mtr")])
async def test_a_tool_is_not_there(tools: dict[str, str], missing: str, tmp_path: Path) -> None:
    with pytest.raises(BenchToolMissing, match=f"edi has no {missing}") as raised:
        await check_tools(client(tmp_path, **tools))
    assert missing in raised.value.remedy


async def test_a_tool_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchToolMissing, match="here has no httping"):
        await check_tools(HERE)


async def test_a_client_that_cannot_be_reached() -> None:
    with pytest.raises(BenchFailed, match="edi: /nowhere/ssh cannot be started: No such file"):
        await check_tools(Client("edi", ("/nowhere/ssh", "edi")))


async def test_an_event() -> None:
    await run_command(("true",), "event")
    with pytest.raises(BenchFailed, match="the event ended with 3: oh no"):
        await run_command(("sh", "-c", "echo oh no >&2; exit 3"), "event")
    with pytest.raises(BenchFailed, match="the undo ended with 1: it said nothing"):
        await run_command(("false",), "undo")
    with pytest.raises(BenchFailed, match="cannot be started"):
        await run_command(("/nowhere/x",), "event")


async def test_an_event_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.bench.client.BENCH_EVENT_TIMEOUT_S", 0.1)
    with pytest.raises(BenchFailed, match=r"the event did not end in 0\.1 s"):
        await run_command(("sleep", "600"), "event")
