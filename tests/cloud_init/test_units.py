"""The units, as systemd's own tools see them, and what docs/machine.md says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from provisioning import paths
from provisioning.files import TEMPLATES as PLACES
from provisioning.templates import bare, read

EXPOSURE_MAX = {"edged": 2.0, "edged-fetch": 2.6, "edged-firewall": 2.1}
"""As measured with systemd 252, and a little. All are "OK", which ends at 4.9."""

UNITS = sorted(EXPOSURE_MAX)
DOCS = (Path(__file__).parents[2] / "docs/machine.md").read_text()
_SAYS_NOTHING = {"Description", "Documentation"}


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert shutil.which("systemd-analyze"), "systemd-analyze is not there: it is part of Debian's package systemd"
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def directives(unit: str) -> set[str]:
    lines = bare(read(f"{unit}.service")).splitlines()
    return {line for line in lines if "=" in line and line.partition("=")[0] not in _SAYS_NOTHING}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with the units, and what they start."""
    for name, (path, mode) in PLACES.items():
        file = tmp_path / str(path).lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(bare(read(name)))
        file.chmod(int(mode, 8))
    for program in (paths.COMMAND, "/usr/sbin/nft", "/bin/kill"):
        file = tmp_path / str(program).lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_every_line(unit: str, root: Path) -> None:
    file = root / str(paths.UNITS / f"{unit}.service").lstrip("/")
    done = analyze("verify", f"--root={root}", "--recursive-errors=no", file)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_systemd_would_say_what_it_does_not_understand(root: Path) -> None:
    file = root / str(paths.UNITS / "edged.service").lstrip("/")
    file.write_text(file.read_text().replace("ProtectClock=", "ProtectClok="))
    done = analyze("verify", f"--root={root}", "--recursive-errors=no", file)
    assert "ProtectClok" in done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_exposure(unit: str, root: Path) -> None:
    arguments = ("security", "--offline=true", f"--root={root}", f"{unit}.service")
    shown = analyze(*arguments)
    overall = re.search(r"Overall exposure level for \S+: ([0-9.]+) (\w+)", shown.stdout)
    assert overall, shown.stderr
    assert float(overall[1]) <= EXPOSURE_MAX[unit], shown.stdout
    assert overall[2] == "OK"


def test_a_unit_without_any_of_it_is_exposed(root: Path) -> None:
    """What the number is worth: of a unit that only says what it starts."""
    file = root / str(paths.UNITS / "edged.service").lstrip("/")
    file.write_text("[Service]\nExecStart=/usr/local/bin/edged\n")
    shown = analyze("security", "--offline=true", f"--root={root}", "--threshold=49", "edged.service")
    assert shown.returncode != 0


@pytest.mark.parametrize("unit", UNITS)
def test_every_line_is_documented(unit: str) -> None:
    assert documented(unit) == directives(unit)


def documented(unit: str) -> set[str]:
    """Lines of the tables whose column of this unit has a mark."""
    found: set[str] = set()
    column = None
    for line in DOCS.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            column = None
        elif column is None:
            column = cells.index(f"`{unit}`") if f"`{unit}`" in cells else -1
        elif column >= 0 and cells[column] == "x":
            found |= set(re.findall(r"`([^`]+)`", cells[0]))
    return found


def test_every_place_is_documented() -> None:
    places = {str(value) for name, value in vars(paths).items() if name.isupper() and str(value).startswith("/")}
    places |= {str(path) for path, _ in PLACES.values()}
    table = DOCS.partition("## Files")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(/[^`]*)` \|", table, re.MULTILINE))
    assert told == places - {str(paths.UNITS), str(paths.CONFIG_FOLDER)}


def test_every_setting_of_the_kernel_is_documented() -> None:
    table = DOCS.partition("## Kernel")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([a-z0-9_.]+ = \d+)` \|", table, re.MULTILINE))
    assert told == set(bare(read("sysctl.conf")).splitlines())


def test_units_agree_with_paths() -> None:
    """systemd names these by their last part."""
    lines = {unit: directives(unit) for unit in UNITS}
    assert f"StateDirectory={paths.STATE.name}" in lines["edged"]
    assert f"User={paths.USER}" in lines["edged"]
    assert f"ExecStart={paths.COMMAND} node --config {paths.CONFIG}" in lines["edged"]
    assert f"CacheDirectory={paths.UNPACKED.name}" in lines["edged-fetch"]
    assert f"RuntimeDirectory={paths.FETCH_STATE.parent.name}" in lines["edged-fetch"]
    assert f"ExecStart={paths.FETCH}" in lines["edged-fetch"]
    assert f"ExecStart=/usr/sbin/nft -f {paths.FIREWALL}" in lines["edged-firewall"]


def test_machine_code_may_be_made() -> None:
    """Each app is compiled to it. Measured: with this line no worker runs any guest."""
    assert "MemoryDenyWriteExecute=yes" not in directives("edged")
