"""`edged upgrade` as somebody types it: a real node below a systemctl that starts and stops it, one files with the real
head whose program is this checkout, and everything between.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from edged.upgrade.versions import Versions
from provisioning.binary.header import build_id_of
from tests.edged_command import edged_command
from tests.fleets import Done, Fleet, Loopback, app_folder, made, parsed
from tests.guests import wat
from tests.provisioning.binary.small import one_file
from tests.upgrade.fake_systemd import FakeSystemd

ROOT = Path(__file__).parents[2]
HOST = "hello.edged.localhost"
GOOD = ""
DOES_NOT_START = "if sys.argv[1:2] == ['node']:\n    sys.exit('it does not start')\n"
TAKES_NO_CONFIG = "if sys.argv[1:2] == ['check']:\n    sys.exit('node.toml:1: it takes none')\n"
DOES_NOT_RUN = "sys.exit('it does not run')\n"


@dataclass
class Site:
    """A machine with one node, which serves an app."""

    folder: Path
    fleet: Fleet
    versions: Versions
    systemd: FakeSystemd

    def build(self, name: str, also: str = GOOD) -> Path:
        """A one file that says the commit `name`.

        Args:
            also: lines of Python that it begins with.
        """
        program = (
            f"#!{sys.executable} -P\nimport sys\n{also}sys.path.insert(0, {str(ROOT)!r})\nimport edged.version\n"
            f"edged.version.COMMIT = {name!r}\nfrom edged.cli import main\nmain()\n"
        )
        return one_file(self.folder / name, program).file

    @property
    def environment(self) -> dict[str, str]:
        return {**self.fleet.environment(), **self.systemd.environment}

    def popen(self, *arguments: object) -> subprocess.Popen[str]:
        """`edged upgrade`, under way."""
        config, command = self.fleet["n1"].config, self.versions.command
        options = ["--config", config, "--command", command, "--versions", self.versions.folder, "--json"]
        return subprocess.Popen(
            edged_command("upgrade", *options, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )

    def upgrade(self, *arguments: object) -> Done:
        process = self.popen(*arguments)
        stdout, stderr = process.communicate()
        return Done(process.returncode, [parsed(line) for line in stdout.splitlines()], stderr)

    def upgraded(self, *arguments: object) -> Done:
        done = self.upgrade(*arguments)
        assert done.status == 0, (done, self.systemd.log[-3000:])
        return done

    def runs(self) -> str | None:
        """sha256 of the version that the node's process was started from, as its kernel knows."""
        environ = Path(f"/proc/{self.systemd.unit.pid}/environ").read_bytes().split(b"\0")
        file = next(each for each in environ if each.startswith(b"EDGED_FILE=")).decode().partition("=")[2]
        return next((each for each in self.versions.all() if str(self.versions.path(each)) == file), None)

    def serves(self) -> bool:
        return self.fleet["n1"].get(host=HOST) == (200, b"hello")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("upgrade").resolve()
    unpacked = folder / "unpacked"
    with pytest.MonkeyPatch.context() as patch, made(folder / "fleet", Loopback(), {"n1": "eu"}, start=False) as fleet:
        patch.setenv("EDGED_UNPACK_DIR", str(unpacked))
        (folder / "bin").mkdir()
        versions = Versions(folder / "lib", folder / "bin" / "edged")
        command = [str(versions.command), "node", "--config", str(fleet["n1"].config)]
        systemd = FakeSystemd(folder / "systemd", command, versions.command)
        site = Site(folder, fleet, versions, systemd)
        first = site.upgraded(site.build("first"))
        assert first.last["outcome"] == "switched"
        systemd.restart()
        try:
            fleet.push(app_folder(folder / "app", "hello", wat.text("hello"), edged_table=f'hosts = ["{HOST}"]'))
            assert site.serves()
            yield site
        finally:
            systemd.unit.stop()


@pytest.fixture
def old(site: Site) -> str:
    """The version in use."""
    found = site.versions.current()
    assert found is not None
    assert site.runs() == found
    return found


