"""Counting calls, and waiting for the last of them."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.triggers.counts import Counts


def test_what_fails_was_not_served() -> None:
    counts = Counts()
    with counts:
        assert counts.active == 1
    with pytest.raises(KeyError), counts:
        raise KeyError
    assert (counts.served, counts.active) == (1, 0)


async def test_everybody_who_waits_for_the_end_gets_it() -> None:
    counts = Counts()
    await counts.wait_idle()
    async with trio.open_nursery() as nursery:
        for _ in range(2):  # idle once before, and idle anew
            with counts:
                for _ in range(3):
                    nursery.start_soon(counts.wait_idle)
                await trio.testing.wait_all_tasks_blocked()
                assert len(nursery.child_tasks) == 3
            await trio.testing.wait_all_tasks_blocked()
            assert not nursery.child_tasks
