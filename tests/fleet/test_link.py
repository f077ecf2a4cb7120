"""Two ends of a link in memory: calls both ways, streams, cancellation, and a peer that is slow, silent or rude."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from edged.errors import CallForbidden, LinkError, ProtocolError, RemoteError
from edged.fleet import frame
from edged.fleet.frame import Frame, FrameReader, encode_frame
from edged.fleet.link import OUTBOX_BYTES_MOST, Link, Outboxes
from edged.fleet.peer import Peer
from edged.fleet.session import Session
from edged.fleet.stream import Stream
from edged.limits import (
    FRAME_BYTES_MAX,
    FRAME_INLINE_VALUE_COUNT_MAX,
    LINK_OUTBOX_BYTES_MAX,
    LINK_PING_INTERVAL_S,
    LINK_REQUESTS_OPEN_MAX,
    LINK_SILENCE_S_MAX,
    LINK_WRITE_TIMEOUT_S,
    STREAM_WINDOW,
)
from registry.errors import BlobMissing
from tests.fleet.fakes import HELLO, linked, table


def echo(_peer: Peer, args: dict[str, Any]) -> Any:
    return args


def refuse(peer: Peer, _args: dict[str, Any]) -> Any:
    raise CallForbidden(f"{peer.name} may not")


def lack(_peer: Peer, _args: dict[str, Any]) -> Any:
    raise BlobMissing("not here")


def break_(_peer: Peer, _args: dict[str, Any]) -> Any:
    raise KeyError("a secret")


def big(_peer: Peer, args: dict[str, Any]) -> Any:
    return bytes(args["size"])


class Waiting:
    """A handler that waits until it is let go, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.go = trio.Event()
        self.cancelled = trio.Event()
        self.count = 0

    async def __call__(self, _peer: Peer, _args: dict[str, Any]) -> str:
        self.count += 1
        self.begun.set()
        try:
            await self.go.wait()
        except trio.Cancelled:
            self.cancelled.set()
            raise
        return "done"


