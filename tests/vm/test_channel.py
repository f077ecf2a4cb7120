"""Against sockets that say what qemu says."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path

import pytest

from tests.vm.channel import Agent, Monitor

Peer = Callable[[RawIOBase], None]


@contextmanager
def _peer(path: Path, *peers: Peer) -> Iterator[None]:
    """A listener; each connection is for one of the peers, in order."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            for peer in peers:
                connection, _ = listener.accept()
                with connection, connection.makefile("rwb", buffering=0) as lines:
                    peer(lines)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def _say(lines: RawIOBase, *messages: object) -> None:
    for message in messages:
        lines.write(json.dumps(message).encode() + b"\n")


def _hear(lines: RawIOBase) -> dict[str, object]:
    heard: dict[str, object] = json.loads(lines.readline())
    return heard


def _event(name: str, seconds: int) -> dict[str, object]:
    return {"event": name, "timestamp": {"seconds": seconds, "microseconds": 500_000}}


def test_events_come_between_answers_and_are_kept(tmp_path: Path) -> None:
    def qemu(lines: RawIOBase) -> None:
        _say(lines, {"QMP": {}})
        assert _hear(lines)["execute"] == "qmp_capabilities"
        _say(lines, {"return": {}})
        assert _hear(lines) == {"execute": "set_link", "arguments": {"name": "nic", "up": False}}
        _say(lines, _event("RESET", 7), {"return": {}})
        assert _hear(lines)["execute"] == "what"
        _say(lines, {"error": {"class": "CommandNotFound", "desc": "there is no such thing"}})
        _say(lines, _event("STOP", 8), _event("RESET", 9))
        lines.readline()

    with _peer(tmp_path / "monitor", qemu):
        monitor = Monitor(tmp_path / "monitor")
        monitor.command("set_link", name="nic", up=False)
        with pytest.raises(RuntimeError, match="there is no such thing"):
            monitor.command("what")
        assert monitor.wait_event("RESET", 5) == 7.5
        assert monitor.wait_event("RESET", 5) == 9.5
        monitor.close()


def test_qemu_that_is_gone_is_said_so(tmp_path: Path) -> None:
    with _peer(tmp_path / "monitor", lambda lines: _say(lines, {"QMP": {}})), pytest.raises(OSError, match=r"."):
        Monitor(tmp_path / "monitor")


def _synced(lines: RawIOBase) -> None:
    heard = _hear(lines)
    assert heard["execute"] == "guest-sync"
    # What it said to somebody before comes first, and the byte by which it tells that it begins anew.
    lines.write(b'\xff{"return": 5}\n' + json.dumps({"return": heard["arguments"]["id"]}).encode() + b"\n")  # type: ignore[index]


def _running(status: int) -> Peer:
    def agent(lines: RawIOBase) -> None:
        _synced(lines)
        heard = _hear(lines)
        assert heard["execute"] == "guest-exec"
        arguments = heard["arguments"]
        assert isinstance(arguments, dict)
        assert (arguments["path"], arguments["arg"]) == ("cat", ["-n"])
        assert base64.b64decode(arguments["input-data"]) == b"in"
        _say(lines, {"return": {"pid": 7}})
        for state in (
            {"exited": False},
            {"exited": True, "exitcode": status, "out-data": base64.b64encode(b"out").decode()},
        ):
            _synced(lines)
            assert _hear(lines)["execute"] == "guest-exec-status"
            _say(lines, {"return": state})
        lines.readline()

    return agent


def test_a_command_that_succeeds(tmp_path: Path) -> None:
    with _peer(tmp_path / "agent", _running(0)):
        agent = Agent(tmp_path / "agent")
        done = agent.run("cat", "-n", stdin="in")
        agent.close()
    assert (done.status, done.stdout, done.stderr) == (0, "out", "")


def test_a_command_that_fails(tmp_path: Path) -> None:
    with _peer(tmp_path / "agent", _running(3)):
        agent = Agent(tmp_path / "agent")
        with pytest.raises(RuntimeError, match="cat -n ended with 3: out"):
            agent.run("cat", "-n", stdin="in")
        agent.close()


def test_an_agent_that_goes_in_the_middle_is_asked_anew(tmp_path: Path) -> None:
    def alive(lines: RawIOBase) -> None:
        _synced(lines)
        lines.readline()

    with _peer(tmp_path / "agent", lambda lines: None, alive):
        agent = Agent(tmp_path / "agent")
        agent.wait(5)
        agent.close()
