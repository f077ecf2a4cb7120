"""The process of the speaker's child, with the stream to it and what it writes to stderr."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from bgp.errors import SpeakerFailed
from bgp.limits import SPEAKER_LINE_BYTES_MAX, SPEAKER_LINES_MAX, SPEAKER_LINES_S

Command = Callable[[int], list[str]]
"""The child's argument list, given the descriptor of its end of the socket pair."""


class Process(Protocol):
    """What `bgp.speaker` needs of a child."""

    @property
    def pid(self) -> int: ...

    @property
    def stream(self) -> trio.abc.Stream:
        """To and from the child."""
        ...

    @property
    def stderr(self) -> trio.abc.ReceiveStream: ...

    def kill(self) -> None:
        """End it at once, whatever it does."""
        ...

    async def wait(self) -> str:
        """Until it has ended. Returns why: `signal SIGKILL`, `status 70`."""
        ...


class ChildProcess:
    """A real one. Not tied to the thread that forks it: the end of the stream is what ends it (see `bgp.speaker`)."""

    def __init__(self, process: trio.Process, stream: trio.SocketStream) -> None:
        assert process.stderr is not None
        self._process = process
        self.pid = process.pid
        self.stream: trio.abc.Stream = stream
        self.stderr: trio.abc.ReceiveStream = process.stderr

    def kill(self) -> None:
        self._process.kill()

    async def wait(self) -> str:
        status = await self._process.wait()
        if status >= 0:
            return f"status {status}"
        with suppress(ValueError):
            return f"signal {signal.Signals(-status).name}"
        return f"signal {-status}"


async def open_process(command: Command) -> Process:
    """Start a child in a session of its own, so that a ^C in the terminal is its parent's to act on.

    Raises:
        SpeakerFailed: it could not be started.
    """
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise SpeakerFailed(f"the speaker cannot be started: {error.strerror}") from error
    with theirs:
        try:
            process = await trio.lowlevel.open_process(
                command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise SpeakerFailed(f"the speaker cannot be started: {error.strerror}") from error
            raise
    return ChildProcess(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))


class StderrLines:
    """Bytes in any pieces to lines, each cut off at SPEAKER_LINE_BYTES_MAX. Sans-IO."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, rest = (self._partial + data).split(b"\n")
        # What is beyond the limit is dropped at once: a line without an end must not grow.
        self._partial = rest[:SPEAKER_LINE_BYTES_MAX]
        return [line[:SPEAKER_LINE_BYTES_MAX].decode("utf-8", "replace") for line in whole if line]


class LineGate:
    """Lets SPEAKER_LINES_MAX lines pass in each SPEAKER_LINES_S, and counts the others. The clock is passed in."""

    def __init__(self) -> None:
        self._since = float("-inf")
        self._count = 0

    def admits(self, now: float) -> tuple[bool, int]:
        """Whether this line passes, and how many were dropped before it that nobody was told of."""
        dropped = 0
        if now - self._since >= SPEAKER_LINES_S:
            dropped = max(0, self._count - SPEAKER_LINES_MAX)
            self._since, self._count = now, 0
        self._count += 1
        return self._count <= SPEAKER_LINES_MAX, dropped
