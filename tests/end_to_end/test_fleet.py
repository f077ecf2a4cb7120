"""A fleet of three regions, as its users see it: the real commands, real nodes, real sockets."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from edged.limits import KiB, MiB
from tests.fleets import Event, Fleet, app_folder, saying
from tests.guests import wat

HELLO = "hello.edged.localhost"


def answers(fleet: Fleet, host: str) -> dict[str, tuple[int, bytes]]:
    return {name: node.get(host=host) for name, node in fleet.nodes.items()}


def everywhere(fleet: Fleet, body: bytes) -> dict[str, tuple[int, bytes]]:
    return dict.fromkeys(fleet.nodes, (200, body))


def stages(status: Event, app: str) -> dict[str, tuple[str, int]]:
    """What each node says of an app: stage and running sequence."""
    (found,) = [each for each in status["apps"] if each["name"] == app]
    return {each["node"]: (each["stage"], each["running"]) for each in found["nodes"]}


def test_push_change_roll_back(fleet: Fleet, tmp_path: Path) -> None:
    """When a command ends, what it was told to do is done everywhere; a change moves little, no change nothing."""
    app = app_folder(tmp_path / "app", "hello", saying("one"), files='["noise"]')
    (app / "noise").write_bytes(random.Random(1).randbytes(2 * MiB))
    first = fleet.push(app).last
    assert first["event"] == "finished"
    assert first["regions"] == {"eu": "live", "us": "live", "ap": "live"}
    assert answers(fleet, HELLO) == everywhere(fleet, b"one")

    app_folder(app, "hello", saying("two"), files='["noise"]')
    second = fleet.push(app, "-m", "more of it").last
    assert answers(fleet, HELLO) == everywhere(fleet, b"two")
    assert 0 < second["bytes_sent"] < 64 * KiB
    assert second["bytes_saved"] >= 2 * MiB
    again = fleet.push(app).last
    assert (again["bytes_sent"], again["sequence"]) == (0, 3)

    fleet.run("rollback", "hello", "1", "--yes", "--json")
    assert answers(fleet, HELLO) == everywhere(fleet, b"one")
    assert stages(fleet.status(), "hello") == dict.fromkeys(fleet.nodes, ("live", 4))
    releases = fleet.run("releases", "hello", "--json").events
    assert [(each["sequence"], each["message"]) for each in releases][2] == (2, "more of it")


def test_an_app_is_where_it_was_placed(fleet: Fleet, tmp_path: Path) -> None:
    app = app_folder(tmp_path, "placed", saying("here"), edged_table='regions = ["us"]\nhosts = ["shop.test"]')
    assert fleet.push(app).last["regions"] == {"us": "live"}
    found = answers(fleet, "shop.test")
    assert found.pop("us-1") == (200, b"here")
    assert {status for status, _ in found.values()} == {421}


def test_a_probe_that_fails_changes_nothing(fleet: Fleet, tmp_path: Path) -> None:
    app = app_folder(tmp_path, "probed", saying("good"), edged_table='probe = "/"')
    fleet.push(app)
    app_folder(tmp_path, "probed", wat.text("trap"), edged_table='probe = "/"')
    failed = fleet.push(app, check=False)
    assert failed.last["code"] == "push.failed"
    assert answers(fleet, "probed.edged.localhost") == everywhere(fleet, b"good")
    found = {stage for stage, _ in stages(fleet.status(), "probed").values()}
    assert found == {"failed"}


@pytest.mark.parametrize(
    ("number", "moments"),
    [(signal.SIGINT, ("packing", "connected", "uploading")), (signal.SIGKILL, ("connected", "uploading"))],
)
def test_a_push_that_is_stopped(fleet: Fleet, tmp_path: Path, number: signal.Signals, moments: tuple[str, ...]) -> None:
    """Stopped before it is published, it has changed nothing; after that, Ctrl-C puts back what was there."""
    name = f"stopped-{int(number)}"
    host = f"{name}.edged.localhost"
    app = app_folder(tmp_path, name, saying("before"), files='["noise"]')
    (app / "noise").touch()
    fleet.push(app)
    app_folder(tmp_path, name, saying("after"), files='["noise"]')
    for moment in moments:
        (app / "noise").write_bytes(os.urandom(8 * MiB))  # the upload takes a while
        events = stopped(fleet, app, moment, number)
        assert "published" not in [each["event"] for each in events]
        if number == signal.SIGINT:
            assert events[-1]["code"] == "push.interrupted"
        assert answers(fleet, host) == everywhere(fleet, b"before")
    events = stopped(fleet, app, "published", number)
    if number == signal.SIGINT:
        assert "putting-back" in [each["event"] for each in events]
        assert answers(fleet, host) == everywhere(fleet, b"before")
    fleet.push(app)
    assert answers(fleet, host) == everywhere(fleet, b"after")


def stopped(fleet: Fleet, app: Path, moment: str, number: signal.Signals) -> list[Event]:
    """Push, send a signal at an event, and what was shown until it ended."""
    process = fleet.popen("push", app, "--json")
    assert process.stdout is not None
    events = []
    with process.stdout:
        for line in process.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == moment:
                process.send_signal(number)
                break
        events += map(json.loads, process.stdout)
    process.communicate()
    assert process.returncode
    return events


def test_the_node_that_takes_the_upload_is_killed(fleet: Fleet, tmp_path: Path) -> None:
    """Another one takes the rest; the one that is back follows."""
    app = app_folder(tmp_path, "moved-on", saying("here"), files='["noise"]')
    (app / "noise").write_bytes(os.urandom(16 * MiB))
    process = fleet.popen("push", app, "--json", "--timeout", "20")
    assert process.stdout is not None
    connected: list[str] = []
    with process.stdout:
        for event in map(json.loads, process.stdout):
            if event["event"] == "connected":
                connected.append(event["node"])
            elif event["event"] == "uploading" and len(connected) == 1 and event["bytes_done"]:
                fleet[connected[0]].kill()
                connected.append("")  # killed once
    process.communicate()
    killed, _, successor = connected
    assert killed != successor
    fleet[killed].start()
    fleet.wait_status(lambda status: stages(status, "moved-on") == dict.fromkeys(fleet.nodes, ("live", 1)))
    assert answers(fleet, "moved-on.edged.localhost") == everywhere(fleet, b"here")


def test_what_was_there_is_served_before_any_peer_is_heard(fleet: Fleet, tmp_path: Path) -> None:
    """`kill -9` of all nodes; one that starts alone serves at once, takes a push for itself, and the others follow."""
    app = app_folder(tmp_path, "alone", saying("one"))
    fleet.push(app)
    host = "alone.edged.localhost"
    for node in fleet.nodes.values():
        node.kill()
    alone = fleet["us-1"]
    alone.start()
    assert alone.get(host=host) == (200, b"one")
    app_folder(app, "alone", saying("two"))
    pushed = fleet.push(app, "--timeout", "1", check=False)
    assert pushed.last["code"] == "push.unfinished"
    fleet.wait_status(lambda status: stages(status, "alone")["us-1"] == ("live", 2))
    assert alone.get(host=host) == (200, b"two")
    for node in (fleet["eu-1"], fleet["ap-1"]):
        node.start(wait=False)
    fleet.wait_status(lambda status: stages(status, "alone") == dict.fromkeys(fleet.nodes, ("live", 2)))
    assert answers(fleet, host) == everywhere(fleet, b"two")


def test_chunks_damaged_at_rest(fleet: Fleet, tmp_path: Path) -> None:
    """A node whose stored chunks rot, and that has no copy: nothing bad runs, and the others give it what it lacks."""
    fleet.push(app_folder(tmp_path, "rotten", saying("whole")))
    node = fleet["eu-1"]
    node.stop()
    for file in (node.state / "registry" / "chunks").rglob("*"):
        if file.is_file():
            rotten = bytearray(file.read_bytes())
            rotten[len(rotten) // 2] ^= 1
            file.chmod(0o644)
            file.write_bytes(rotten)
    shutil.rmtree(node.state / "checkouts")
    node.start()
    fleet.wait_status(lambda status: stages(status, "rotten")["eu-1"] == ("live", 1))
    assert node.get(host="rotten.edged.localhost") == (200, b"whole")
    assert any((node.state / "registry" / "quarantine").iterdir())
