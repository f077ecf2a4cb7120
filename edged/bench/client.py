"""A place that is measured from: this machine, or whatever a command in front of another leads to."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from edged.errors import BenchFailed, BenchToolMissing, UsageError
from edged.limits import (
    BENCH_CLIENTS_MAX,
    BENCH_EVENT_TIMEOUT_S,
    BENCH_OUTPUT_BYTES_MAX,
    BENCH_TOOL_CHECK_S,
    BENCH_TOOL_GRACE_S,
)

_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}").fullmatch
_PACKAGES = {"httping": "httping", "mtr": "mtr-tiny"}
_TOOLS = {"httping": b"HTTPing", "mtr": b"mtr "}
"""What each starts with when it is asked for its version."""
_SAID_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Client:
    """Attributes:
    name: in tables and pictures; unique.
    prefix: words in front of every command, `ssh edi` or `ip netns exec x`; empty for this machine.
    """

    name: str
    prefix: tuple[str, ...] = ()


HERE = Client("here")


def parse_clients(texts: Sequence[str]) -> tuple[Client, ...]:
    """`NAME=COMMAND PREFIX` of each; this machine if there is none.

    Raises:
        UsageError
    """
    clients = tuple(_client(text) for text in texts) or (HERE,)
    if len({client.name for client in clients}) != len(clients):
        raise UsageError("two clients have the same name")
    if len(clients) > BENCH_CLIENTS_MAX:
        raise UsageError(f"{len(clients)} clients: at most {BENCH_CLIENTS_MAX} can be told apart in one picture")
    return clients


def parse_command(text: str) -> tuple[str, ...]:
    """Words, as a shell would split them; nothing of them is expanded.

    Raises:
        UsageError
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is no command: {error}") from None
    if not words:
        raise UsageError("a command is empty")
    return words


@asynccontextmanager
async def running(
    client: Client, arguments: Sequence[str], *, with_stderr: bool = False
) -> AsyncIterator[trio.abc.ReceiveStream]:
    """A tool, and what it prints on stdout while it runs. It is ended with the block.

    Raises:
        BenchFailed: it could not be started.
    """
    command = [*client.prefix, *arguments]
    try:
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if with_stderr else subprocess.DEVNULL,
        )
    except OSError as error:
        raise BenchFailed(f"{client.name}: {command[0]} cannot be started: {error.strerror}") from error
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        with trio.CancelScope(shield=True):
            await process.stdout.aclose()
            await _end(process)


async def _end(process: trio.Process) -> None:
    process.terminate()
    with trio.move_on_after(BENCH_TOOL_GRACE_S):
        await process.wait()
        return
    process.kill()
    await process.wait()


async def run_tool(client: Client, arguments: Sequence[str], timeout_s: float, *, with_stderr: bool = False) -> bytes:
    """What a tool prints, however it ends: httping calls it a failure if nobody answered, which is a result.

    Raises:
        BenchFailed: it could not be started, printed far too much, or did not end in time.
    """
    output = bytearray()
    with trio.move_on_after(timeout_s) as late:
        async with running(client, arguments, with_stderr=with_stderr) as stdout:
            async for part in stdout:
                output += part
                if len(output) > BENCH_OUTPUT_BYTES_MAX:
                    raise BenchFailed(f"{client.name}: {arguments[0]} printed more than {BENCH_OUTPUT_BYTES_MAX} bytes")
    if late.cancelled_caught:
        raise BenchFailed(f"{client.name}: {arguments[0]} did not end in {timeout_s:g} s")
    return bytes(output)


async def check_tools(client: Client) -> None:
    """Whether a client has what it takes.

    Raises:
        BenchToolMissing
        BenchFailed: its prefix cannot be started, or does not end.
    """
    for tool, said in _TOOLS.items():
        try:
            # httping says it on stderr.
            output = await run_tool(client, (tool, "--version"), BENCH_TOOL_CHECK_S, with_stderr=True)
        except BenchFailed:
            if client.prefix:
                raise
            output = b""
        if said not in output:  # behind what SSH may have to say
            raise BenchToolMissing(
                f"{client.name} has no {tool}", remedy=f"Install it there: {_PACKAGES[tool]} on Debian and Ubuntu."
            )


async def run_command(command: Sequence[str], what: str) -> None:
    """An event, or what undoes it.

    Raises:
        BenchFailed: it could not be started, ended with something else than 0, or did not end.
    """
    try:
        with trio.fail_after(BENCH_EVENT_TIMEOUT_S):
            done = await trio.run_process(
                command, stdin=subprocess.DEVNULL, capture_stdout=True, capture_stderr=True, check=False
            )
    except OSError as error:
        raise BenchFailed(f"the {what}, {command[0]}, cannot be started: {error.strerror}") from error
    except trio.TooSlowError:
        raise BenchFailed(f"the {what} did not end in {BENCH_EVENT_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-_SAID_CHARS_MAX:]
        raise BenchFailed(f"the {what} ended with {done.returncode}: {said or 'it said nothing'}")


def _client(text: str) -> Client:
    name, equals, prefix = text.partition("=")
    if not equals or _name(name) is None:
        raise UsageError(f"{text!r} is no client", remedy="Write it as NAME=COMMAND, like edi='ssh edi'.")
    return Client(name, parse_command(prefix))
