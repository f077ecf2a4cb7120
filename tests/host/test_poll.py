"""wasi:io/poll"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestTrap
from edged.host.poll import Deadline, Poll, Pollable
from tests.host.fakes import invocation, settled, suspends


class Switch:
    """A waitable that the test turns on, and that counts how often it is waited for at once."""

    def __init__(self, on: bool = False) -> None:
        self._event = trio.Event()
        self.waiting = 0
        self.waiting_max = 0
        if on:
            self._event.set()

    def turn_on(self) -> None:
        self._event.set()

    def ready(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        self.waiting += 1
        self.waiting_max = max(self.waiting_max, self.waiting)
        try:
            await self._event.wait()
        finally:
            self.waiting -= 1


def poll(*waitables):
    return Poll().poll(invocation(), [Pollable(waitable) for waitable in waitables])


def test_a_pollable_is_ready_when_what_it_stands_for_is() -> None:
    assert Pollable(Switch(on=True)).ready()
    assert not Pollable(Switch()).ready()


async def test_block_answers_at_once_when_ready_and_waits_otherwise(nursery) -> None:
    assert Pollable(Switch(on=True)).block() is None
    switch = Switch()
    nursery.start_soon(settled, Pollable(switch).block())
    await trio.testing.wait_all_tasks_blocked()
    assert switch.waiting == 1
    switch.turn_on()
    await trio.testing.wait_all_tasks_blocked()
    assert switch.waiting == 0


def test_polling_nothing_traps() -> None:
    with pytest.raises(GuestTrap):
        poll()


def test_poll_answers_at_once_with_every_ready_one() -> None:
    assert poll(Switch(), Switch(on=True), Switch(), Switch(on=True)) == [1, 3]
    assert poll(Switch(on=True)) == [0]


async def test_poll_waits_for_the_first_and_stops_waiting_for_the_others() -> None:
    switches = [Switch(), Switch(), Switch()]
    async with trio.open_nursery() as nursery:
        answers = []

        async def guest():
            answers.append(await settled(poll(*switches)))

        nursery.start_soon(guest)
        await trio.testing.wait_all_tasks_blocked()
        assert [switch.waiting for switch in switches] == [1, 1, 1]
        switches[1].turn_on()
        await trio.testing.wait_all_tasks_blocked()
        assert answers == [[1]]
        assert [switch.waiting for switch in switches] == [0, 0, 0]


async def test_the_same_thing_polled_twice_is_waited_for_once(autojump_clock) -> None:
    switch = Switch()
    assert await settled(poll(switch, Deadline(trio.current_time() + 1), switch)) == [1]
    assert switch.waiting_max == 1


async def test_two_of_the_same_are_both_reported(nursery) -> None:
    switch = Switch()
    answers = []

    async def guest():
        answers.append(await settled(poll(switch, Switch(), switch)))

    nursery.start_soon(guest)
    await trio.testing.wait_all_tasks_blocked()
    switch.turn_on()
    await trio.testing.wait_all_tasks_blocked()
    assert answers == [[0, 2]]


async def test_what_became_ready_before_the_wait_began_is_found() -> None:
    switch = Switch()
    answer = poll(switch)
    switch.turn_on()  # as when the engine sends gathered output before it waits
    assert await answer == [0]
    assert switch.waiting_max == 0


async def test_the_earliest_of_many_deadlines_wins(autojump_clock) -> None:
    start = trio.current_time()
    answer = await settled(poll(*(Deadline(start + seconds) for seconds in (5, 2, 9))))
    assert answer == [1]
    assert trio.current_time() == pytest.approx(start + 2)


async def test_a_deadline_and_something_else(autojump_clock) -> None:
    start = trio.current_time()
    switch = Switch()
    assert await settled(poll(switch, Deadline(start + 3))) == [1]
    assert switch.waiting == 0
    switch.turn_on()
    assert poll(switch, Deadline(start + 99)) == [0]


async def test_a_passed_deadline_is_ready_and_one_to_come_is_not(mock_clock) -> None:
    deadline = Deadline(trio.current_time() + 1)
    assert suspends(Pollable(deadline).block())
    mock_clock.jump(1)
    assert Pollable(deadline).block() is None


async def test_cancelling_a_poll_leaves_no_wait_behind() -> None:
    switches = [Switch(), Switch()]
    with trio.CancelScope() as scope:
        scope.cancel()
        await settled(poll(*switches))
    assert scope.cancelled_caught
    assert [switch.waiting for switch in switches] == [0, 0]
