"""The end of a process whose loop stands still. In processes of their own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import pytest

_PROGRAM = """
import re, time, trio
from edged.worker.deadman import run_deadman

def in_python():
    while True:
        pass

def in_c_with_the_lock():
    re.match("(a*)*b", "a" * 60)

def asleep():
    time.sleep(600)

async def main(hang, hold_s):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_deadman, 0.5)
        await trio.sleep(hold_s)
        hang()
        nursery.cancel_scope.cancel()

trio.run(main, {hang}, {hold_s})
print("ended by itself")
"""


def run(hang: str, hold_s: float = 0.1) -> subprocess.CompletedProcess[str]:
    program = _PROGRAM.format(hang=hang, hold_s=hold_s)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("hang", ["in_python", "in_c_with_the_lock", "asleep"])
def test_a_loop_that_stands_still_ends_its_process_and_says_where(hang: str) -> None:
    done = run(hang)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"in {hang}" in done.stderr
    assert done.stderr.startswith("Timeout (0:00:00.500000)!")


def test_a_loop_that_turns_puts_it_off() -> None:
    done = run("(lambda: None)", hold_s=1.5)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended by itself\n", "")


def test_nothing_is_left_when_it_is_cancelled() -> None:
    program = _PROGRAM.format(hang="(lambda: None)", hold_s=0.1) + "\ntime.sleep(1.0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_clock_that_is_set_is_no_standstill() -> None:
    """Without it CPython's locks, which the thread of C waits at, go by the clock on the wall."""
    assert sysconfig.get_config_var("HAVE_SEM_CLOCKWAIT") == 1
