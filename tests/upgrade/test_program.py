"""Programs that are run to their end, and those that have to be ended."""

from __future__ import annotations

import math
import os
import select
from pathlib import Path

import pytest
import trio

from edged.limits import UPGRADE_OUTPUT_BYTES_MAX
from edged.upgrade.program import run


def shell(text: str) -> list[str]:
    return ["sh", "-c", text]


async def test_what_it_said() -> None:
    done = await run(shell("echo one; echo; echo ' two' >&2; exit 3"), timeout_s=math.inf)
    assert (done.status, done.last_words) == (3, "one; two")


async def test_its_environment() -> None:
    done = await run(shell("echo $A"), timeout_s=math.inf, environment={**os.environ, "A": "b"})
    assert (done.status, done.output) == (0, "b\n")


async def test_what_cannot_be_started(tmp_path: Path) -> None:
    done = await run([str(tmp_path / "missing")], timeout_s=math.inf)
    assert done.status is None
    assert "No such file" in done.output


@pytest.mark.parametrize("over", [0, 1])
async def test_as_much_as_it_may_say(over: int) -> None:
    done = await run(shell(f"head -c {UPGRADE_OUTPUT_BYTES_MAX + over} /dev/zero"), timeout_s=math.inf)
    assert done.status == (None if over else 0)
    assert len(done.output) == UPGRADE_OUTPUT_BYTES_MAX or over


async def test_its_time_is_over(tmp_path: Path) -> None:
    """It and what it started are ended: nobody holds the pipe any more."""
    os.mkfifo(tmp_path / "held")
    reader = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    text = f"exec 3>{tmp_path / 'held'}; echo begun >&3; sleep 1000 & wait"
    async with trio.open_nursery() as nursery:

        async def held() -> None:
            done = await run(shell(text), timeout_s=math.inf)
            raise AssertionError(done)

        nursery.start_soon(held)
        await trio.lowlevel.wait_readable(reader)
        assert os.read(reader, 100) == b"begun\n"
        nursery.cancel_scope.cancel()
    await trio.to_thread.run_sync(lambda: select.select([reader], [], []))
    assert os.read(reader, 100) == b""
    os.close(reader)


async def test_no_time_at_all() -> None:
    done = await run(shell("sleep 1000"), timeout_s=0)
    assert done.status is None
    assert "did not end within 0 s" in done.output
