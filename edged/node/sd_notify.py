"""What a service tells systemd: sd_notify(3), and the watchdog of sd_watchdog_enabled(3).

Without systemd (no `NOTIFY_SOCKET`) all of it does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

import structlog
import trio

log = structlog.get_logger()


class Notifier:
    """Datagrams to the service manager.

    Args:
        environment: of this process: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # A name that starts with @ is in Linux's abstract namespace.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._watchdog_s = _watchdog_s(environment) if path else None
        self._failed = False

    @property
    def watchdog_interval_s(self) -> float | None:
        """How often systemd wants to hear of us: half of the time after which it gives us up. None: it does not."""
        return None if self._watchdog_s is None else self._watchdog_s / 2

    def ready(self, status: str = "") -> None:
        """Started, or reloaded."""
        self._send("READY=1", *_status(status))

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(*_status(text))

    def reloading(self) -> None:
        """The configuration is read again; `ready` says when that is over."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> None:
        self._send("STOPPING=1", *_status(status))

    def extend(self, seconds: float) -> None:
        """What is under way, a start or a stop, takes so long from now on and is not to be given up."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    async def watch(self, healthy: Callable[[], bool]) -> None:
        """Tell systemd's watchdog that we live, as long as `healthy` says so, until cancelled.

        It runs on the loop, so a loop that hangs is silent, and systemd starts the service again.
        """
        interval_s = self.watchdog_interval_s
        if interval_s is None:
            await trio.sleep_forever()
        while True:
            if healthy():
                self._send("WATCHDOG=1")
            await trio.sleep(interval_s)

    def _send(self, *lines: str) -> None:
        if not self._address or not lines:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:  # what is served does not depend on whether somebody listens
            if not self._failed:
                log.warning("notify.failed", reason=os.strerror(error.errno or 0))
            self._failed = True
        else:
            self._failed = False


def _status(text: str) -> list[str]:
    return [f"STATUS={' '.join(text.split())}"] if text else []


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """None also where it is meant for another process, whose environment we have inherited."""
    pid, microseconds = environment.get("WATCHDOG_PID"), environment.get("WATCHDOG_USEC", "")
    if pid is not None and pid != str(os.getpid()):
        return None
    if not microseconds.isascii() or not microseconds.isdigit() or not int(microseconds):
        return None
    return int(microseconds) / 1e6
