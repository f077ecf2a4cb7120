"""A fleet while requests come: releases, and processes that are killed. What is asserted is who is answered, and with
what; never how fast.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import GuestPath
from tests.fleets import HTTP_PORT, WAIT_S, Fleet, FleetNode, app_folder, descendants, saying
from tests.open_loop import OpenLoop

APP = "asked"
HOST = "asked.edged.localhost"
RELEASE_COUNT = 8
"""`python -m benchmarks.push releases` has fifty."""


@pytest.fixture(scope="module")
def app(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is asked for all the while."""
    app = app_folder(tmp_path_factory.mktemp("app"), "asked", saying("0000"))
    fleet.push(app)
    return app


def load_on(fleet: Fleet, rate: float = 100) -> OpenLoop:
    return OpenLoop([(node.host, HTTP_PORT) for node in fleet.nodes.values()], host=HOST, rate=rate)


def test_releases_under_load(fleet: Fleet, app: Path) -> None:
    """No request fails, and none that begins when a push has ended is answered by what was there before."""
    with load_on(fleet) as load:
        for number in range(1, RELEASE_COUNT + 1):
            fleet.push(app_folder(app, APP, saying(f"{number:04}")))
            pushed = time.monotonic()
            load.wait_answers(8)
            assert {request.body for request in load.done if request.begun > pushed} <= {b"%04d" % number}
    assert load.failures == []
    assert {request.kept for request in load.done} == {True, False}
    assert {int(request.body or b"-1") for request in load.done} == set(range(RELEASE_COUNT + 1))
    assert_nothing_mixed(fleet, RELEASE_COUNT)


def assert_nothing_mixed(fleet: Fleet, number: int) -> None:
    """Every node, every worker, has this release and no other, and says so."""
    for node in fleet.nodes.values():
        for _ in range(8):  # fresh connections, which the kernel gives to any worker
            assert node.get(host=HOST) == (200, b"%04d" % number)
    (found,) = [each for each in fleet.status()["apps"] if each["name"] == APP]
    assert found["state"] == "live"
    assert {(each["stage"], each["desired"] - each["running"]) for each in found["nodes"]} == {("live", 0)}
    assert {each["release"] for each in found["nodes"]} == set(found["regions"].values())
    assert len(set(found["regions"].values())) == 1


def test_a_worker_is_killed_under_load(fleet: Fleet, app: Path) -> None:
    """Only what was with that worker at that moment fails; who comes afterwards waits for its successor."""
    node = fleet["eu-1"]
    with load_on(fleet) as load:
        load.wait_answers(60)
        mark, killed = node.mark(), node.workers()[0]
        others = sockets_of(node.workers()[1])
        os.kill(killed, signal.SIGKILL)
        gone = time.monotonic()
        node.wait_for(lambda event: event.get("event") == "worker.listening" and event["worker"] == 0, since=mark)
        load.wait_answers(60)
    for request in load.failures:
        assert request.server == 0, "the other node had nothing to do with it"
        assert request.port not in others, "it was on a connection of the worker that lived"
        assert request.kept or request.begun <= gone, "it came when the worker was gone already"
    assert node.workers()[0] != killed
    assert node.get(host=HOST)[0] == 200


def sockets_of(pid: int) -> set[int]:
    """Ports of the other ends of a process's connections."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {int(row[2].split(":")[1], 16) for row in rows if row[9] in inodes}


def test_a_compiler_is_killed_under_load(fleet: Fleet, app: Path, guest_path: GuestPath, tmp_path: Path) -> None:
    """The app that was compiled does not come, or comes later; the others are served all the while."""
    shutil.copy(guest_path("hello-js"), tmp_path / "guest.wasm")
    (tmp_path / "spin.toml").write_text(
        'spin_manifest_version = 2\n[application]\nname = "compiled"\n[[trigger.http]]\nroute = "/..."\n'
        'component = "guest"\n[component.guest]\nsource = "guest.wasm"\n'
    )
    node = fleet["eu-1"]
    with load_on(fleet) as load:
        push = fleet.popen("push", tmp_path, "--json", "--region", "eu")
        pid = compiler_of(node)
        os.kill(pid, signal.SIGKILL)
        stdout, _ = push.communicate()
        load.wait_answers(20)
    assert load.failures == []
    assert push.returncode == 0 or '"push.failed"' in stdout
    fleet.push(tmp_path, "--region", "eu")
    assert node.get(host="compiled.edged.localhost")[0] == 200


def compiler_of(node: FleetNode) -> int:
    """The `edged compile` of a node, as soon as there is one."""
    assert node.process is not None
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for pid in descendants(node.process.pid):
            with contextlib.suppress(OSError):
                if b"\0compile\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
    raise AssertionError("nothing was compiled")


def test_a_node_is_killed_under_load(fleet: Fleet, app: Path) -> None:
    """The other goes on; the one that is started again serves what it had."""
    node, other = fleet["eu-1"], fleet["us-1"]
    body = node.get(host=HOST)[1]
    with OpenLoop([(other.host, HTTP_PORT)], host=HOST, rate=50) as load:
        load.wait_answers(10)
        node.kill()
        load.wait_answers(20)
        node.start()
        assert node.get(host=HOST) == (200, body)
        load.wait_answers(10)
    assert load.failures == []
    assert {request.body for request in load.done} == {body}
