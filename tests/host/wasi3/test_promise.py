"""Futures that the host completes later."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.host.channel import Ready
from edged.host.interface import Err, Ok
from edged.host.wasi3.promise import Promise, value_of
from tests.host.fakes import settled, suspends
from tests.host.wasi3.guest import GuestFuture


async def test_a_value_that_is_there_is_given_at_once() -> None:
    promise = Promise()
    assert not promise.resolved
    promise.resolve(Ok(1))
    assert promise.resolved
    assert promise.read() == Ok(1)


async def test_a_value_that_comes_later_is_waited_for() -> None:
    promise = Promise()
    assert suspends(promise.read())
    values = []

    async def read() -> None:
        values.append(await settled(promise.read()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        assert values == []
        promise.resolve(None)
    assert values == [None]


async def test_the_first_value_counts() -> None:
    promise = Promise()
    promise.resolve(1)
    promise.resolve(2)
    future = GuestFuture(3)
    promise.follow(future, 4)
    assert future.closed == 1
    assert promise.read() == 1


@pytest.mark.parametrize("known", [True, False], ids=["known", "later"])
async def test_it_follows_another_future(known) -> None:
    promise = Promise()
    future = GuestFuture()
    if known:
        future.write(Ok())
    promise.follow(future, Err("gone"))
    assert promise.resolved
    promise.resolve(Err("too late"))
    reading = promise.read()
    future.write(Ok())
    assert await settled(reading) == Ok()
    assert future.closed == 1


async def test_a_reader_that_waits_is_told_of_a_future_to_follow() -> None:
    promise = Promise()
    future = GuestFuture()
    values = []

    async def read() -> None:
        values.append(await settled(promise.read()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        promise.follow(future, Err("gone"))
        await trio.testing.wait_all_tasks_blocked()
        future.drop()
    assert values == [Err("gone")]


async def test_closing_closes_what_it_follows() -> None:
    promise = Promise()
    promise.close()
    future = GuestFuture()
    promise.follow(future, None)
    promise.close()
    assert future.closed == 1


async def test_the_value_of_a_future() -> None:
    assert await value_of(Ready(7), None) == 7
    waited = GuestFuture()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_write_later, waited)
        assert await value_of(waited, None) == "later"
    assert waited.closed == 1
    dropped = GuestFuture()
    dropped.drop()
    assert await value_of(dropped, "none") == "none"
    assert dropped.closed == 1


async def _write_later(future: GuestFuture) -> None:
    await trio.testing.wait_all_tasks_blocked()
    future.write("later")
