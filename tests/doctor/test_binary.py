"""`binary`: there, damaged, open to others, another than provisioned; and every state in which bringing it may be."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path, PurePosixPath

import pytest

from edged.doctor.binary import look
from edged.doctor.finding import Finding
from edged.doctor.machine_file import MachineFile
from edged.doctor.subject import FETCH_UNIT
from provisioning import paths
from tests.doctor.scene import DIGEST, NOW, Scene, one, said
from tests.provisioning.binary.small import one_file

CONTENT = b"#!/bin/sh\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    scene.path(paths.COMMAND).parent.mkdir(parents=True)
    return scene


def install(scene: Scene, sha256: str = SHA256, mode: int = 0o755) -> None:
    scene.write(paths.BINARIES / f"edged-{sha256}", CONTENT, mode)
    scene.path(paths.COMMAND).symlink_to(f"{paths.BINARIES}/edged-{sha256}")


def fetching(scene: Scene, state: str, **more: str) -> None:
    lines = {"state": state, "at": str(int(NOW) - 300), "tries": "7", "from": "http://192.0.2.9/e", **more}
    scene.write(paths.NOT_HERE, "#!/bin/sh\n", 0o755)
    scene.path(paths.COMMAND).symlink_to(str(paths.NOT_HERE))
    scene.write(paths.FETCH_STATE, "".join(f"{key}={value}\n" for key, value in lines.items()))


async def found(scene: Scene, fetch_unit: str = "activating") -> list[Finding]:
    machine = MachineFile("demo", "n1", "eu", "static", SHA256)
    return list(await look(scene.subject(machine=machine, units={FETCH_UNIT: {"ActiveState": fetch_unit}})))


@pytest.mark.parametrize("relative", [False, True])
async def test_there(scene: Scene, relative: bool) -> None:
    install(scene)
    if relative:
        scene.path(paths.COMMAND).unlink()
        scene.path(paths.COMMAND).symlink_to(f"../lib/edged/edged-{SHA256}")
    finding = one(await found(scene))
    assert (finding.state, SHA256 in finding.message) == ("ok", True)


async def test_another_than_provisioned_is_a_note(scene: Scene) -> None:
    install(scene)
    states = said(await look(scene.subject()))
    assert [state for state, _ in states] == ["ok", "note"]
    assert DIGEST[:12] in states[1][1]


async def test_damaged(scene: Scene) -> None:
    install(scene, sha256=DIGEST)
    finding = one(await found(scene))
    assert (finding.state, "is damaged" in finding.message) == ("problem", True)
    assert f"systemctl restart {FETCH_UNIT}" in finding.remedy


async def test_open_to_others(scene: Scene) -> None:
    install(scene, mode=0o775)
    finding = one(await found(scene))
    assert (finding.state, "others than root may change" in finding.message) == ("problem", True)


@pytest.mark.parametrize(
    ("state", "more", "message", "remedy"),
    [
        ("waiting", {}, "edged is being brought: the first try", "journalctl"),
        ("unreachable", {"reason": "timed out"}, "http://192.0.2.9/e: timed out", "EDGED_URLS"),
        ("wrong-digest", {"got": "cd" * 32}, f"its sha256 is {'cd' * 32}", "EDGED_SHA256"),
        ("unusable", {"reason": "Exec format error"}, "does not run: Exec format error", "built for this machine"),
    ],
)
async def test_how_bringing_it_goes(scene: Scene, state: str, more: dict[str, str], message: str, remedy: str) -> None:
    fetching(scene, state, **more)
    finding = one(await found(scene))
    assert finding.state == "problem"
    assert message in finding.message
    assert "(try 7, 5 min ago)" in finding.message
    assert remedy in finding.remedy
    assert finding.remedy.endswith("nothing else needs to be done.")


@pytest.mark.parametrize("fetch_unit", ["inactive", "failed"])
async def test_nothing_brings_it(scene: Scene, fetch_unit: str) -> None:
    fetching(scene, "unreachable", reason="timed out")
    finding = one(await found(scene, fetch_unit))
    assert finding.message == "there is no edged here, and nothing brings it"
    assert "systemctl enable --now" in finding.remedy


async def test_nothing_at_all(scene: Scene) -> None:
    assert "nothing brings it" in one(await found(scene)).message
    scene.path(paths.COMMAND).symlink_to(str(paths.BINARIES / f"edged-{SHA256}"))  # which is not there
    assert "nothing brings it" in one(await found(scene)).message


@pytest.mark.parametrize("line", ["state=strange", "at=yesterday\nstate=waiting", "\x00\xff", "state"])
async def test_a_state_that_nobody_wrote(scene: Scene, line: str) -> None:
    fetching(scene, "waiting")
    scene.write(paths.FETCH_STATE, line)
    assert one(await found(scene)).state == "problem"


@pytest.mark.parametrize(
    ("place", "state"), [(paths.COMMAND, "warning"), ("/opt/edged", "warning"), (paths.FETCH, "problem")]
)
async def test_something_else_in_its_place(scene: Scene, place: PurePosixPath, state: str) -> None:
    """What an operator has put there runs, for all that is known."""
    scene.write(place, CONTENT, 0o755)
    if place != paths.COMMAND:
        scene.path(paths.COMMAND).symlink_to(str(place))
    finding = one(await found(scene))
    assert (finding.state, "no edged that was brought by its digest" in finding.message) == (state, True)


@pytest.mark.parametrize("spoilt", ["nothing", "a bit", "a file that is gone", "all of it is gone"])
async def test_what_it_was_unpacked_to(scene: Scene, tmp_path: Path, spoilt: str) -> None:
    """A bit that has turned round shows: the folder's name is a digest of what is in it."""
    small = one_file(tmp_path)
    data = small.file.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    scene.write(paths.BINARIES / f"edged-{sha256}", data, 0o755)
    scene.path(paths.COMMAND).symlink_to(f"{paths.BINARIES}/edged-{sha256}")
    folder = scene.path(paths.UNPACKED) / small.build
    shutil.copytree(tmp_path / "content", folder, symlinks=True)
    library = folder / "_internal" / "deeper" / "library"
    if spoilt == "a bit":
        library.write_bytes(bytes([library.read_bytes()[0] ^ 1]) + library.read_bytes()[1:])
    elif spoilt == "a file that is gone":
        library.unlink()
    elif spoilt == "all of it is gone":
        shutil.rmtree(folder)
    finding = next(iter(await found(scene)))
    is_damaged = spoilt in ("a bit", "a file that is gone")
    assert finding.state == ("problem" if is_damaged else "ok")
    assert (f"; rm -r {paths.UNPACKED / small.build}; systemctl start" in finding.remedy) == is_damaged


async def test_a_machine_that_was_set_up_by_hand_may_have_it_anywhere(scene: Scene) -> None:
    assert list(await look(scene.subject(machine=None))) == []
