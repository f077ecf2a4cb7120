"""A program that is run to its end, within bounds of time and output."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import trio

from edged.limits import UPGRADE_OUTPUT_BYTES_MAX

_READ_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Done:
    """Attributes:
    status: exit status; below 0 for a signal. None: it could not be started, did not end in time or said too much.
    output: stdout and stderr, or why there is no status.
    """

    status: int | None
    output: str

    @property
    def last_words(self) -> str:
        """Of several lines, those that are not empty, in one."""
        return "; ".join(line.strip() for line in self.output.splitlines() if line.strip())


async def run(arguments: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None) -> Done:
    """Run it with nothing on stdin. If it is left before it ended, it and what it started in its group are killed.

    Args:
        environment: in place of ours.
    """
    try:
        process = await trio.lowlevel.open_process(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ if environment is None else environment),
            start_new_session=True,
        )
    except OSError as error:
        return Done(None, f"{arguments[0]}: {error.strerror}")
    assert process.stdout is not None
    said = b""
    try:
        with trio.move_on_after(timeout_s) as scope:
            async with process.stdout:
                while piece := await process.stdout.receive_some(_READ_BYTES):
                    said += piece
                    if len(said) > UPGRADE_OUTPUT_BYTES_MAX:
                        return Done(None, f"it said more than {UPGRADE_OUTPUT_BYTES_MAX} bytes")
            return Done(await process.wait(), said.decode(errors="replace"))
        assert scope.cancelled_caught
        return Done(None, f"it did not end within {timeout_s:g} s")
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with trio.CancelScope(shield=True):
                await process.wait()