def test_there_and_back(site: Site, old: str) -> None:
    done = site.upgraded(site.build("there"))
    steps = [event["step"] for event in done.events if event["event"] == "upgrade"]
    assert list(dict.fromkeys(steps)) == ["bring", "try", "switch", "restart", "watch"]
    assert (done.last["event"], done.last["outcome"], done.last["before"]) == ("upgraded", "upgraded", old)
    assert done.last["version"].endswith("(commit there)")
    assert site.runs() == site.versions.current() == done.last["sha256"] != old
    assert site.serves()
    back = site.upgraded("--back")
    assert (back.last["sha256"], back.last["before"]) == (old, done.last["sha256"])
    assert site.runs() == site.versions.current() == old
    assert site.serves()


def test_older_versions_go_with_what_they_unpacked(site: Site, old: str) -> None:
    one, two = (site.upgraded(site.build(name)) for name in ("one", "two"))
    assert set(site.versions.all()) == {one.last["sha256"], two.last["sha256"]}
    assert old in two.last["removed"]
    typed = build_id_of(Path(edged_command()[0]))  # what runs the command has unpacked itself, if it is a one file
    kept = {build_id_of(site.versions.path(each)) for each in site.versions.all()}
    assert set(os.listdir(site.folder / "unpacked")) - {typed} == kept


@pytest.mark.parametrize(
    ("also", "status", "code", "message"),
    [
        (DOES_NOT_RUN, 65, "upgrade.unusable", "it does not run"),
        (TAKES_NO_CONFIG, 65, "upgrade.unusable", "it takes none"),
        (DOES_NOT_START, 70, "upgrade.undone", "did not start"),
    ],
    ids=["does-not-run", "takes-no-config", "does-not-start"],
)
def test_versions_that_will_not_do(site: Site, old: str, also: str, status: int, code: str, message: str) -> None:
    done = site.upgrade(site.build(f"bad{len(os.listdir(site.folder))}", also))
    assert (done.status, done.last["event"], done.last["code"]) == (status, "error", code)
    assert message in done.last["message"]
    assert site.runs() == site.versions.current() == old
    assert site.serves()


def test_killed_while_it_waits(site: Site, old: str) -> None:
    """The node is left half-way, and its unit goes on; the same command again ends what was begun."""
    file = site.build("killed")
    process = site.popen(file)
    assert process.stdout is not None
    for line in process.stdout:
        if parsed(line).get("step") == "restart":
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert site.versions.current() != old
    done = site.upgraded(file)
    assert (done.last["outcome"], done.last["before"]) == ("upgraded", old)
    assert site.runs() == done.last["sha256"]
    assert site.serves()


def test_two_at_once(site: Site, old: str) -> None:
    with site.versions.locked():
        done = site.upgrade(site.folder / "missing")
    assert (done.status, done.last["code"]) == (75, "upgrade.busy")


def test_the_same_once_more(site: Site, old: str) -> None:
    done = site.upgrade(site.versions.path(old))
    assert (done.status, done.last["code"]) == (64, "upgrade.needless")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["--unit", "other.service", "--back"], 69, "upgrade.impossible"),
        (["--command", "/bin/true", "--back"], 69, "upgrade.impossible"),
        (["--config", "/no/node.toml", "--back"], 66, "node-config.missing"),
        (["--versions", "/proc/edged", "--back"], 73, "upgrade.folder"),
        (["missing"], 69, "upgrade.unavailable"),
        (["missing", "--sha256", "0"], 64, "usage"),
        (["http://127.0.0.1:1/edged"], 64, "usage"),
        (["http://127.0.0.1:1/edged", "--sha256", "0" * 64], 69, "upgrade.unavailable"),
        ([], 64, "usage"),
        (["missing", "--back"], 64, "usage"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_what_cannot_be(site: Site, old: str, arguments: Sequence[str], status: int, code: str) -> None:
    done = site.upgrade(*arguments)
    assert (done.status, done.last["code"]) == (status, code)
    assert f"[{code}]" in done.stderr
    assert site.versions.current() == old
