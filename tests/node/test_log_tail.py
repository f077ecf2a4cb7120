"""Lines of apps: kept, bounded, followed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import trio

from edged.errors import Overloaded
from edged.fleet.depth import Depth
from edged.limits import (
    LOG_TAIL_APP_COUNT_MAX,
    LOG_TAIL_CHARS_MAX,
    LOG_TAIL_LINE_COUNT,
    LOG_TAIL_QUEUE_COUNT_MAX,
    LOG_TAIL_SUBSCRIBER_COUNT_MAX,
)
from edged.node.log_tail import LogLine, LogTail, parse_line


def line(text: object, app: object = "shop", event: str = "guest.stdout") -> bytes:
    fields = {"time": "T", "level": "info", "event": event, "app": app, "component": "guest", "text": text}
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("event", "stream", "text"),
    [
        ("guest.stdout", "stdout", "said"),
        ("guest.stderr", "stderr", "said"),
        ("site.failed", "edged", "site.failed"),
    ],
)
def test_a_line(event: str, stream: str, text: str) -> None:
    assert parse_line(line("said", event=event)) == LogLine("T", "shop", "guest", stream, text)


def test_what_edged_says_of_an_app() -> None:
    data = {"event": "request.failed", "app": "shop", "message": "the guest trapped", "code": "guest.trap"}
    parsed = parse_line(json.dumps(data).encode())
    assert parsed == LogLine("", "shop", "", "edged", "request.failed the guest trapped [guest.trap]")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Traceback (most recent call last):",
        b'{"event": "child.started"}',
        b'{"app": "shop"',
        b'["app"]',
        b'"app"',
        line("x", app=7),
        line("x", app=None),
        b'{"app":' + b"[" * 100_000,
        b'\xff{"app": "shop"}',
    ],
    ids=range(10),
)
def test_no_line_of_an_app(data: bytes) -> None:
    tail = LogTail()
    tail.add(data)
    assert parse_line(data) is None
    assert tail.tail("shop") == []


def test_the_last_lines_of_each_app() -> None:
    tail = LogTail()
    for number in range(LOG_TAIL_LINE_COUNT + 1):
        tail.add(line(str(number)))
    tail.add(line("other", app="blog"))
    kept = [each.text for each in tail.tail("shop")]
    assert (len(kept), kept[0], kept[-1]) == (LOG_TAIL_LINE_COUNT, "1", str(LOG_TAIL_LINE_COUNT))
    assert [each.text for each in tail.tail("shop", 2)] == kept[-2:]
    assert tail.tail("shop", 0) == tail.tail("nobody") == []
    assert [each.text for each in tail.tail("blog")] == ["other"]


def test_the_app_that_was_silent_for_longest_goes() -> None:
    tail = LogTail()
    for number in range(LOG_TAIL_APP_COUNT_MAX):
        tail.add(line("x", app=str(number)))
    tail.add(line("again", app="0"))
    assert len(tail.tail("1")) == 1
    tail.add(line("x", app="one more"))
    assert tail.tail("1") == []
    assert len(tail.tail("0")) == 2


@pytest.mark.parametrize(("over", "kept"), [(0, 2), (1, 1)])
def test_all_lines_together_at_the_limit_and_over_it(over: int, kept: int) -> None:
    tail = LogTail()
    size = 60_000
    apps = LOG_TAIL_CHARS_MAX // size // 1_000 + 1
    left = LOG_TAIL_CHARS_MAX
    tail.add(line("x", app="first"))
    tail.add(line("x", app="first"))
    left -= 2
    for app in range(apps):
        for _ in range(1_000):
            text = "y" * min(size, left)
            left -= len(text)
            if text:
                tail.add(line(text, app=f"app-{app}"))
    assert left == 0
    if over:
        tail.add(line("z", app="last"))
    assert len(tail.tail("first")) == kept
    assert tail._chars == LOG_TAIL_CHARS_MAX
    assert tail.depths()[1] == Depth("log_tail_characters", *[LOG_TAIL_CHARS_MAX] * 3)


async def test_followers_get_the_lines_of_their_app() -> None:
    tail = LogTail()
    tail.add(line("before"))
    with tail.subscribe("shop") as first, tail.subscribe("shop") as second:
        tail.add(line("other", app="blog"))
        tail.add(line("after"))
        for subscription in (first, second):
            assert (await subscription.next()).text == "after"
            assert subscription.next_nowait() is None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.next)
            await trio.testing.wait_all_tasks_blocked()
            tail.add(line("later"))


def test_a_slow_follower_loses_lines_and_is_told() -> None:
    tail = LogTail()
    with tail.subscribe("shop") as subscription:
        for number in range(LOG_TAIL_QUEUE_COUNT_MAX):
            tail.add(line(str(number)))
        assert subscription.dropped == 0
        tail.add(line("one more"))
        assert subscription.dropped == 1
        lines, _ = tail.depths()
        assert lines == Depth("log_lines", LOG_TAIL_QUEUE_COUNT_MAX, LOG_TAIL_QUEUE_COUNT_MAX, LOG_TAIL_QUEUE_COUNT_MAX)
        first = subscription.next_nowait()
        assert first is not None
        assert first.text == "0"
        assert tail.depths()[0].now == LOG_TAIL_QUEUE_COUNT_MAX - 1
    assert tail.depths()[0] == replace(lines, now=0)


def test_as_many_followers_as_may() -> None:
    tail = LogTail()
    blocks = [tail.subscribe("shop") for _ in range(LOG_TAIL_SUBSCRIBER_COUNT_MAX)]
    for block in blocks:
        block.__enter__()
    with pytest.raises(Overloaded), tail.subscribe("blog"):
        pass
    blocks[0].__exit__(None, None, None)
    with tail.subscribe("blog"):
        pass
