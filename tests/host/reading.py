"""What a guest does with the streams and futures that it is given."""

from __future__ import annotations

from typing import Any

from tests.host.fakes import settled


async def read(stream: Any, count_max: int = 100) -> list[Any]:
    return list(await settled(stream.read(count_max)))


async def read_all(stream: Any, count_max: int = 100) -> list[Any]:
    """Up to the end, which stays the end."""
    values: list[Any] = []
    while piece := await read(stream, count_max):
        assert len(piece) <= count_max
        values += piece
    assert await read(stream, count_max) == []
    return values


async def outcome(future: Any) -> Any:
    """`Ok()`, or `Err` with the reason."""
    return await settled(future.read())
