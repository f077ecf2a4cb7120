"""`wasi:cli` 0.3: environment, exit, stdio, and terminals that are not there.

    guest ── stream<u8> ──> a task of the call ──> OutputSink, or the stdout of a program that is run
    guest <─ future<result> ─'

Whoever runs the guest may have given it arguments, variables and streams of its own: see `edged.host.command`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

import trio

from edged.host import cli
from edged.host.channel import FutureReader, Pieces, Ready, StreamReader
from edged.host.interface import Err, Interface, Invocation, Ok, may_suspend
from edged.host.output import OutputSink
from edged.host.streams import CLOSED, Sink, Source
from edged.host.wasi3 import VERSIONS
from edged.host.wasi3.promise import Promise
from edged.limits import READ_CHUNK_BYTES

PIPE = "pipe"
IO = "io"
"""Cases of `enum error-code` of `wasi:cli/types`: nobody takes the output any more; the input broke off."""


class Environment(cli.Environment):
    """`wasi:cli/environment` of one component."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def get_initial_cwd(self, invocation: Invocation) -> str | None:
        return self.initial_cwd(invocation)


class Exit(cli.Exit):
    """`wasi:cli/exit`. Both functions end the request with `GuestExit`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS


class Stdin(Interface):
    """`wasi:cli/stdin`."""

    wit: ClassVar[str] = "wasi:cli/stdin"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def read_via_stream(self, invocation: Invocation) -> tuple[StreamReader, FutureReader[Ok | Err]]:
        command = invocation.command
        if command is None:
            return Pieces(), Ready(Ok())
        stream = _Input(command.stdin)
        return stream, stream.result


class Stdout(Interface):
    """`wasi:cli/stdout`."""

    wit: ClassVar[str] = "wasi:cli/stdout"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def write_via_stream(self, invocation: Invocation, data: StreamReader) -> FutureReader[Ok | Err]:
        command = invocation.command
        if command is None:
            return _start(invocation, _LogOutput(invocation.stdout), data)
        return _start(invocation, _ProgramOutput(command.stdout), data)


class Stderr(Interface):
    """`wasi:cli/stderr`."""

    wit: ClassVar[str] = "wasi:cli/stderr"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def write_via_stream(self, invocation: Invocation, data: StreamReader) -> FutureReader[Ok | Err]:
        return _start(invocation, _LogOutput(invocation.stderr), data)


class TerminalInput(cli.TerminalInput):
    """`wasi:cli/terminal-input`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS


class TerminalOutput(cli.TerminalOutput):
    """`wasi:cli/terminal-output`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS


class TerminalStdin(cli.TerminalStdin):
    """`wasi:cli/terminal-stdin`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS


class TerminalStdout(cli.TerminalStdout):
    """`wasi:cli/terminal-stdout`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS


class TerminalStderr(cli.TerminalStderr):
    """`wasi:cli/terminal-stderr`."""

    versions: ClassVar[tuple[str, ...]] = VERSIONS


class _Input:
    """A program's stdin as a stream; `result` is its future."""

    __slots__ = ("_source", "result")

    def __init__(self, source: Source) -> None:
        self._source = source
        self.result = Promise()

    @may_suspend
    def read(self, count_max: int) -> bytes | Coroutine[Any, Any, bytes]:
        if self.result.resolved:
            return b""
        data = self._take(count_max)
        return data if data or self.result.resolved else self._wait(count_max)

    def close(self) -> None:
        """The source is left to whoever runs the program: a guest may ask for stdin again."""
        self.result.resolve(Ok())

    async def _wait(self, count_max: int) -> bytes:
        data = b""
        while not (data or self.result.resolved):
            await self._source.wait()
            data = self._take(count_max)
        return data

    def _take(self, count_max: int) -> bytes:
        try:
            return self._source.read(min(count_max, READ_CHUNK_BYTES))
        except Err as err:
            self.result.resolve(Ok() if err.value == CLOSED else Err(IO))
            return b""


class _LogOutput:
    """To a log, which bounds itself and takes everything."""

    __slots__ = ("_output",)

    def __init__(self, output: OutputSink) -> None:
        self._output = output

    async def write(self, data: bytes) -> None:
        self._output.write(data)
        # A stream of the host's own, as a file's, has its next bytes at once: others' turn.
        await trio.lowlevel.checkpoint()


class _ProgramOutput:
    """To whoever runs the program, as fast as it takes it."""

    __slots__ = ("_sink",)

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def write(self, data: bytes) -> None:
        """Raises Err: nobody takes any more."""
        sink = self._sink
        while data:
            await sink.wait()
            permitted = sink.capacity()
            sink.write(data[:permitted])
            data = data[permitted:]


def _start(invocation: Invocation, output: _LogOutput | _ProgramOutput, data: StreamReader) -> Promise:
    assert invocation.nursery is not None, "the runtime gives each call one"
    result = Promise()
    invocation.nursery.start_soon(_copy, data, output, result)
    return result


async def _copy(data: StreamReader, output: _LogOutput | _ProgramOutput, result: Promise) -> None:
    """Empty a guest's stream until its end, or until the call's."""
    try:
        while piece := await _next(data):
            await output.write(piece)
        result.resolve(Ok())
    except Err:
        result.resolve(Err(PIPE))
    finally:
        data.close()
        result.resolve(Err(PIPE))  # cancelled, if nothing was said yet


async def _next(data: StreamReader) -> bytes:
    piece: Any = data.read(READ_CHUNK_BYTES)
    return piece if isinstance(piece, bytes) else await piece
