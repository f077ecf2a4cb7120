"""Programs of the machine: what they say, why they do not, and bounds on both."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from edged.doctor.command import Said, ask, properties
from edged.limits import DOCTOR_COMMAND_S_MAX, DOCTOR_OUTPUT_BYTES_MAX


async def test_what_it_prints() -> None:
    said = await ask("sh", "-c", "echo out; echo err >&2; echo $LC_ALL")
    assert (said.output, said.why) == ("out\nC\n", "")


async def test_one_that_fails_says_why_in_a_line() -> None:
    said = await ask("sh", "-c", "echo half; echo 'first\nsecond' >&2; exit 3")
    assert (said.output, said.why) == ("half\n", "sh: first")
    assert (await ask("sh", "-c", "exit 3")).why == "sh: ended with 3"


async def test_one_that_is_not_there_or_is_no_program(tmp_path: Path) -> None:
    said = await ask("edged-has-no-such-program")
    assert said.is_missing
    assert said.why == "there is no edged-has-no-such-program on this machine"
    (tmp_path / "text").write_text("hello")
    assert "cannot be started" in (await ask(str(tmp_path / "text"))).why


@pytest.mark.parametrize("stream", [1, 2])
async def test_output_at_its_limit_and_one_over(stream: int) -> None:
    command = f"head -c {{}} /dev/zero >&{stream}"
    assert (await ask("sh", "-c", command.format(DOCTOR_OUTPUT_BYTES_MAX))).why == ""
    assert "more than" in (await ask("sh", "-c", command.format(DOCTOR_OUTPUT_BYTES_MAX + 1))).why
    assert "more than" in (await ask("sh", "-c", f"exec cat /dev/zero >&{stream}")).why


async def test_one_that_hangs_is_not_waited_for(mock_clock: MockClock) -> None:
    found: list[Said] = []

    async def run() -> None:
        found.append(await ask("sleep", "1000"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        while trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf:
            await trio.lowlevel.checkpoint()  # it is being started, by a thread
        mock_clock.jump(DOCTOR_COMMAND_S_MAX / 2)
        await wait_all_tasks_blocked()
        assert found == []
        mock_clock.jump(DOCTOR_COMMAND_S_MAX / 2)
    assert found[0].why == f"`sleep 1000` did not end in {DOCTOR_COMMAND_S_MAX:g} s"


def test_properties() -> None:
    assert properties("A=1\n B = two = 2 \nno sign\nA=3\n\n=\n") == {"A": "3", "B": "two = 2", "": ""}
    assert properties("") == {}
