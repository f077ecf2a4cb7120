"""edged as the one file of `make binary`: all commands, all children, foreign programs; and that it is reproducible."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from bgp.wire import Applied, PeerChanged, Refused, SetAnnouncements
from edged.version import VERSION
from provisioning.binary.header import build_id_of
from tests.bgp import parent, sink
from tests.edged_command import EDGED_BIN, edged_command
from tests.end_to_end.server import edged_up
from tests.fleets import Fleet, Loopback, app_folder, descendants, made, saying
from tests.guests import wat
from tests.one_file import binary, build_copy, built

ALLOWED, OUTSIDE = "203.0.113.0/24", "198.51.100.0/24"


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What all processes of these tests are started from. It is unpacked where only this user may look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(EDGED_BIN, str(binary()))
        unpacked = tmp_path_factory.mktemp("unpacked")
        unpacked.chmod(0o700)
        patch.setenv("EDGED_UNPACK_DIR", str(unpacked))
        yield Path(os.environ[EDGED_BIN])


@pytest.fixture(scope="module")
def fleet(one_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with made(tmp_path_factory.mktemp("fleet"), Loopback(), {"eu-1": "eu"}, workers=2, prefixes=[ALLOWED]) as fleet:
        yield fleet


def run(*arguments: object) -> str:
    done = subprocess.run(edged_command(*arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_version(one_file: Path) -> None:
    assert re.fullmatch(rf"edged, version {re.escape(VERSION)}( \(commit [0-9a-f]{{12}}\))?\n", run("--version"))


def test_every_command_is_in_it(one_file: Path) -> None:
    """Also those that are not for typing: what each imports is there."""
    listed = re.findall(r"^  ([a-z]+) ", run("--help").partition("Commands:")[2], re.MULTILINE)
    assert {"up", "node", "push", "status", "fleet", "bench"} <= set(listed)
    for command in (*listed, "worker", "compile", "speaker"):
        assert f"Usage: edged {command}" in run(command, "--help")


def test_reproducible(tmp_path: Path) -> None:
    """Built from another folder, with another order of sets to begin with: the same bytes, which say the commit."""
    first = built()
    commit = build_copy(tmp_path / "elsewhere", hash_seed="1")
    for name in ("edged.files", "edged.sha256", "commit", "edged"):
        assert (tmp_path / "elsewhere" / name).read_bytes() == first.with_name(name).read_bytes(), name
    assert subprocess.run([first, "--version"], capture_output=True, check=True).stdout.endswith(
        f"(commit {commit})\n".encode()
    )


def test_what_is_in_it() -> None:
    first = built()
    digest, name = first.with_name("edged.sha256").read_text().split()
    assert (digest, name) == (hashlib.sha256(first.read_bytes()).hexdigest(), "edged")
    files = first.with_name("edged.files").read_text()
    assert hashlib.sha256(files.encode()).hexdigest() == build_id_of(first)
    paths = [line.split()[0] for line in files.splitlines()]
    for wanted in (
        "edged",
        "_internal/wasmtime/linux-x86_64/_libwasmtime.so",
        "_internal/edged/worker/canary.wat",
        "_internal/edged/commit",
        "_internal/provisioning/templates/edged.service",
        "_internal/certifi/cacert.pem",
        "_internal/exabgp-5.0.15.dist-info/licenses/LICENCE.txt",
    ):
        assert wanted in paths
    unwanted = re.compile(r"tkinter|libtcl|libtk|readline|direct_url|RECORD|__pycache__|/tests?/|pip|setuptools|\.py$")
    assert [path for path in paths if unwanted.search(path.replace("pipe", ""))] == []
    for folder in (str(Path.home()), str(Path(__file__).parents[2])):
        assert folder.encode() not in first.with_name("edged.files").read_bytes()


def test_a_node_with_workers_that_compile(fleet: Fleet, one_file: Path, tmp_path: Path) -> None:
    """The node is the process that was started, its children are the same program, and none outlives it."""
    fleet.push(app_folder(tmp_path / "app", "hello", saying("one")))
    node = fleet["eu-1"]
    assert node.get(host="hello.edged.localhost") == (200, b"one")
    assert node.process is not None
    processes = [node.process.pid, *node.workers().values()]
    assert len(processes) == 3
    (program,) = {Path(os.readlink(f"/proc/{pid}/exe")) for pid in processes}
    assert (program.parent.name, program.name) == (build_id_of(one_file), "edged")
    assert set(processes[1:]) <= descendants(node.process.pid)
    environment = Path(f"/proc/{processes[1]}/environ").read_bytes().split(b"\0")
    assert f"EDGED_FILE={os.environ[EDGED_BIN]}".encode() in environment
    assert node.stop() == 0
    node.start()
    assert node.get(host="hello.edged.localhost") == (200, b"one")


async def test_the_speaker(fleet: Fleet) -> None:
    """It reads the roster, gives up root if it has it, and announces what is allowed; imports are behind it by then."""
    command = edged_command("speaker", "--state-dir", fleet["eu-1"].state)
    async with (
        sink.listening() as router,
        parent.speaking(parent.config_of(parent.peer_of(router)), allow=(), beats=True, program=command) as child,
    ):
        await child.event(PeerChanged, lambda event: event.state == "established")
        if os.geteuid() == 0:
            status = await trio.Path(f"/proc/{child.pid}/status").read_text()
            assert re.search(r"^Uid:(\s+65534){4}$", status, re.MULTILINE)
        await child.say(SetAnnouncements(1, (parent.announcement(ALLOWED),)))
        await child.event(Applied)
        await child.say(SetAnnouncements(2, (parent.announcement(ALLOWED), parent.announcement(OUTSIDE))))
        assert (await child.event(Refused)).code == "bgp.prefix-refused"


@pytest.mark.parametrize("mine", [None, "/opt/mine"])
def test_builds_are_run_with_the_users_own_libraries(
    one_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: str | None
) -> None:
    if mine is None:
        monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    else:
        monkeypatch.setenv("LD_LIBRARY_PATH", mine)
    app = app_folder(tmp_path / "app", "hello", wat.text("hello"))
    with (app / "spin.toml").open("a") as file:
        file.write('[component.guest.build]\ncommand = "env >seen && ip -V >>seen"\n')
    with edged_up(app, "--build", "--cache-dir", str(tmp_path / "cache")) as server:
        assert server.url
    seen = (app / "seen").read_text().splitlines()
    assert [line for line in seen if line.startswith(("LD_", "_PYI"))] == (
        [] if mine is None else [f"LD_LIBRARY_PATH={mine}"]
    )
    assert seen[-1].startswith("ip utility")


def test_errors_are_those_of_edged(one_file: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        edged_command("up", tmp_path, "--json"), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 66
    assert json.loads(done.stdout.splitlines()[-1])["code"] == "manifest.missing"
