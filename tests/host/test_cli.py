"""wasi:cli"""

from __future__ import annotations

import pytest

from edged.errors import GuestExit, GuestTrap
from edged.host.cli import (
    Environment,
    Exit,
    Stderr,
    Stdin,
    Stdout,
    TerminalStderr,
    TerminalStdin,
    TerminalStdout,
)
from edged.host.command import Command
from edged.host.interface import RUNNING, Err, Ok
from edged.host.streams import CLOSED
from edged.limits import WRITE_BUFFER_BYTES
from tests.host.fakes import err, invocation, settled
from tests.host.preview1.streams import FakeSink, FakeSource


def test_the_environment_is_what_the_manifest_says_and_nothing_else(monkeypatch) -> None:
    monkeypatch.setenv("OF_THE_NODE", "secret")
    environment = Environment({"A": "1", "B": "zwei"})
    assert list(environment.get_environment(invocation())) == [("A", "1"), ("B", "zwei")]
    assert list(environment.get_arguments(invocation())) == []
    assert environment.initial_cwd(invocation()) is None


def test_the_environment_does_not_change_with_its_mapping() -> None:
    variables = {"A": "1"}
    environment = Environment(variables)
    variables["A"] = "2"
    assert list(environment.get_environment(invocation())) == [("A", "1")]


@pytest.mark.parametrize(("status", "number"), [(Ok(), 0), (Err(), 1)])
def test_exit_ends_the_request(status, number) -> None:
    with pytest.raises(GuestExit) as raised:
        Exit().exit(invocation(), status)
    assert raised.value.status == number


@pytest.mark.parametrize("number", [0, 1, 255])
def test_exit_with_code_ends_the_request(number) -> None:
    with pytest.raises(GuestExit, match=str(number)) as raised:
        Exit().exit_with_code(invocation(), number)
    assert raised.value.status == number


async def test_stdin_is_at_its_end() -> None:
    stdin = Stdin().get_stdin(invocation())
    for method in (stdin.read, stdin.blocking_read, stdin.skip, stdin.blocking_skip):
        for length in (0, 1):
            with err(CLOSED):
                method(length)
    pollable = stdin.subscribe()
    assert pollable.ready()
    await pollable.waitable.wait()
    stdin.drop()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
async def test_output_goes_to_the_invocation(name) -> None:
    guest = invocation()
    get = {"stdout": Stdout().get_stdout, "stderr": Stderr().get_stderr}[name]
    stream = get(guest)
    await settled(stream.blocking_write_and_flush(b"one\n"))
    stream.drop()
    again = get(guest)
    again.write(b"two\n")
    output = {"stdout": guest.stdout, "stderr": guest.stderr}
    assert output.pop(name).data == b"one\ntwo\n"
    assert output.popitem()[1].data == b""
    assert again.subscribe().ready()
    await again.subscribe().waitable.wait()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_kept_is_the_running_calls(name) -> None:
    first, second = invocation(), invocation()
    stream = {"stdout": Stdout().get_stdout, "stderr": Stderr().get_stderr}[name](first)
    running = RUNNING.set(second)
    try:
        stream.write(b"two")
    finally:
        RUNNING.reset(running)
    stream.write(b"one")
    assert (getattr(first, name).data, getattr(second, name).data) == (b"one", b"two")


def test_output_takes_so_much_at_once_and_not_one_byte_more() -> None:
    stream = Stdout().get_stdout(invocation())
    assert stream.check_write() == WRITE_BUFFER_BYTES
    stream.write(b"x" * WRITE_BUFFER_BYTES)
    with pytest.raises(GuestTrap):
        stream.write(b"x" * (WRITE_BUFFER_BYTES + 1))


def test_there_are_no_terminals() -> None:
    assert TerminalStdin().get_terminal_stdin(invocation()) is None
    assert TerminalStdout().get_terminal_stdout(invocation()) is None
    assert TerminalStderr().get_terminal_stderr(invocation()) is None


async def test_a_command_brings_its_own() -> None:
    guest = invocation()
    stdin, stdout = FakeSource(), FakeSink()
    guest.command = Command(["program", "x"], {"A": "b"}, stdin, stdout)
    environment = Environment({"OWN": "c"}, ["own"])
    assert list(environment.get_environment(guest)) == [("A", "b")]
    assert list(environment.get_arguments(guest)) == ["program", "x"]
    stdin.feed(b"in")
    assert await settled(Stdin().get_stdin(guest).blocking_read(10)) == b"in"
    Stdout().get_stdout(guest).write(b"out")
    Stderr().get_stderr(guest).write(b"log")
    assert (stdout.data, guest.stdout.data, guest.stderr.data) == (b"out", b"", b"log")
