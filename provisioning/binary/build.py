"""Building the one file.

sources, .venv ── PyInstaller, in a process of its own ──> folder ── contents ──> archive
                                                header.sh, filled in ─────────────┴──> edged, edged.sha256, edged.files
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from provisioning.binary.contents import build_id, entries_of, glibc_needed, lines_of, write_archive
from provisioning.binary.header import header
from provisioning.errors import BinaryNotBuilt

_ROOT = Path(__file__).parents[2]
_SPEC = Path(__file__).with_name("edged.spec")

SOURCES = ("edged", "bgp", "registry", "provisioning", "cloud-init", "pyproject.toml")
"""What it is built from, below the root of the repository; and the packages of this interpreter's environment."""

_COMMIT_DIGITS = 12
_SETTINGS = {
    # A compiled module is the bytes of sets too, in their order.
    "PYTHONHASHSEED": "0",
    # What PyInstaller would write the time of the build into.
    "SOURCE_DATE_EPOCH": "315532800",
    # These sources, whichever the environment was installed from.
    "PYTHONPATH": str(_ROOT),
}


@dataclass(frozen=True, slots=True)
class Built:
    """A finished build.

    Attributes:
        file: the one file; `.sha256` and `.files` stand beside it.
        size_bytes, sha256: of it.
        unpacked_bytes: of all that is in it.
        version: as its `--version` says.
    """

    file: Path
    size_bytes: int
    sha256: str
    unpacked_bytes: int
    version: str


def build(to: Path, work: Path) -> Built:
    """Build `to`, replacing what is there.

    Args:
        work: a folder for what is made on the way; what is in it may be lost.

    Raises:
        BinaryNotBuilt
    """
    work = work.resolve()  # PyInstaller starts paths from the folder of its spec
    commit = commit_of(_ROOT)
    folder = _collect(work, commit)
    entries = entries_of(folder)
    id_ = build_id(entries)
    version = _version_of(folder / "edged")
    to.parent.mkdir(parents=True, exist_ok=True)
    new = to.with_name(f"{to.name}.new")
    with new.open("wb") as file:
        file.write(header(id_, version=version, machine=platform.machine(), glibc=glibc_needed(folder)))
        write_archive(folder, entries, file)
    new.chmod(0o755)
    with new.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    to.with_name(f"{to.name}.files").write_text(lines_of(entries))
    to.with_name(f"{to.name}.sha256").write_text(f"{sha256}  {to.name}\n")
    new.replace(to)
    return Built(to, to.stat().st_size, sha256, sum(entry.size_bytes for entry in entries), version)


def commit_of(root: Path) -> str:
    """The commit that the sources are, 12 digits; empty if they are changed, or if there is no repository."""
    try:
        changes = _git(root, "status", "--porcelain", "--", *SOURCES)
        return "" if changes else _git(root, "rev-parse", f"--short={_COMMIT_DIGITS}", "HEAD").strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _collect(work: Path, commit: str) -> Path:
    """PyInstaller's folder. In a process of its own, for it needs settings that a process begins with."""
    if shutil.which("strip") is None:
        raise BinaryNotBuilt("there is no strip(1) on this machine", remedy="Install binutils.")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    commit_file = work / "commit"
    commit_file.write_text(commit)
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", str(_SPEC)]
    folders = ["--distpath", str(work / "folder"), "--workpath", str(work / "build")]
    done = subprocess.run(
        [*command, *folders],
        env={**os.environ, **_SETTINGS, "COMMIT_FILE": str(commit_file)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BinaryNotBuilt(f"PyInstaller ended with {done.returncode}:\n{done.stdout.rstrip()}")
    return work / "folder" / "edged"


def _version_of(program: Path) -> str:
    """What it says of itself, which shows as well that it runs."""
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BinaryNotBuilt(f"what was built does not run:\n{(done.stdout + done.stderr).rstrip()}")
    return done.stdout.strip().removeprefix("edged, version ")
