"""wasi:cli 0.3: environment, exit, and streams in and out."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestExit
from edged.host.budget import Budget
from edged.host.command import Command
from edged.host.interface import Err, Invocation, Ok
from edged.host.streams import CLOSED
from edged.host.wasi3.cli import (
    Environment,
    Exit,
    Stderr,
    Stdin,
    Stdout,
    TerminalStderr,
    TerminalStdin,
    TerminalStdout,
)
from edged.limits import READ_CHUNK_BYTES
from tests.host.fakes import Output, invocation, settled, suspends
from tests.host.wasi3.guest import GuestStream

wait = trio.testing.wait_all_tasks_blocked


class Sink:
    """The stdout of a program: takes three bytes at a time, when it is told to."""

    def __init__(self) -> None:
        self.data = b""
        self.room = trio.Event()
        self.gone = False

    def ready(self) -> bool:
        return self.room.is_set()

    async def wait(self) -> None:
        await self.room.wait()

    def capacity(self) -> int:
        if self.gone:
            raise Err(CLOSED)
        return 3

    def write(self, data: bytes) -> None:
        assert len(data) <= 3
        self.data += data

    def close(self) -> None:
        raise AssertionError("the program's, not the stream's")


class Source:
    """The stdin of a program."""

    def __init__(self, *answers: bytes | Err) -> None:
        self.answers = list(answers)
        self.news = trio.Event()

    def ready(self) -> bool:
        return bool(self.answers)

    async def wait(self) -> None:
        await self.news.wait()

    def read(self, bytes_max: int) -> bytes:
        if not self.answers:
            return b""
        answer = self.answers.pop(0)
        if isinstance(answer, Err):
            raise answer
        assert len(answer) <= bytes_max <= READ_CHUNK_BYTES
        return answer

    def close(self) -> None:
        raise AssertionError("the program's, not the stream's")


def running(nursery, command: Command | None = None) -> Invocation:
    call = Invocation("request-1", Output(), Output(), Budget(), command=command)
    call.nursery = nursery
    return call


def test_the_environment_is_the_components() -> None:
    environment = Environment({"A": "1"}, ("app", "-v"), "/x")
    assert list(environment.get_environment(invocation())) == [("A", "1")]
    assert list(environment.get_arguments(invocation())) == ["app", "-v"]
    assert environment.get_initial_cwd(invocation()) == "/x"
    command = Command(["other"], {"B": "2"}, Source(), Sink())
    assert list(environment.get_environment(running(None, command))) == [("B", "2")]
    assert list(environment.get_arguments(running(None, command))) == ["other"]


@pytest.mark.parametrize(("status", "code"), [(Ok(), 0), (Err(), 1)], ids=["ok", "err"])
def test_exit_ends_the_request(status, code) -> None:
    with pytest.raises(GuestExit) as raised:
        Exit().exit(invocation(), status)
    assert raised.value.status == code
    with pytest.raises(GuestExit) as raised:
        Exit().exit_with_code(invocation(), 7)
    assert raised.value.status == 7


def test_there_are_no_terminals() -> None:
    assert TerminalStdin().get_terminal_stdin(invocation()) is None
    assert TerminalStdout().get_terminal_stdout(invocation()) is None
    assert TerminalStderr().get_terminal_stderr(invocation()) is None


@pytest.mark.parametrize("name", ["stdout", "stderr"])
async def test_output_reaches_the_log_as_it_comes(name) -> None:
    async with trio.open_nursery() as nursery:
        call = running(nursery)
        data = GuestStream(b"hello ")
        result = {"stdout": Stdout(), "stderr": Stderr()}[name].write_via_stream(call, data)
        assert suspends(result.read())
        await wait()
        output = getattr(call, name)
        assert output.data == b"hello "
        data.write(b"world")
        await wait()
        assert output.data == b"hello world"
        data.end()
        assert await settled(result.read()) == Ok()
    assert data.closed == 1
    assert {call.stdout.data, call.stderr.data} == {b"", b"hello world"}


async def test_output_ends_with_its_call() -> None:
    data = GuestStream(b"hello")
    async with trio.open_nursery() as nursery:
        result = Stdout().write_via_stream(call := running(nursery), data)
        await wait()
        nursery.cancel_scope.cancel()
    assert call.stdout.data == b"hello"
    assert data.closed == 1
    assert await settled(result.read()) == Err("pipe")


async def test_a_stream_that_always_has_more_lets_others_run() -> None:
    class Endless(GuestStream):
        def read(self, count_max: int) -> bytes:
            return b"x"

    async with trio.open_nursery() as nursery:
        Stdout().write_via_stream(running(nursery), Endless())
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_a_programs_output_goes_as_fast_as_it_is_taken() -> None:
    sink = Sink()
    async with trio.open_nursery() as nursery:
        data = GuestStream(b"hello", b"world", ended=True)
        result = Stdout().write_via_stream(running(nursery, Command([], {}, Source(), sink)), data)
        await wait()
        assert sink.data == b""
        assert not data.empty
        sink.room.set()
        assert await settled(result.read()) == Ok()
    assert sink.data == b"helloworld"


async def test_a_programs_output_that_nobody_takes_is_a_broken_pipe() -> None:
    sink = Sink()
    sink.gone = True
    sink.room.set()
    async with trio.open_nursery() as nursery:
        data = GuestStream(b"hello")
        result = Stdout().write_via_stream(running(nursery, Command([], {}, Source(), sink)), data)
        assert await settled(result.read()) == Err("pipe")
    assert data.closed == 1


async def test_stdin_is_at_its_end() -> None:
    stream, result = Stdin().read_via_stream(invocation())
    assert await settled(stream.read(10)) == b""
    assert await settled(result.read()) == Ok()


async def test_a_programs_input_is_read_to_its_end() -> None:
    source = Source(b"hello")
    stream, result = Stdin().read_via_stream(running(None, Command([], {}, source, Sink())))
    assert stream.read(1 << 40) == b"hello"
    assert suspends(stream.read(10))
    pieces = []

    async def read() -> None:
        pieces.append(await settled(stream.read(10)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait()
        source.answers.append(b"world")
        source.news.set()
    assert pieces == [b"world"]
    assert suspends(result.read())
    source.answers.append(Err(CLOSED))
    assert await settled(stream.read(10)) == b""
    assert await settled(stream.read(10)) == b""
    assert await settled(result.read()) == Ok()


async def test_a_programs_input_that_breaks_off_or_is_given_up() -> None:
    stream, result = Stdin().read_via_stream(running(None, Command([], {}, Source(Err("broken")), Sink())))
    assert await settled(stream.read(10)) == b""
    assert await settled(result.read()) == Err("io")
    stream, result = Stdin().read_via_stream(running(None, Command([], {}, Source(b"hello"), Sink())))
    stream.close()
    assert await settled(stream.read(10)) == b""
    assert await settled(result.read()) == Ok()
