"""What `edged upgrade` asks of systemctl(1), for one unit and without systemd: it really starts and stops a process.

    FAKE_SYSTEMD=FOLDER systemctl show|restart|reset-failed [--property=...] -- UNIT

FOLDER has `unit.json`: {"name", "command", "program"}; what is remembered of the process stands beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

START_S = 90.0
STOP_S = 90.0


class Unit:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "state"
        self._said: dict[str, Any] = json.loads((folder / "unit.json").read_text())

    @property
    def name(self) -> str:
        return str(self._said["name"])

    @property
    def pid(self) -> int:
        """0 if it does not run."""
        try:
            pid = int((self._folder / "pid").read_text())
            os.close(os.pidfd_open(pid))
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return pid

    def show(self) -> None:
        state = self._state.read_text() if self._state.exists() else "active" if self.pid else "inactive"
        program = self._said["program"]
        say(
            "LoadState=loaded",
            f"ActiveState={state}",
            f"MainPID={self.pid}",
            "NRestarts=0",
            f"ExecStart={{ path={program} ; argv[]={program} node ; ignore_errors=no ; pid=0 }}",
        )

    def start(self) -> int:
        """Until it has said that it is ready: Type=notify."""
        path = self._folder / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, (self._folder / "log").open("ab") as log:
            notify.bind(str(path))
            notify.settimeout(0.2)
            process = subprocess.Popen(
                self._said["command"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(path)},
                start_new_session=True,
            )
            (self._folder / "pid").write_text(str(process.pid))
            for _ in range(int(START_S / 0.2)):
                if process.poll() is not None:
                    self._state.write_text("failed")
                    say(f"Job for {self.name} failed.")
                    return 1
                try:
                    if b"READY=1" in notify.recv(65536).split(b"\n"):
                        self.forget()
                        return 0
                except TimeoutError:
                    continue
        return 1

    def forget(self) -> None:
        """That it failed, or was not yet what it is now."""
        self._state.unlink(missing_ok=True)

    def reset_failed(self) -> None:
        if self._state.exists() and self._state.read_text() == "failed":
            self.forget()

    def stop(self) -> None:
        pid = self.pid
        if not pid:
            return
        ended = os.pidfd_open(pid)
        signal.pidfd_send_signal(ended, signal.SIGTERM)
        if not select.select([ended], [], [], STOP_S)[0]:
            signal.pidfd_send_signal(ended, signal.SIGKILL)
            select.select([ended], [], [])
        os.close(ended)

    def restart(self) -> int:
        """One after the other, as systemd has it with jobs of a unit."""
        with (self._folder / "jobs").open("w") as jobs:
            fcntl.flock(jobs, fcntl.LOCK_EX)
            self._state.write_text("deactivating")
            self.stop()
            self._state.write_text("activating")
            return self.start()


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def main() -> int:
    unit = Unit(Path(os.environ["FAKE_SYSTEMD"]))
    verb, name = sys.argv[1], sys.argv[-1]
    if name != unit.name:
        say("LoadState=not-found", "ActiveState=inactive", "MainPID=0")
        return 0 if verb == "show" else 5
    match verb:
        case "show":
            unit.show()
        case "reset-failed":
            unit.reset_failed()
        case "restart":
            return unit.restart()
        case _:
            say(f"nobody asks for {verb}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
