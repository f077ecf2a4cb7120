"""Children: real processes, short ones."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import pytest
import structlog
import trio
import trio.testing

from edged.errors import ListenError
from edged.http.backoff import Backoff
from edged.limits import CHILD_LINE_BYTES_MAX
from edged.node.children import Child, Exit, Lines, Start, plain_start, reason_of

WAIT = "import signal, sys; print('up', file=sys.stderr, flush=True); signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}"


class Kept:
    """A child that runs, and what it said."""

    def __init__(self, program: str, **options: object) -> None:
        self.lines: list[bytes] = []
        self.exits: list[Exit] = []
        self.news = trio.Event()
        self.child = Child(
            "test",
            partial(plain_start, [sys.executable, "-c", program]),
            line=self._line,
            ended=self._ended,
            backoff=Backoff(0.0, 0.0, 0.0),
            **options,  # type: ignore[arg-type]
        )

    def _line(self, line: bytes) -> None:
        self.lines.append(line)
        self._tell()

    def _ended(self, end: Exit) -> None:
        self.exits.append(end)
        self._tell()

    def _tell(self) -> None:
        news, self.news = self.news, trio.Event()
        news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.news.wait()


def gone(pid: int) -> bool:
    """Neither running nor a zombie."""
    return not Path(f"/proc/{pid}").exists()


async def test_a_child_that_ends_is_started_again() -> None:
    kept = Kept("import sys; sys.stderr.write('one\\ntwo'); sys.exit(3)")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.child.run)
        await kept.until(lambda: len(kept.exits) == 3)
        kept.child.stop()
    assert kept.lines[:4] == [b"one", b"two"] * 2
    assert [end.reason for end in kept.exits] == ["status 3"] * 3
    assert kept.child.starts >= 3


async def test_a_child_that_is_killed_leaves_no_zombie() -> None:
    kept = Kept(WAIT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.child.run)
        await kept.until(lambda: kept.lines == [b"up"])
        pid = kept.child.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await kept.until(lambda: len(kept.lines) == 2)
        assert kept.exits[0].reason == "signal SIGKILL"
        assert gone(pid)
        assert kept.child.pid not in (None, pid)
        kept.child.stop()
    assert len(kept.exits) == 1, "an end that was asked for is none"
    assert kept.child.pid is None


async def test_a_child_that_does_not_end_is_made_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.node.children.CHILD_STOP_S_MAX", 0.0)
    kept = Kept(STUBBORN)
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kept.child.run)
            await kept.until(lambda: kept.lines == [b"up"])
            pid = kept.child.pid
            kept.child.stop()
    assert pid is not None
    assert gone(pid)
    events = {line["event"]: line for line in logs}
    assert events["child.stopped"]["reason"] == "signal SIGKILL"
    assert "child.killed" in events


async def test_cancelled_it_is_killed() -> None:
    kept = Kept(STUBBORN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.child.run)
        await kept.until(lambda: kept.lines == [b"up"])
        pid = kept.child.pid
        nursery.cancel_scope.cancel()
    assert pid is not None
    assert gone(pid)


async def test_stopped_while_it_waits_for_its_next_start(autojump_clock: trio.testing.MockClock) -> None:
    kept = Kept("")
    kept.child._prepare = partial(plain_start, ["/nowhere/at-all"])
    kept.child._backoff = Backoff(1_000.0, 1_000.0, 1_000.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.child.run)
        await kept.until(lambda: len(kept.exits) == 1)
        assert "could not be started" in kept.exits[0].reason
        kept.child.stop()
    assert trio.current_time() < 1_000.0


async def test_what_cannot_be_prepared_now_is_tried_again() -> None:
    ready = False

    def prepare() -> AbstractContextManager[Start]:
        nonlocal ready
        if not ready:
            ready = True
            raise ListenError("the port is taken")
        return plain_start([sys.executable, "-c", WAIT])

    kept = Kept("")
    kept.child._prepare = prepare
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.child.run)
        await kept.until(lambda: kept.lines == [b"up"])
        assert kept.exits[0].reason == "it could not be started: the port is taken"
        kept.child.stop()


async def test_a_child_inherits_what_it_is_told_of_and_nothing_else() -> None:
    told, other = os.pipe()
    program = (
        "import os, sys\n"
        "for descriptor in map(int, sys.argv[1:]):\n"
        "    try: os.fstat(descriptor); print('open', file=sys.stderr)\n"
        "    except OSError: print('closed', file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, str(told), str(other)]
    kept = Kept("")
    kept.child._prepare = lambda: nullcontext(Start(command, [told]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.child.run)
        await kept.until(lambda: len(kept.lines) >= 2)
        kept.child.stop()
    assert kept.lines[:2] == [b"open", b"closed"]
    os.close(told)
    os.close(other)


@pytest.mark.parametrize("size", [1, 2, 7, 1_000_000])
def test_lines_whatever_the_pieces(size: int) -> None:
    data = b"one\n\ntwo\nlast"
    lines = Lines()
    found = [line for start in range(0, len(data), size) for line in lines.feed(data[start : start + size])]
    assert [*found, *lines.end()] == [b"one", b"", b"two", b"last"]
    assert list(lines.end()) == []


@pytest.mark.parametrize("over", [0, 1])
def test_a_line_that_is_too_long_is_cut(over: int) -> None:
    lines = Lines()
    data = b"x" * (CHILD_LINE_BYTES_MAX + over)
    found = [*lines.feed(data), *lines.feed(b"\n")]
    assert b"".join(found) == data
    assert len(found) == 1 + over


@pytest.mark.parametrize(
    ("status", "reason"), [(0, "status 0"), (70, "status 70"), (-9, "signal SIGKILL"), (-200, "signal 200")]
)
def test_reasons(status: int, reason: str) -> None:
    assert reason_of(status) == reason
