"""`edged node` as a process: what an operator does to it, and how it comes into a fleet."""

from __future__ import annotations

import os
import select
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edged.fleet.certificate import load_identity
from edged.fleet.folder import FleetFolder
from edged.fleet.voucher import token_of
from tests.docs.tables import names, rows
from tests.fleets import HTTP_PORT, WAIT_S, Fleet, FleetNode, app_folder, fleet_on_loopback, saying

HOST = "shop.edged.localhost"


@dataclass
class Scene:
    fleet: Fleet
    node: FleetNode


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One node with an app."""
    folder = tmp_path_factory.mktemp("node")
    with fleet_on_loopback(folder, {"eu-1": "eu"}, workers=2) as fleet:
        app = app_folder(folder / "app", "shop", saying("here"))
        with (app / "spin.toml").open("a") as manifest:
            manifest.write('[variables]\ntoken = { default = "none" }\n')
        fleet.push(app)
        fleet.run("variables", "set", "shop", "token=a-secret-value", "--json")
        yield Scene(fleet, fleet["eu-1"])


def serves(node: FleetNode) -> bool:
    return node.get(host=HOST) == (200, b"here")


def test_nothing_that_it_keeps_is_for_others(scene: Scene) -> None:
    """What others may read is in a folder that they may not enter."""

    def look(path: Path) -> Iterator[Path]:
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            if mode & 0o007 and path != scene.node.state:
                yield path
            if mode & 0o001 or path == scene.node.state:
                for child in path.iterdir():
                    yield from look(child)
        elif mode & 0o007 and not stat.S_ISLNK(mode):
            yield path

    assert list(look(scene.node.state)) == []


def test_how_full_its_queues_are_is_to_be_had(scene: Scene) -> None:
    """All those to which the docs give a name."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(scene.node.state / "admin.sock"))) as client:
        families = list(text_string_to_metric_families(client.get("http://node/metrics").text))
    found: dict[str, dict[str, float]] = {}
    for sample in (sample for family in families for sample in family.samples):
        if "queue" in sample.labels:
            found.setdefault(sample.name, {})[sample.labels["queue"]] = sample.value
    named = {name for row in rows("metrics.md", "queue") for name in names(row[0])}
    assert {name: depths.keys() for name, depths in found.items()} == dict.fromkeys(
        ("edged_queue_depth", "edged_queue_depth_highest", "edged_queue_depth_limit"), named
    )
    for queue in named:
        depth, highest, limit = (depths[queue] for depths in found.values())
        assert 0 <= depth <= highest <= limit
    assert found["edged_queue_depth_highest"]["links"] > 0  # who pushed


def test_a_reload_that_is_wrong_changes_nothing(scene: Scene) -> None:
    node = scene.node
    assert node.process is not None
    before = node.config.read_text()
    for text in ("[node", before.replace("workers = 2", "workers = 3"), before.replace('"eu"', '"mars"')):
        mark = node.mark()
        node.config.write_text(text)
        node.process.send_signal(signal.SIGHUP)
        node.wait_for(lambda event: event.get("event") == "node.reload-refused", since=mark)
        assert serves(node)
    mark, workers = node.mark(), node.workers()
    node.config.write_text(before)
    node.process.send_signal(signal.SIGHUP)
    node.wait_for(lambda event: event.get("event") == "node.reloaded", since=mark)
    assert serves(node)
    assert node.workers() == workers


def test_workers_do_not_outlive_a_supervisor_that_is_killed(scene: Scene) -> None:
    """They have its sockets; the next one binds them, and serves at once what is on disk."""
    node = scene.node
    assert node.process is not None
    workers = [os.pidfd_open(pid) for pid in node.workers().values()]
    assert len(workers) == 2
    node.process.send_signal(signal.SIGKILL)
    node.process.wait()
    node.process = None
    for descriptor in workers:
        with os.fdopen(descriptor, "rb"):
            assert select.select([descriptor], [], [], WAIT_S)[0], "a worker lives on"
    node.start()
    assert serves(node)


