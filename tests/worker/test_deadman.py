"""The end of a process whose loop stands still. In processes of their own where one ends."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import pytest
import trio
import trio.testing

from edged.limits import LOOP_STALL_S
from edged.worker import deadman

_PROGRAM = """
import re, time, trio, trio.testing
from edged.worker.deadman import run_deadman

def in_python():
    while True:
        pass

def in_c_with_the_lock():
    re.match("(a*)*b", "a" * 60)

def asleep():
    time.sleep(600)

async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_deadman, 0.5)
        await trio.testing.wait_all_tasks_blocked()
        {hang}()

trio.run(main)
"""


@pytest.mark.parametrize("hang", ["in_python", "in_c_with_the_lock", "asleep"])
def test_a_loop_that_stands_still_ends_its_process_and_says_where(hang: str) -> None:
    program = [sys.executable, "-c", _PROGRAM.format(hang=hang)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"in {hang}" in done.stderr
    assert done.stderr.startswith("Timeout (0:00:00.500000)!")


class Alarm:
    """In place of `faulthandler`: when it would end the process, on trio's clock."""

    def __init__(self) -> None:
        self.at: float | None = None
        self.was_late = False
        self.times_set = 0

    def dump_traceback_later(self, seconds: float, *, exit: bool) -> None:
        assert exit
        self.was_late = self.was_late or (self.at is not None and trio.current_time() >= self.at)
        self.at = trio.current_time() + seconds
        self.times_set += 1

    def cancel_dump_traceback_later(self) -> None:
        self.at = None


@pytest.fixture
def alarm(monkeypatch: pytest.MonkeyPatch) -> Alarm:
    found = Alarm()
    monkeypatch.setattr(deadman, "faulthandler", found)
    return found


@pytest.mark.parametrize("seconds", [0.5, LOOP_STALL_S])
async def test_a_loop_that_turns_puts_it_off(
    seconds: float, alarm: Alarm, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(10 * seconds):
        await deadman.run_deadman(seconds)
    assert not alarm.was_late
    assert alarm.times_set >= 40  # so that it may miss some turns


async def test_nothing_is_left_when_it_is_cancelled(alarm: Alarm, autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deadman.run_deadman)
        await trio.testing.wait_all_tasks_blocked()
        assert alarm.at is not None
        nursery.cancel_scope.cancel()
    assert alarm.at is None


def test_a_clock_that_is_set_is_no_standstill() -> None:
    """Without it CPython's locks, which the thread of C waits at, go by the clock on the wall."""
    assert sysconfig.get_config_var("HAVE_SEM_CLOCKWAIT") == 1
