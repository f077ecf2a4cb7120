"""Errors of ours leave a nursery as themselves."""

from __future__ import annotations

import pytest
import trio

from edged.errors import ListenError, UsageError
from edged.nursery import plain_errors


async def fail(*errors: BaseException) -> None:
    async def one(error: BaseException) -> None:
        raise error

    with plain_errors():
        async with trio.open_nursery() as nursery:
            for error in errors:
                nursery.start_soon(one, error)


async def test_one_of_ours() -> None:
    with pytest.raises(UsageError):
        await fail(UsageError("x"))


async def test_the_cause_is_kept() -> None:
    error = UsageError("x")
    error.__cause__ = OSError("why")
    with pytest.raises(UsageError) as caught:
        await fail(error)
    assert isinstance(caught.value.__cause__, OSError)


async def test_several_of_ours() -> None:
    with pytest.raises((UsageError, ListenError)):
        await fail(UsageError("x"), ListenError("y"))


async def test_a_mistake_beside_ours_is_not_hidden() -> None:
    with pytest.raises(BaseExceptionGroup):
        await fail(UsageError("x"), ZeroDivisionError())


async def test_a_mistake() -> None:
    with pytest.raises(ExceptionGroup):
        await fail(ZeroDivisionError())


async def test_nothing() -> None:
    await fail()
