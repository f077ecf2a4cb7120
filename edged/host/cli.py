"""`wasi:cli`: environment, exit, stdio, and terminals that are not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import ClassVar, NoReturn

import trio

from edged.errors import GuestExit
from edged.host.interface import RUNNING, Err, Interface, Invocation, Ok, Resource
from edged.host.output import OutputSink
from edged.host.streams import CLOSED, InputStream, OutputStream
from edged.limits import WRITE_BUFFER_BYTES


class Environment(Interface):
    """`wasi:cli/environment` of one component. What an invocation's `command` has takes the place of these.

    Args:
        environment: names and values, from the component's manifest only: nothing of the node's own environment.
        arguments: argv; empty for a component that is not a command.
        initial_cwd: a guest path, or None.
    """

    wit: ClassVar[str] = "wasi:cli/environment"

    def __init__(self, environment: Mapping[str, str], arguments: Sequence[str] = (), initial_cwd: str | None = None):
        self._environment = tuple(environment.items())
        self._arguments = tuple(arguments)
        self._initial_cwd = initial_cwd

    def get_environment(self, invocation: Invocation) -> Sequence[tuple[str, str]]:
        command = invocation.command
        return self._environment if command is None else tuple(command.environment.items())

    def get_arguments(self, invocation: Invocation) -> Sequence[str]:
        command = invocation.command
        return self._arguments if command is None else command.arguments

    def initial_cwd(self, _invocation: Invocation) -> str | None:
        return self._initial_cwd


class Exit(Interface):
    """`wasi:cli/exit`. Both functions end the request with `GuestExit`."""

    wit: ClassVar[str] = "wasi:cli/exit"

    def exit(self, invocation: Invocation, status: Ok | Err) -> NoReturn:
        self.exit_with_code(invocation, 0 if isinstance(status, Ok) else 1)

    def exit_with_code(self, _invocation: Invocation, status_code: int) -> NoReturn:
        raise GuestExit(f"the guest exited with status {status_code}", status=status_code)


_OutputOf = Callable[[Invocation], OutputSink]

_STDOUT: _OutputOf = attrgetter("stdout")
_STDERR: _OutputOf = attrgetter("stderr")


class AtEnd:
    """The source of stdin: nothing ever comes."""

    __slots__ = ()

    def ready(self) -> bool:
        return True

    async def wait(self) -> None:
        await trio.lowlevel.checkpoint()

    def read(self, bytes_max: int) -> bytes:  # noqa: ARG002 - the Source protocol
        raise Err(CLOSED)

    def close(self) -> None:
        pass


class _ToOutput:
    """The sink of stdout and stderr. An `OutputSink` bounds itself, so the guest never waits for it.

    Args:
        invocation: that asked for it. A guest may keep the stream for later ones, whose output then is meant.
    """

    __slots__ = ("_invocation", "_output_of")

    def __init__(self, output_of: _OutputOf, invocation: Invocation) -> None:
        self._output_of = output_of
        self._invocation = invocation

    def ready(self) -> bool:
        return True

    async def wait(self) -> None:
        await trio.lowlevel.checkpoint()

    def capacity(self) -> int:
        return WRITE_BUFFER_BYTES

    def write(self, data: bytes) -> None:
        self._output_of(RUNNING.get(self._invocation)).write(data)

    def close(self) -> None:
        """The output outlives the stream: a guest may ask for stdout again."""


class Stdin(Interface):
    """`wasi:cli/stdin`."""

    wit: ClassVar[str] = "wasi:cli/stdin"

    def get_stdin(self, invocation: Invocation) -> InputStream:
        command = invocation.command
        return InputStream(AtEnd() if command is None else command.stdin)


class Stdout(Interface):
    """`wasi:cli/stdout`."""

    wit: ClassVar[str] = "wasi:cli/stdout"

    def get_stdout(self, invocation: Invocation) -> OutputStream:
        command = invocation.command
        return OutputStream(_ToOutput(_STDOUT, invocation) if command is None else command.stdout)


class Stderr(Interface):
    """`wasi:cli/stderr`."""

    wit: ClassVar[str] = "wasi:cli/stderr"

    def get_stderr(self, invocation: Invocation) -> OutputStream:
        return OutputStream(_ToOutput(_STDERR, invocation))


class TerminalInputHandle(Resource):
    """`resource terminal-input`. There is never one."""


class TerminalOutputHandle(Resource):
    """`resource terminal-output`. There is never one."""


class TerminalInput(Interface):
    """`wasi:cli/terminal-input`."""

    wit: ClassVar[str] = "wasi:cli/terminal-input"
    resources: ClassVar[Mapping[str, type[Resource]]] = {"terminal-input": TerminalInputHandle}


class TerminalOutput(Interface):
    """`wasi:cli/terminal-output`."""

    wit: ClassVar[str] = "wasi:cli/terminal-output"
    resources: ClassVar[Mapping[str, type[Resource]]] = {"terminal-output": TerminalOutputHandle}


class TerminalStdin(Interface):
    """`wasi:cli/terminal-stdin`."""

    wit: ClassVar[str] = "wasi:cli/terminal-stdin"

    def get_terminal_stdin(self, _invocation: Invocation) -> TerminalInputHandle | None:
        return None


class TerminalStdout(Interface):
    """`wasi:cli/terminal-stdout`."""

    wit: ClassVar[str] = "wasi:cli/terminal-stdout"

    def get_terminal_stdout(self, _invocation: Invocation) -> TerminalOutputHandle | None:
        return None


class TerminalStderr(Interface):
    """`wasi:cli/terminal-stderr`."""

    wit: ClassVar[str] = "wasi:cli/terminal-stderr"

    def get_terminal_stderr(self, _invocation: Invocation) -> TerminalOutputHandle | None:
        return None
