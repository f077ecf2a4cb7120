"""Lines of several nodes, in one order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from edged.errors import ProtocolError
from edged.limits import LOG_MERGE_LINE_COUNT_MAX, LOG_TAIL_LINE_COUNT
from edged.publish.logs import LogLine, read_logs


def line(second: int, node: str = "a") -> dict[str, Any]:
    time = f"2026-11-21T06:{second // 60:02}:{second % 60:02}.000Z"
    return {"time": time, "node": node, "region": "eu", "component": "c", "stream": "stdout", "text": str(second)}


class FakeLink:
    """Answers `logs` with these items; a float is a pause, s."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    async def stream(self, _name: str, /, **_args: Any) -> AsyncGenerator[Any, None]:
        for item in self._items:
            if isinstance(item, float):
                await trio.sleep(item)
            else:
                yield item


async def shown(*items: Any, tail: int = 100, follow: bool) -> list[list[str]]:
    batches: list[list[str]] = []

    def show(lines: Sequence[LogLine]) -> None:
        batches.append([line.text for line in lines])

    await read_logs(FakeLink(*items), "shop", tail=tail, follow=follow, show=show)  # type: ignore[arg-type]
    return batches


async def test_all_at_once_and_by_time() -> None:
    assert await shown(line(1), line(3), line(2, "b"), line(4, "b"), follow=False) == [["1", "2", "3", "4"]]


async def test_the_last_of_all_nodes_together() -> None:
    assert await shown(line(1), line(3), line(2, "b"), line(4, "b"), tail=2, follow=False) == [["3", "4"]]


async def test_what_is_kept_is_bounded() -> None:
    many = [line(second) for second in range(3 * LOG_TAIL_LINE_COUNT)]
    (found,) = await shown(*many, tail=LOG_TAIL_LINE_COUNT, follow=False)
    assert found == [str(second) for second in range(2 * LOG_TAIL_LINE_COUNT, 3 * LOG_TAIL_LINE_COUNT)]


async def test_following_cuts_only_what_was_before(autojump_clock: MockClock) -> None:
    first = [line(1), line(3), line(2, "b")]
    assert await shown(*first, 1.0, line(5), line(4, "b"), 1.0, line(6), tail=2, follow=True) == [
        ["2", "3"],
        ["4", "5"],
        ["6"],
    ]


async def test_following_from_now_on(autojump_clock: MockClock) -> None:
    assert await shown(1.0, line(5), line(4, "b"), tail=0, follow=True) == [["4", "5"]]


async def test_a_flood_is_shown_as_it_comes(autojump_clock: MockClock) -> None:
    many = [line(second) for second in range(LOG_MERGE_LINE_COUNT_MAX + 1)]
    batches = await shown(*many, tail=LOG_TAIL_LINE_COUNT, follow=True)
    assert [len(batch) for batch in batches] == [LOG_MERGE_LINE_COUNT_MAX, 1]


async def test_what_came_before_an_error_is_shown(autojump_clock: MockClock) -> None:
    batches: list[int] = []
    with pytest.raises(ProtocolError):
        await read_logs(
            FakeLink(line(1), {"time": 7}),  # type: ignore[arg-type]
            "shop",
            tail=9,
            follow=True,
            show=lambda lines: batches.append(len(lines)),
        )
    assert batches == [1]
