"""What systemd is told, on a datagram socket as systemd has one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import trio
import trio.testing

from edged.node.sd_notify import Notifier


class Manager:
    """The service manager's socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def told(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@edged-test-{os.getpid()}"
    found = Manager(name)
    yield found
    found.socket.close()


def test_a_service_that_starts_and_stops(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name})
    notifier.status("fetching")
    notifier.ready("3 apps,\n2 workers")
    notifier.stopping()
    assert manager.told() == ["STATUS=fetching", "READY=1\nSTATUS=3 apps, 2 workers", "STOPPING=1"]


def test_a_service_that_reloads(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name})
    notifier.reloading()
    notifier.ready()
    first, second = manager.told()
    flag, clock = first.split("\n")
    assert (flag, second) == ("RELOADING=1", "READY=1")
    assert clock.removeprefix("MONOTONIC_USEC=").isdigit()


async def test_the_watchdog_hears_of_us_twice_in_its_time(
    manager: Manager, autojump_clock: trio.testing.MockClock
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())})
    assert notifier.watchdog_interval_s == 10.0
    healthy = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifier.watch, lambda: healthy)
        await trio.sleep(25.0)
        assert manager.told() == ["WATCHDOG=1"] * 3
        healthy = False
        await trio.sleep(60.0)
        assert manager.told() == []
        healthy = True
        await trio.sleep(10.0)
        assert manager.told() == ["WATCHDOG=1"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}],
    ids=["none", "zero", "no-number", "of-another"],
)
def test_no_watchdog(manager: Manager, environment: dict[str, str]) -> None:
    assert Notifier({"NOTIFY_SOCKET": manager.name, **environment}).watchdog_interval_s is None


async def test_without_systemd() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "20000000"})
    assert notifier.watchdog_interval_s is None
    for tell in (notifier.ready, notifier.stopping, notifier.reloading):
        tell()


def test_a_manager_that_is_gone_is_told_of_once(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with structlog.testing.capture_logs() as logs:
        notifier.ready()
        notifier.stopping()
    assert [(line["event"], line["log_level"]) for line in logs] == [("notify.failed", "warning")]


def test_more_time(manager: Manager) -> None:
    Notifier({"NOTIFY_SOCKET": manager.name}).extend(1.5)
    assert manager.told() == ["EXTEND_TIMEOUT_USEC=1500000"]