class Counting:
    """A stream of numbers.

    Attributes:
        sent: how many were taken from it.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.closed = trio.Event()

    async def __call__(self, _peer: Peer, args: dict[str, Any]) -> AsyncIterator[int]:
        return self.items(args.get("count", 10**9))

    async def items(self, count: int) -> AsyncIterator[int]:
        try:
            for number in range(count):
                self.sent += 1
                yield number
        finally:
            self.closed.set()


async def test_both_ends_call() -> None:
    async with linked(table(a=echo), table(b=echo)) as (left, right):
        assert await left.call("b", x=1) == {"x": 1}
        assert await right.call("a", y=[b"\0"]) == {"y": [b"\0"]}
        assert left.peer.name == "right"


async def test_errors_keep_their_code() -> None:
    async with linked(theirs=table(refuse=refuse, lack=lack, broken=break_)) as (left, _):
        for call, code in (
            ("refuse", "fleet.forbidden"),
            ("lack", "registry.blob-missing"),
            ("broken", "internal"),
            ("unknown", "fleet.request"),
        ):
            with pytest.raises(RemoteError) as caught:
                await left.call(call)
            assert caught.value.code == code
            assert "secret" not in caught.value.message


async def test_many_calls_at_once_wait_for_their_turn() -> None:
    waiting = Waiting()
    async with linked(theirs=table(wait=waiting, echo=echo)) as (left, _), trio.open_nursery() as nursery:
        for _ in range(LINK_REQUESTS_OPEN_MAX + 1):
            nursery.start_soon(left.call, "wait")
        await wait_all_tasks_blocked()
        assert waiting.count == LINK_REQUESTS_OPEN_MAX
        waiting.go.set()
        await wait_all_tasks_blocked()
        assert waiting.count == LINK_REQUESTS_OPEN_MAX + 1


async def test_cancelling_a_call_cancels_it_over_there() -> None:
    waiting = Waiting()
    async with linked(theirs=table(wait=waiting, echo=echo)) as (left, _):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(left.call, "wait")
                await waiting.begun.wait()
                scope.cancel()
        await waiting.cancelled.wait()
        assert await left.call("echo") == {}
        await wait_all_tasks_blocked()
        assert left._session.open_count == 0


async def test_a_call_has_a_deadline(autojump_clock: MockClock) -> None:
    waiting = Waiting()
    async with linked(theirs=table(wait=waiting)) as (left, _):
        with pytest.raises(LinkError, match="did not answer wait within 5 s"):
            await left.call("wait", timeout_s=5)
        await waiting.cancelled.wait()
        assert left.is_open


async def test_a_stream_to_its_end() -> None:
    count = 3 * STREAM_WINDOW + 1
    async with linked(theirs=table(count=Counting())) as (left, _):
        assert [item async for item in left.stream("count", count=count)] == list(range(count))


async def test_a_stream_does_not_run_ahead_of_its_reader() -> None:
    counting = Counting()
    async with linked(theirs=table(count=counting, echo=echo)) as (left, _):
        async with aclosing(left.stream("count")) as items:
            assert await anext(items) == 0
            await wait_all_tasks_blocked()
            assert counting.sent <= STREAM_WINDOW + 1
            assert await left.call("echo") == {}  # others are not held up
        await counting.closed.wait()


async def test_a_stream_that_is_left_ends_over_there() -> None:
    counting = Counting()
    async with linked(theirs=table(count=counting, echo=echo)) as (left, _):
        stream = left.stream("count")
        async for item in stream:
            if item == 100:
                break
        await stream.aclose()
        await counting.closed.wait()
        with pytest.raises(LinkError, match="was closed"):
            await anext(stream)


async def test_an_error_within_a_stream() -> None:
    async def one_then_none(_peer: Peer, _args: dict[str, Any]) -> AsyncIterator[int]:
        async def items() -> AsyncIterator[int]:
            yield 1
            raise CallForbidden("no more")

        return items()

    async with linked(theirs=table(x=one_then_none)) as (left, _):
        stream = left.stream("x")
        assert await anext(stream) == 1
        with pytest.raises(RemoteError, match="no more"):
            await anext(stream)


async def test_an_answer_that_is_too_large_is_an_error_and_not_the_end() -> None:
    async with linked(theirs=table(big=big)) as (left, _):
        assert len(await left.call("big", size=FRAME_BYTES_MAX - 100)) == FRAME_BYTES_MAX - 100
        with pytest.raises(RemoteError, match="a message of"):
            await left.call("big", size=FRAME_BYTES_MAX)
        with pytest.raises(ProtocolError):
            await left.call("big", size=bytes(FRAME_BYTES_MAX))
        assert left.is_open


async def test_a_closed_link_ends_every_call_and_stream() -> None:
    waiting = Waiting()
    async with linked(theirs=table(wait=waiting, count=Counting())) as (left, right), trio.open_nursery() as nursery:
        reasons: list[str] = []

        async def expect() -> None:
            with pytest.raises(LinkError) as caught:
                await left.call("wait")
            reasons.append(caught.value.message)

        nursery.start_soon(expect)
        stream = left.stream("count")
        await anext(stream)
        await waiting.begun.wait()
        right.close("enough")
        await left.wait_closed()
        with pytest.raises(LinkError):
            await to_end(stream)
        with pytest.raises(LinkError):
            await left.call("wait")
        assert (await right.wait_closed()).message.endswith("enough")
        await waiting.cancelled.wait()
    assert reasons == ["right closed the link"]


async def test_the_round_trip_is_measured() -> None:
    async with linked() as (left, right):
        await wait_all_tasks_blocked()
        assert 0 <= left.round_trip_s < 60
        assert 0 <= right.round_trip_s < 60


async def to_end(stream: Stream) -> list[Any]:
    return [item async for item in stream]


class Played:
    """The other end of a link, played by the test."""

    def __init__(self, stream: trio.testing.MemorySendStream) -> None:
        self.stream = stream
        self.frames = FrameReader()

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def hear(self, key: str) -> dict[str, Any]:
        """The next message with that key."""
        while True:
            while (message := self.frames.next()) is not None:
                if key in message:
                    return message
            self.frames.feed(await self.stream.receive_some(65536))


async def played(nursery: trio.Nursery, **handlers: Any) -> tuple[Link, Played]:
    ours, theirs = memory_stream_pair()
    link = Link(ours, HELLO, Peer("rude", "node", "sha256:r"), table(**handlers))
    other = Played(theirs)
    await theirs.send_all(Session(HELLO).say_hello())
    await nursery.start(link.run)
    return link, other


async def test_a_long_frame_keeps_its_place() -> None:
    """It is decoded in a thread; what came after it waits."""
    long = [[]] * (2 * FRAME_INLINE_VALUE_COUNT_MAX)
    said = [1, long, 2, long, 3]
    heard: list[Any] = []
    async with trio.open_nursery() as nursery:
        link, other = await played(nursery)

        async def hear() -> None:
            heard.extend(await to_end(link.stream("news")))

        async with trio.open_nursery() as asking:
            asking.start_soon(hear)
            number = (await other.hear("call"))["id"]
            frames = [{"id": number, "item": value} for value in said] + [{"id": number, "end": True}]
            await other.say(b"".join(map(encode_frame, frames)))
        link.close("done")
    assert heard == said


async def test_a_long_answer_that_nobody_waits_for_when_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The link was closed meanwhile, and whoever asked has left."""
    decoding, go = trio.Event(), threading.Event()

    class Slow(Frame):
        def decode(self) -> dict[str, Any]:
            if self.is_long:
                trio.from_thread.run_sync(decoding.set)
                assert go.wait(120)
            return super().decode()

    monkeypatch.setattr(frame, "Frame", Slow)
    async with trio.open_nursery() as nursery:
        link, other = await played(nursery)
        with trio.CancelScope() as asking:
            async with trio.open_nursery() as callers:
                callers.start_soon(link.call, "news")
                number = (await other.hear("call"))["id"]
                await other.say(encode_frame({"id": number, "ok": [[]] * (2 * FRAME_INLINE_VALUE_COUNT_MAX)}))
                await decoding.wait()
                link.close("done")
                asking.cancel()
        go.set()
        assert (await link.wait_closed()).message.endswith("done")


