"""JSON over a unix socket of qemu, a value a line: the monitor, and the agent in the machine."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_READ_BYTES = 64 * 1024
_MONITOR_TIMEOUT_S = 30.0
_SYNC_TIMEOUT_S = 5.0
_POLL_S = 0.1
RUN_TIMEOUT_S = 120.0
"""Of a command in the machine; one that is emulated is twenty times slower than this one."""

Message = dict[str, Any]


class Channel:
    """Lines to and from a socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except BaseException:
            self._socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, message: Message) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, timeout_s: float) -> Message:
        """Raises:
        TimeoutError
        ConnectionError: the other end is gone.
        """
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionError("qemu has closed the connection")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        # The agent sends a byte 0xff when it begins anew, which no JSON has.
        message: Message = json.loads(line.lstrip(b"\xff"))
        return message


class Monitor:
    """qemu itself: QMP."""

    def __init__(self, path: Path) -> None:
        self._channel = Channel(path)
        self._events: list[Message] = []
        try:
            self._channel.receive(_MONITOR_TIMEOUT_S)
            self.command("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._channel.close()

    def command(self, name: str, /, **arguments: object) -> Any:
        """Raises:
        RuntimeError: with what qemu says is wrong.
        """
        self._channel.send({"execute": name, "arguments": arguments})
        while True:
            message = self._channel.receive(_MONITOR_TIMEOUT_S)
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise RuntimeError(f"{name}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_event(self, name: str, timeout_s: float) -> float:
        """The next event of a name that nobody waited for yet: when it was, `time.time()`.

        Raises:
            TimeoutError
        """
        deadline = time.monotonic() + timeout_s
        while True:
            for number, message in enumerate(self._events):
                if message["event"] == name:
                    del self._events[: number + 1]
                    when = message["timestamp"]
                    return float(when["seconds"] + when["microseconds"] / 1e6)
            self._events.append(self._channel.receive(deadline - time.monotonic()))


@dataclass(frozen=True, slots=True)
class Output:
    """A command in the machine that has ended."""

    status: int
    stdout: str
    stderr: str


class Agent:
    """qemu's agent in the machine, which runs commands as root there, also without a network."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._channel: Channel | None = None

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def wait(self, timeout_s: float) -> None:
        """Until it answers: the machine has got as far as its services.

        Raises:
            TimeoutError
        """
        deadline = time.monotonic() + timeout_s
        while not self._sync():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the machine's agent did not answer in {timeout_s:.0f} s")
            threading.Event().wait(_POLL_S)

    def run(self, *command: str, stdin: str = "", check: bool = True, timeout_s: float = RUN_TIMEOUT_S) -> Output:
        """Run a command as root.

        Raises:
            RuntimeError: it failed, and `check`.
            TimeoutError: it did not end, or the machine does not answer.
        """
        path, *arguments = command
        pid = self._call(
            "guest-exec",
            {
                "path": path,
                "arg": arguments,
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
                "input-data": base64.b64encode(stdin.encode()).decode(),
                "capture-output": True,
            },
        )["pid"]
        deadline = time.monotonic() + timeout_s
        while not (state := self._call("guest-exec-status", {"pid": pid}))["exited"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{' '.join(command)} did not end in {timeout_s:.0f} s")
            threading.Event().wait(_POLL_S)
        stdout, stderr = (
            base64.b64decode(state.get(name, "")).decode(errors="replace") for name in ("out-data", "err-data")
        )
        status = state.get("exitcode", 128 + state.get("signal", 0))
        if check and status:
            raise RuntimeError(f"{' '.join(command)} ended with {status}: {(stdout + stderr).strip()[-2000:]}")
        return Output(status, stdout, stderr)

    def write(self, path: str, text: str) -> None:
        """Replace a file's content at once, with its owner and mode as they are."""
        script = 'new=$(mktemp "$1.XXXXXX") && cat >"$new" && chmod --reference="$1" "$new" && '
        self.run("sh", "-c", f'{script} chown --reference="$1" "$new" && mv "$new" "$1"', "sh", path, stdin=text)

    def shutdown(self, mode: str) -> None:
        """`reboot` or `powerdown`, in the machine's own order. Nothing is answered."""
        self._sync_or_fail()
        assert self._channel is not None
        self._channel.send({"execute": "guest-shutdown", "arguments": {"mode": mode}})

    def _call(self, name: str, arguments: Message) -> Any:
        self._sync_or_fail()
        assert self._channel is not None
        self._channel.send({"execute": name, "arguments": arguments})
        answer = self._channel.receive(_MONITOR_TIMEOUT_S)
        if "error" in answer:
            raise RuntimeError(f"{name}: {answer['error']['desc']}")
        return answer["return"]

    def _sync_or_fail(self) -> None:
        for _ in range(6):
            if self._sync():
                return
        raise TimeoutError("the machine's agent does not answer")

    def _sync(self) -> bool:
        """Whether it answers; what it said before to somebody else, or before a reboot, is gone then."""
        number = secrets.randbits(31)
        try:
            if self._channel is None:
                self._channel = Channel(self._path)
            self._channel.send({"execute": "guest-sync", "arguments": {"id": number}})
            while self._channel.receive(_SYNC_TIMEOUT_S).get("return") != number:
                pass
        except (OSError, ValueError):
            self.close()
            return False
        return True
