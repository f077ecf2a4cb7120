"""The trio shell of the speaker, with children that are played over streams in memory, and a clock that jumps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import trio
from structlog.testing import capture_logs
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    MockClock,
    memory_stream_one_way_pair,
    memory_stream_pair,
)

from bgp.errors import SpeakerFailed
from bgp.limits import SPEAKER_LINE_BYTES_MAX, SPEAKER_LINES_MAX
from bgp.lines import Lines
from bgp.speaker import Speaker
from bgp.speaker_process import Command, LineGate, Process, StderrLines
from bgp.wire import encode_event, parse_request
from tests.bgp.played_child import CONFIG, PLAIN, V4, V6, PlayedChild

Stapled = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class PlayedProcess:
    """A child whose sessions come up at once, and that runs until it leaves, is killed or reads the end."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.child = PlayedChild()
        self.stream: trio.abc.Stream
        self._theirs: Stapled
        self.stream, self._theirs = memory_stream_pair()
        self.stderr_in: MemorySendStream
        self.stderr: trio.abc.ReceiveStream
        self.stderr_in, self.stderr = memory_stream_one_way_pair()
        self.exited = trio.Event()
        self.reason = ""
        self.piece_bytes = 2**16
        self._saying = trio.Lock()
        self.thawed = trio.Event()
        self.thawed.set()

    def kill(self) -> None:
        self.end("signal SIGKILL")

    def end(self, reason: str) -> None:
        if not self.reason:
            self.reason = reason
            self.exited.set()
            self.thawed.set()
            self._theirs.send_stream.close()

    async def wait(self) -> str:
        await self.exited.wait()
        return self.reason

    def freeze(self) -> None:
        self.thawed = trio.Event()

    async def say(self, data: bytes) -> None:
        async with self._saying:
            for index in range(0, len(data), self.piece_bytes):
                await self._theirs.send_all(data[index : index + self.piece_bytes])

    async def flush(self) -> None:
        await self.say(b"".join(map(encode_event, self.child.take_events())))

    async def run(self) -> None:
        lines = Lines()
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while data := await self._theirs.receive_some():
                await self.thawed.wait()
                for line in lines.feed(bytes(data)):
                    self.child.take(parse_request(line))
                for name in ("a", "b"):
                    self.child.session_up(name)
                if self.child.left:
                    self.end("status 0")
                await self.flush()
            self.end("status 75")


