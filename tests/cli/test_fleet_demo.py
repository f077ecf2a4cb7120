"""`edged fleet demo` as a newcomer starts it: three real nodes, stopped by Ctrl-C, started again with what they had."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from edged import cli
from edged.errors import DemoFailed, UsageError
from tests.edged_command import edged_command
from tests.fleets import Event, app_folder, parsed, saying


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody has."""
    for first in range(20_000 + os.getpid() % 10_000, 60_000, count):
        try:
            sockets = [socket.create_server(("127.0.0.1", first + number)) for number in range(count)]
        except OSError:
            continue
        for each in sockets:
            each.close()
        return first
    raise AssertionError("no port is free")


class Demo:
    """A user's machine, with a demo fleet in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        first = free_ports(6)
        self.port = first
        self.options = ["--port", str(first), "--fleet-port", str(first + 3)]
        config, cache = folder / "config", folder / "cache"
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(config), "XDG_CACHE_HOME": str(cache)}

    @contextmanager
    def running(self) -> Iterator[list[Event]]:
        """The demo until the block ends, by Ctrl-C; its events until it was ready."""
        process = subprocess.Popen(
            edged_command("fleet", "demo", str(self.folder / "fleet"), "--json", *self.options),
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        with process, process.stdout:
            events = []
            for line in process.stdout:
                events.append(parsed(line))
                if events[-1]["event"] == "ready":
                    break
            yield events
            process.send_signal(signal.SIGINT)
            assert [parsed(line)["event"] for line in process.stdout] == ["stopping"]
        assert process.returncode == 0

    def run(self, *arguments: str) -> list[Event]:
        command = edged_command(*arguments)
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=self.environment)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def get(self, number: int) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port + number)
        connection.request("GET", "/", headers={"host": "hello.edged.localhost"})
        with connection.getresponse() as answer:
            body = answer.read()
        connection.close()
        return body


def test_a_newcomer(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    with demo.running() as events:
        assert [event["event"] for event in events] == ["node"] * 3 + ["ready"]
        assert events[-1]["current"] is True
        pushed = demo.run("push", str(app_folder(tmp_path / "app", "hello", saying("hi"))), "--json")[-1]
        assert pushed["regions"] == {"eu": "live", "us": "live", "ap": "live"}
        assert [demo.get(number) for number in range(3)] == [b"hi"] * 3
    with demo.running():
        assert demo.get(1) == b"hi"


def test_a_port_is_taken(tmp_path: Path) -> None:
    """One node cannot start: the others are stopped, and its reason is told."""
    demo = Demo(tmp_path)
    with socket.create_server(("127.0.0.1", demo.port + 1)):
        done = subprocess.run(
            edged_command("fleet", "demo", str(tmp_path / "fleet"), "--json", *demo.options),
            capture_output=True,
            text=True,
            env=demo.environment,
            check=False,
        )
    last = parsed(done.stdout.splitlines()[-1])
    assert (last["code"], done.returncode) == (DemoFailed.code, DemoFailed.exit_status)
    assert str(demo.port + 1) in last["message"]


def test_ports_that_overlap(tmp_path: Path) -> None:
    arguments = ["fleet", "demo", str(tmp_path / "fleet"), "--port", "7400", "--fleet-port", "7402"]
    with pytest.raises(UsageError):
        CliRunner().invoke(cli._edged, arguments, catch_exceptions=False, standalone_mode=False)
    assert not (tmp_path / "fleet").exists()