async def test_a_long_frame_that_is_none_cuts_the_link() -> None:
    async with trio.open_nursery() as nursery:
        link, other = await played(nursery)
        rubbish = b"\xc1" * (FRAME_INLINE_VALUE_COUNT_MAX + 1)
        await other.say(len(rubbish).to_bytes(4, "big") + rubbish)
        assert isinstance(await link.wait_closed(), ProtocolError)


async def test_whoever_breaks_the_protocol_is_cut() -> None:
    async with trio.open_nursery() as nursery:
        link, other = await played(nursery)
        await other.say(encode_frame({"id": 5, "ok": 1}))
        assert isinstance(await link.wait_closed(), ProtocolError)


async def test_no_hello_no_link() -> None:
    ours, theirs = memory_stream_pair()
    link = Link(ours, HELLO, Peer("rude", "node", "sha256:r"))
    await theirs.send_all(encode_frame({"ping": 1}))
    async with trio.open_nursery() as nursery:
        with pytest.raises(ProtocolError):
            await nursery.start(link.run)
    assert not link.is_open


async def test_who_is_silent_is_cut(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        link, _ = await played(nursery)
        began = trio.current_time()
        assert "was silent" in (await link.wait_closed()).message
        assert trio.current_time() - began >= LINK_SILENCE_S_MAX


async def test_who_answers_pings_stays(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        link, other = await played(nursery)
        for _ in range(10):
            await other.say(encode_frame({"pong": (await other.hear("ping"))["ping"]}))
        assert link.is_open
        assert trio.current_time() > LINK_SILENCE_S_MAX
        link.close("done")


async def test_who_takes_nothing_is_cut_and_costs_no_more_than_the_outbox(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        # lockstep streams take bytes only when the other end reads
        ours, theirs = trio.testing.lockstep_stream_pair()
        link = Link(ours, HELLO, Peer("slow", "node", "sha256:r"), table(big=big))
        other = Played(theirs)
        nursery.start_soon(link.run)
        await other.hear("protocol")
        await other.say(Session(HELLO).say_hello())
        for number in range(1, LINK_REQUESTS_OPEN_MAX + 1):
            await other.say(encode_frame({"id": number, "call": "big", "args": {"size": 2**20}}))
        began = trio.current_time()
        with trio.move_on_after(1):
            await link.wait_closed()
        assert link.outbox_bytes < LINK_OUTBOX_BYTES_MAX + FRAME_BYTES_MAX
        assert "took nothing" in (await link.wait_closed()).message
        assert trio.current_time() - began >= LINK_WRITE_TIMEOUT_S - 1


async def test_who_asks_and_cancels_without_taking_the_answers_is_cut() -> None:
    async def wait(_peer: Peer, _args: dict[str, Any]) -> Any:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        ours, theirs = trio.testing.lockstep_stream_pair()
        link = Link(ours, HELLO, Peer("slow", "node", "sha256:r"), table(big=big, wait=wait))
        other = Played(theirs)
        nursery.start_soon(link.run)
        await other.hear("protocol")
        await other.say(Session(HELLO).say_hello())
        for number in range(1, 6):
            await other.say(encode_frame({"id": number, "call": "big", "args": {"size": 2**20}}))
        await wait_all_tasks_blocked()
        said = 0
        with suppress(trio.BrokenResourceError):
            for number in range(6, 6 + 2 * LINK_REQUESTS_OPEN_MAX):
                await other.say(encode_frame({"id": number, "call": "wait", "args": {}}))
                await other.say(encode_frame({"id": number, "cancel": True}))
                await wait_all_tasks_blocked()
                said += 1
        assert said < LINK_REQUESTS_OPEN_MAX
        assert isinstance(await link.wait_closed(), ProtocolError)


async def test_small_words_that_are_not_taken_are_not_kept_for_ever() -> None:
    async with trio.open_nursery() as nursery:
        link, _ = await played(nursery)
        while link.is_open:
            link._put(bytes(64 * 1024))  # as `took` and `cancel` do, which wait for nothing
        assert link.outbox_bytes < LINK_OUTBOX_BYTES_MAX + 2 * FRAME_BYTES_MAX
        assert "more than it takes" in (await link.wait_closed()).message
        outboxes = Outboxes()
        found = outboxes.depth([link])
        assert found.limit == OUTBOX_BYTES_MOST < found.highest == link.outbox_high.highest < OUTBOX_BYTES_MOST + 2**16
        outboxes.ended(link)
        assert outboxes.depth([]) == replace(found, now=0)


async def test_who_answers_pings_and_nothing_else_is_cut_when_all_its_places_are_taken(
    autojump_clock: MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        link, _ = await played(nursery)

        async def ask() -> None:
            with pytest.raises(LinkError, match="did not answer"):
                await link.call("echo", timeout_s=1)

        async with trio.open_nursery() as asking:
            for _ in range(LINK_REQUESTS_OPEN_MAX):
                asking.start_soon(ask)
        assert link.is_open
        with pytest.raises(LinkError, match="answers nothing"):
            await link.call("echo", timeout_s=1)
        assert not link.is_open


async def test_a_link_ends_with_the_certificate(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    link = Link(ours, HELLO, Peer("old", "node", "sha256:r"), lasts_s=2 * LINK_PING_INTERVAL_S)
    other = Played(theirs)
    await theirs.send_all(Session(HELLO).say_hello())
    async with trio.open_nursery() as nursery:
        await nursery.start(link.run)
        for _ in range(2):
            await other.say(encode_frame({"pong": (await other.hear("ping"))["ping"]}))
            assert link.is_open
        assert "has expired" in (await link.wait_closed()).message