class Played:
    """
    Attributes:
        processes: all that were started.
        failing: why none can be started; "" if one can.
        changes: how often the speaker said that something changed.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.processes: list[PlayedProcess] = []
        self.failing = ""
        self.changes = 0
        self._news = trio.Event()
        self.speaker = Speaker(CONFIG, lambda fd: ["child", str(fd)], changed=self._changed, opened=self._open)

    def _changed(self) -> None:
        self.changes += 1
        self._news.set()
        self._news = trio.Event()

    async def _open(self, command: Command) -> Process:
        await trio.lowlevel.checkpoint()
        assert command(7) == ["child", "7"]
        if self.failing:
            raise SpeakerFailed(self.failing)
        process = PlayedProcess(100 + len(self.processes))
        self.processes.append(process)
        self.nursery.start_soon(process.run)
        return process

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._news.wait()

    async def running(self, count: int = 1) -> PlayedProcess:
        """The child after so many, when its sessions are up."""
        await self.until(
            lambda: len(self.processes) == count and all(one.state == "established" for one in self.speaker.peers())
        )
        return self.processes[-1]


@asynccontextmanager
async def playing() -> AsyncIterator[Played]:
    async with trio.open_nursery() as nursery:
        played = Played(nursery)
        await nursery.start(played.speaker.run)
        yield played
        nursery.cancel_scope.cancel()


async def test_a_set_is_sent_and_proven(autojump_clock: MockClock) -> None:
    async with playing() as played:
        played.speaker.set(PLAIN.values())
        assert await played.speaker.wait_sent([V4, V6], 1.0)
        assert played.processes[0].child.on_wire == {"a": PLAIN, "b": PLAIN}
        assert played.speaker.proven(V4)
        assert played.speaker.status().state == "running"
        assert played.speaker.pid == 100
        assert {peer.state for peer in played.speaker.peers()} == {"established"}
        played.speaker.set([])
        assert not played.speaker.proven(V4)
        assert await played.speaker.wait_withdrawn([V4, V6], 1.0)
        assert played.processes[0].child.on_wire == {"a": {}, "b": {}}


async def test_what_is_not_proven_in_time_is_not_proven(autojump_clock: MockClock) -> None:
    async with playing() as played:
        process = await played.running()
        played.speaker.set([PLAIN[V4]])
        assert await played.speaker.wait_sent([V4], 1.0)
        process.freeze()
        played.speaker.set([])
        assert not await played.speaker.wait_withdrawn([V4], 0.5)
        assert await played.speaker.wait_withdrawn([V4], 2.0), "the frozen child is killed, and its sessions with it"
        assert process.reason == "signal SIGKILL"


async def test_a_frozen_child_does_not_hold_up_the_next(autojump_clock: MockClock) -> None:
    async with playing() as played:
        played.speaker.set([PLAIN[V4]])
        process = await played.running()
        process.freeze()
        await played.running(2)
        assert await played.speaker.wait_sent([V4], 1.0)
        assert played.speaker.status().restarts == 1


async def test_what_is_not_understood_ends_the_child(autojump_clock: MockClock) -> None:
    async with playing() as played:
        process = await played.running()
        with capture_logs() as logs:
            await process.say(b'{"applied": "yes"}\n')
            await played.running(2)
        assert process.reason == "signal SIGKILL"
        (killed,) = [entry for entry in logs if entry["event"] == "bgp.child-killed"]
        assert "it is not understood" in killed["reason"]


async def test_events_byte_by_byte(autojump_clock: MockClock) -> None:
    async with playing() as played:
        process = await played.running()
        process.piece_bytes = 1
        process.child.session_down("a")
        await process.flush()
        await played.until(lambda: played.speaker.peers()[0].state == "idle")
        assert played.speaker.peers()[0].flaps == 1


async def test_a_child_that_cannot_be_started_is_said_and_tried_again(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        played = Played(nursery)
        played.failing = "the speaker cannot be started: no such file"
        nursery.start_soon(played.speaker.run)
        await played.until(lambda: played.speaker.status().state == "fault")
        assert played.speaker.status().error == played.failing
        assert played.speaker.pid is None
        played.failing = ""
        await played.running()
        await played.speaker.stop()


async def test_a_stop_takes_leave_and_ends_run(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        played = Played(nursery)
        nursery.start_soon(played.speaker.run)
        process = await played.running()
        await played.speaker.stop()
        assert process.reason == "status 0"
        assert played.speaker.status().state == "stopped"
        await played.speaker.stop()  # a second time is no harm


async def test_a_frozen_child_is_killed_by_a_stop(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        played = Played(nursery)
        nursery.start_soon(played.speaker.run)
        process = await played.running()
        process.freeze()
        await played.speaker.stop()
        assert process.reason == "signal SIGKILL"


async def test_cancelled_the_child_reads_the_end_and_takes_leave(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        played = Played(nursery)
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                await played.speaker.run()

        nursery.start_soon(run)
        process = await played.running()
        scope.cancel()
        await process.exited.wait()
        assert process.reason == "status 75"


async def test_another_configuration_is_another_child(autojump_clock: MockClock) -> None:
    async with playing() as played:
        first = await played.running()
        played.speaker.configure(CONFIG)
        await played.running(2)
        assert first.reason == "status 0"
        assert played.speaker.status().restarts == 0


async def test_what_the_child_writes_to_stderr_is_logged_and_no_more_than_so_much(autojump_clock: MockClock) -> None:
    async with playing() as played:
        process = await played.running()
        with capture_logs() as logs:
            await process.stderr_in.send_all(b"".join(b"line %d\n" % number for number in range(1000)))
            await trio.sleep(1.5)
            await process.stderr_in.send_all(b"the last\n")
            await trio.testing.wait_all_tasks_blocked()
        said = [entry["text"] for entry in logs if entry["event"] == "bgp.child-said"]
        assert said == [f"line {number}" for number in range(SPEAKER_LINES_MAX)] + ["the last"]
        assert [entry["count"] for entry in logs if entry["event"] == "bgp.child-lines-dropped"] == [
            1000 - SPEAKER_LINES_MAX
        ]


def test_lines_whole_and_byte_by_byte() -> None:
    data = b"one\ntwo\n\nthree \xff\n"
    whole, pieces = StderrLines(), StderrLines()
    expected = ["one", "two", "three �"]
    assert whole.feed(data) == expected
    assert [line for byte in data for line in pieces.feed(bytes([byte]))] == expected


def test_a_line_at_the_limit_stays_and_one_more_is_cut() -> None:
    longest = "x" * SPEAKER_LINE_BYTES_MAX
    assert StderrLines().feed(f"{longest}\n".encode()) == [longest]
    assert StderrLines().feed(f"{longest}y\n".encode()) == [longest]
    lines = StderrLines()
    for _ in range(100):
        assert lines.feed(longest.encode()) == []
    assert lines.feed(b"\nnext\n") == [longest, "next"]


def test_as_many_lines_as_may_pass_and_one_more() -> None:
    gate = LineGate()
    assert [gate.admits(0.0) for _ in range(SPEAKER_LINES_MAX)] == [(True, 0)] * SPEAKER_LINES_MAX
    assert gate.admits(0.5) == (False, 0)
    assert gate.admits(1.0) == (True, 1)
