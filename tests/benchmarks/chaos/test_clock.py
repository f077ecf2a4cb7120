"""A wall clock of one's own, in a real process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.chaos.clock import Clocks, may_run

DAY_S = 86_400
ASKED = "import sys, time\nfor _ in sys.stdin: print(int(time.time()), time.monotonic(), flush=True)"


@pytest.mark.skipif(bool(may_run()), reason=may_run())
def test_the_time_is_set_while_a_process_runs(tmp_path: Path) -> None:
    """The wall clock goes there and back, by days, and the monotonic one goes on."""
    clocks = Clocks(tmp_path)
    command = [*clocks.prefix("one"), sys.executable, "-c", ASKED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask() -> tuple[int, float]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            wall, monotonic = process.stdout.readline().split()
            return int(wall), float(monotonic)

        began = ask()
        clocks.set("one", 400 * DAY_S)
        ahead = ask()
        clocks.set("one", -400 * DAY_S)
        back = ask()
        clocks.set("one", 0)
        ended = ask()
        process.communicate()
    assert (ahead[0] - began[0]) // DAY_S == 400
    assert (ended[0] - back[0]) // DAY_S == 400
    assert 0 <= ended[0] - began[0] < DAY_S
    monotonic = [each[1] for each in (began, ahead, back, ended)]
    assert monotonic == sorted(monotonic)
    assert monotonic[-1] - monotonic[0] < DAY_S


@pytest.mark.skipif(bool(may_run()), reason=may_run())
def test_two_clocks_are_apart(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    one, two = clocks.prefix("one"), clocks.prefix("two")
    clocks.set("one", 400 * DAY_S)
    found = [
        int(subprocess.run([*prefix, "date", "+%s"], capture_output=True, check=True).stdout) for prefix in (one, two)
    ]
    assert (found[0] - found[1] + DAY_S // 2) // DAY_S == 400