def test_its_log_and_its_command_lines_say_no_secret(scene: Scene) -> None:
    assert scene.node.process is not None
    kept = (scene.node.state / "rollouts" / "shop").read_bytes()
    assert b"a-secret-value" in kept, "it is there to be told"
    assert "a-secret-value" not in (scene.node.folder / "log").read_text()
    for pid in (scene.node.process.pid, *scene.node.workers().values()):
        assert b"a-secret-value" not in Path(f"/proc/{pid}/cmdline").read_bytes()


def newcomer(scene: Scene, name: str, token: str, *, address_of: str = "new-1") -> FleetNode:
    """A machine with a voucher, and a key of its own."""
    node = FleetNode(name, "eu", scene.fleet.folder / f"{name}-{time.monotonic_ns()}", scene.fleet.place)
    node.host = scene.fleet.place.address(address_of)
    node.folder.mkdir()
    (node.folder / "voucher").write_text(token)
    node.config.write_text(
        f'[node]\nname = "{name}"\nregion = "eu"\nstate_dir = "state"\nworkers = 1\n'
        f'[fleet]\nlisten = "{node.address}"\nvoucher = "voucher"\n'
        f'[http]\nlisten = ["{node.host}:{HTTP_PORT}"]\n'
    )
    scene.fleet.run("node", "--config", node.config, "init", "--json")
    return node


def voucher(scene: Scene, name: str) -> str:
    address = f"{scene.fleet.place.address('new-1')}:7400"
    made = scene.fleet.run(
        *("fleet", "voucher", name, "--region", "eu", "--address", address),
        *("-C", scene.fleet.operator, "--json"),
    )
    return str(made.last["token"])


def refused(scene: Scene, node: FleetNode) -> str:
    """Why a node did not start."""
    done = scene.fleet.run("node", "--config", node.config, check=False)
    assert done.status != 0
    return done.stderr


def test_a_node_joins_by_a_voucher_which_is_good_for_one_key(scene: Scene) -> None:
    token = voucher(scene, "new-1")
    node = newcomer(scene, "new-1", token)
    node.start()
    try:
        assert any(event.get("event") == "node.joined" for event in node.events)
        scene.fleet.wait_status(
            lambda status: {each["name"]: each["state"] for each in status["nodes"]} == {"eu-1": "up", "new-1": "up"}
        )
        scene.fleet.wait_status(  # "live" in the log is decided, and workers are still to do it
            lambda status: {each["node"]: each["stage"] for each in status["apps"][0]["nodes"]}.get("new-1") == "live"
        )
        assert serves(node)
        assert token not in (node.folder / "log").read_text()

        thief = newcomer(scene, "new-1", token)  # another key
        assert "fleet.voucher-used" in refused(scene, thief)
        assert serves(node)
    finally:
        node.stop()
    (node.folder / "voucher").unlink()  # of no use any more
    node.start()
    assert node.stop() == 0


def test_a_voucher_that_is_too_old(scene: Scene) -> None:
    folder = FleetFolder(scene.fleet.operator)
    key = scene.fleet.operator / "operator.key"
    identity = load_identity(key, key.with_suffix(".crt"))
    now = time.time() - 7200
    address = f"{scene.fleet.place.address('old-1')}:7400"
    token = token_of(folder.voucher("old-1", "eu", address, (), identity.key, expires=now + 3600, now=now))
    assert "expired" in refused(scene, newcomer(scene, "old-1", token, address_of="old-1"))


def test_a_voucher_for_another_node_and_one_that_is_none(scene: Scene) -> None:
    token = voucher(scene, "other")
    assert "is for 'other'" in refused(scene, newcomer(scene, "new-2", token))
    assert "the voucher is damaged" in refused(scene, newcomer(scene, "other", token[:-40]))


def test_it_ends_when_it_is_asked_to(scene: Scene) -> None:
    node = scene.node
    assert node.stop() == 0
    assert node.events[-1]["event"] in ("child.stopped", "node.stopping")
    node.start()
    assert serves(node)
