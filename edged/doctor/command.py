"""Programs of the machine that are asked: bounded in time and output, in one language, and never an exception."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

import trio

from edged.limits import DOCTOR_COMMAND_S_MAX, DOCTOR_OUTPUT_BYTES_MAX

_REASON_CHARS_MAX = 300
_ADMIN_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # nft is not on the path of users


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a command.

    Attributes:
        output: what it printed.
        why: it did not end well, and this is why; "" if it did.
        is_missing: there is no such program.
    """

    output: str = ""
    why: str = ""
    is_missing: bool = False


async def ask(*command: str) -> Said:
    """Run a command that only looks, and wait for its end. Nothing is waited for longer than DOCTOR_COMMAND_S_MAX."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '')}:{_ADMIN_FOLDERS}"}
    try:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
    except FileNotFoundError:
        return Said(why=f"there is no {command[0]} on this machine", is_missing=True)
    except OSError as error:
        return Said(why=f"{command[0]} cannot be started: {error.strerror}")
    assert process.stdout is not None
    assert process.stderr is not None
    outputs = bytearray(), bytearray()
    with trio.move_on_after(DOCTOR_COMMAND_S_MAX) as late:
        async with process.stdout, process.stderr, trio.open_nursery() as nursery:
            for stream, into in zip((process.stdout, process.stderr), outputs, strict=True):
                nursery.start_soon(_read, stream, into, process)
        await process.wait()
    if late.cancelled_caught:
        process.kill()
        with trio.move_on_after(
            DOCTOR_COMMAND_S_MAX, shield=True
        ):  # one that hangs in the kernel does not even end then
            await process.wait()
        return Said(why=f"`{' '.join(command)}` did not end in {DOCTOR_COMMAND_S_MAX:g} s")
    output, complaint = (bytes(each).decode(errors="replace") for each in outputs)
    if max(map(len, outputs)) > DOCTOR_OUTPUT_BYTES_MAX:
        return Said(why=f"`{' '.join(command)}` said more than {DOCTOR_OUTPUT_BYTES_MAX} bytes")
    if process.returncode:
        lines = complaint.strip()[:_REASON_CHARS_MAX].splitlines()
        return Said(output, f"{command[0]}: {lines[0] if lines else f'ended with {process.returncode}'}")
    return Said(output)


async def _read(stream: trio.abc.ReceiveStream, into: bytearray, process: trio.Process) -> None:
    async for part in stream:
        into += part
        if len(into) > DOCTOR_OUTPUT_BYTES_MAX:
            process.kill()
            return


def properties(output: str) -> dict[str, str]:
    """Lines of `KEY=VALUE`, as systemctl, timedatectl and edged-fetch write them; the last of a key counts."""
    pairs = (line.partition("=") for line in output.splitlines())
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}
