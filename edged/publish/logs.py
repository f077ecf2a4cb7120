"""What an app's guests print, from every node that runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from edged.publish.link import Link
from edged.status.answer import Answer


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. Its text comes from a guest: it is not safe to show as it is.

    Attributes:
        time: unix time, s, by the clock of the node.
        stream: `stdout`, `stderr`, or what else the node calls it.
    """

    time: float
    node: str
    region: str
    component: str
    stream: str
    text: str


async def follow(link: Link, app: str, *, tail: int, follow: bool) -> AsyncGenerator[LogLine, None]:
    """Lines as the nodes send them.

    Args:
        tail: lines from before, of each node.
        follow: go on with new ones until cancelled.

    Raises:
        EdgedError: see `Link.stream`.
    """
    async with aclosing(link.stream("logs", app=app, tail=tail, follow=follow)) as items:
        async for item in items:
            line = Answer(item, "logs")
            yield LogLine(
                time=line.number("time") or 0.0,
                node=line.get("node", str),
                region=line.get("region", str),
                component=line.get("component", str),
                stream=line.get("stream", str),
                text=line.get("text", str),
            )


def in_order(lines: list[LogLine], tail: int) -> list[LogLine]:
    """The last lines of all nodes together, by time."""
    return sorted(lines, key=lambda line: line.time)[-tail:] if tail else []
