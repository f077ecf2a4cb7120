"""The build commands of a component, as `spin build` runs them: one after the other, by `sh -c`, in its folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import trio

from edged.errors import BuildFailed
from edged.limits import BUILD_KILL_S
from edged.manifest.model import Build
from edged.up.event import Building, Built, Show


async def run_build(component: str, build: Build, show: Show, *, output: int | None = None) -> None:
    """Build a component. No time limit: a first `cargo build` takes as long as it takes, and Ctrl-C ends it.

    Args:
        output: file descriptor for the commands' stdout; None for this process's own. Their stderr is ours.

    Raises:
        BuildFailed: the folder is not there, or a command did not end with 0.
    """
    started = time.perf_counter()
    if not await trio.Path(build.workdir).is_dir():
        raise BuildFailed(
            f"component `{component}` is built in {build.workdir}, which is not a folder",
            remedy="Correct `build.workdir` in the manifest.",
        )
    for command in build.commands:
        show(Building(component, command))
        status = await _run(command, build, output)
        if status:
            raise BuildFailed(f"component `{component}`: `{command}` {_ended(status)}")
    show(Built(component, time.perf_counter() - started))


async def _run(command: str, build: Build, output: int | None) -> int:
    done = await trio.run_process(
        ["/bin/sh", "-c", command],
        cwd=build.workdir,
        stdin=subprocess.DEVNULL,
        stdout=output,
        check=False,
        # A session of its own: Ctrl-C reaches us alone, who then end the command with all that it started.
        start_new_session=True,
        deliver_cancel=_end_group,
    )
    return done.returncode


async def _end_group(process: trio.Process) -> None:
    try:
        _signal_group(process, signal.SIGTERM)
        await trio.sleep(BUILD_KILL_S)
    finally:
        _signal_group(process, signal.SIGKILL)


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ended(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal has no name
        return f"was ended by signal {-status}"
