"""Child processes that are kept running.

    Child.run: start ── stderr, line by line ──> lines
                 └── ended ── backoff ── start ...          until `stop`, which lets it end, and then makes it

A child is this same edged with a hidden subcommand (`edged.child`). It is in a session of its own, so that a ^C in the
supervisor's terminal is the supervisor's to act on.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import structlog
import trio

from edged.errors import EdgedError
from edged.http.backoff import Backoff
from edged.limits import (
    CHILD_BACKOFF_RESET_S,
    CHILD_BACKOFF_S_MAX,
    CHILD_BACKOFF_S_MIN,
    CHILD_LINE_BYTES_MAX,
    CHILD_STDERR_S_MAX,
    CHILD_STOP_S_MAX,
)

log = structlog.get_logger()

_READ_BYTES = 8 * 1024  # lines of one turn on the loop: some forty, for a third of a millisecond


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a child.

    Attributes:
        command: its argument list, see `edged.child.command`.
        descriptors: files that it inherits, under the same numbers.
    """

    command: Sequence[str]
    descriptors: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """A child's end that nobody asked for.

    Attributes:
        reason: `signal SIGKILL`, `status 70`, or why it could not be started.
        lasted_s: how long it ran.
        retry_s: until it is started again.
    """

    reason: str
    lasted_s: float
    retry_s: float


class Lines:
    """Bytes in any pieces to lines without their line feed, none longer than `CHILD_LINE_BYTES_MAX`. Sans-IO."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._partial += line
            yield from self._cut()
            yield self._partial
            self._partial = b""
        self._partial += rest
        yield from self._cut()

    def end(self) -> Iterator[bytes]:
        """A last line that was not ended."""
        if self._partial:
            yield self._partial
        self._partial = b""

    def _cut(self) -> Iterator[bytes]:
        while len(self._partial) > CHILD_LINE_BYTES_MAX:
            yield self._partial[:CHILD_LINE_BYTES_MAX]
            self._partial = self._partial[CHILD_LINE_BYTES_MAX:]


class Child:
    """One child.

    Args:
        name: in logs.
        prepare: a context around the start of each process: it gives what to start, and at its end lets go of what only
            the child needs. Raises OSError or EdgedError where nothing can be started just now.
        line: told each line of its stderr.
        started, ended: told of each process, with its pid, and its end, unless that was asked for.

    Attributes:
        pid: of the process; None while there is none.
        starts: how often it was started.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[], AbstractContextManager[Start]],
        *,
        line: Callable[[bytes], None] = lambda _line: None,
        started: Callable[[int], None] = lambda _pid: None,
        ended: Callable[[Exit], None] = lambda _exit: None,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.pid: int | None = None
        self.starts = 0
        self._prepare = prepare
        self._line = line
        self._started = started
        self._ended = ended
        self._backoff = backoff or Backoff(CHILD_BACKOFF_S_MIN, CHILD_BACKOFF_S_MAX, CHILD_BACKOFF_RESET_S)
        self._process: trio.Process | None = None
        self._stopping = trio.Event()

    async def run(self) -> None:
        """Keep it running until `stop`, and return when it has ended. Cancelled, it is killed; no zombie stays."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_when_asked)
            while not self._stopping.is_set():
                begun = trio.current_time()
                reason = await self._run_once()
                lasted_s = trio.current_time() - begun
                if self._stopping.is_set():
                    log.info("child.stopped", child=self.name, reason=reason)
                    break
                retry_s = self._backoff.ended(lasted_s)
                log.warning(
                    "child.ended",
                    child=self.name,
                    reason=reason,
                    lasted_s=round(lasted_s, 3),
                    retry_s=round(retry_s, 3),
                )
                self._ended(Exit(reason, lasted_s, retry_s))
                with trio.move_on_after(retry_s):
                    await self._stopping.wait()
            nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """Let it end (SIGTERM), make it after `CHILD_STOP_S_MAX` (SIGKILL), and start it no more."""
        self._stopping.set()

    def kill(self) -> None:
        """End this process at once. It is started again, unless it was stopped."""
        self._signal(signal.SIGKILL)

    async def _end_when_asked(self) -> None:
        await self._stopping.wait()
        self._signal(signal.SIGTERM)
        await trio.sleep(CHILD_STOP_S_MAX)
        log.warning("child.killed", child=self.name, grace_s=CHILD_STOP_S_MAX)
        self._signal(signal.SIGKILL)

    def _signal(self, signum: signal.Signals) -> None:
        # A process that has ended and was waited for has no pid of ours any more; trio knows.
        if self._process is not None:
            self._process.send_signal(signum)

    async def _run_once(self) -> str:
        """One process, from its start to its end. Returns why it ended."""
        try:
            with self._prepare() as start:
                self._process = process = await trio.lowlevel.open_process(
                    list(start.command),
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    pass_fds=tuple(start.descriptors),
                    start_new_session=True,
                )
        except (OSError, EdgedError) as error:
            return f"it could not be started: {error}"
        self.pid = process.pid
        self.starts += 1
        log.info("child.started", child=self.name, pid=process.pid)
        self._started(process.pid)
        if self._stopping.is_set():  # asked while it was being started
            process.terminate()
        try:
            async with trio.open_nursery() as nursery:
                assert process.stderr is not None
                nursery.start_soon(self._read, process.stderr)
                await process.wait()
                nursery.cancel_scope.deadline = trio.current_time() + CHILD_STDERR_S_MAX
        finally:
            self.pid = self._process = None
            with trio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.wait()
                if process.stderr is not None:
                    await process.stderr.aclose()
        assert process.returncode is not None
        return reason_of(process.returncode)

    async def _read(self, stream: trio.abc.ReceiveStream) -> None:
        lines = Lines()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await stream.receive_some(_READ_BYTES):
                for line in lines.feed(bytes(data)):
                    self._line(line)
        for line in lines.end():
            self._line(line)


def reason_of(status: int) -> str:
    """Why a process ended, by its wait status as `subprocess` has it."""
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


@contextmanager
def plain_start(command: Sequence[str]) -> Iterator[Start]:
    """`prepare` of a child that inherits nothing."""
    yield Start(command)
