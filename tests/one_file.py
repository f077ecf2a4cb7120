"""The one file, built once for the sources as they stand and kept in .cache/binary; or the one that EDGED_BIN names.

    sources ── copied, committed ──> a repository of their own ── python -m provisioning.binary ──> edged

The copy has a commit of its own, always the same for the same sources, so that all of a build can be compared.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from provisioning.binary.build import SOURCES
from tests.edged_command import EDGED_BIN

_ROOT = Path(__file__).parents[1]
_CACHE = _ROOT / ".cache" / "binary"
_KEPT = 3  # builds; another run of tests may be using one that is not the newest
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "edged"), ("EMAIL", "edged@example.org"), ("DATE", "2026-01-01T00:00:00Z"))
}


def binary() -> Path:
    """The one file to test. The first call for these sources takes a minute."""
    named = os.environ.get(EDGED_BIN)
    return Path(named).absolute() if named else built()


def built() -> Path:
    """The one of these sources, whatever EDGED_BIN says."""
    folder = _CACHE / _digest()[:16]
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of several runs builds it, the others wait
        if not (folder / "edged").exists():
            new = _CACHE / "new"
            shutil.rmtree(new, ignore_errors=True)
            build_copy(new)
            new.rename(folder)
            _remove_old()
        os.utime(folder)
    return folder / "edged"


def build_copy(folder: Path, *, hash_seed: str = "random") -> str:
    """Copy the sources and build `edged` from the copy. Returns its commit, 12 digits."""
    copy = folder / "sources"
    for file in _files():
        to = copy / file
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_ROOT / file, to)
    environment = {**os.environ, **_IDENTITY, "PYTHONHASHSEED": hash_seed}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    run("git", "init", "--quiet")
    run("git", "add", "--all", "--force")
    run("git", "commit", "--quiet", "--message", "as it stands")
    run(sys.executable, "-m", "provisioning.binary", "-o", str(folder / "edged"), "--work", str(folder / "work"))
    commit = run("git", "rev-parse", "--short=12", "HEAD")
    for made in (folder / "work", copy):
        shutil.rmtree(made)
    (folder / "commit").write_text(commit)
    return commit


def _files() -> Iterator[Path]:
    """Of the sources, from the root of the repository, in order."""
    for name in SOURCES:
        source = _ROOT / name
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(_ROOT)


def _digest() -> str:
    """Of all that goes into it: the sources, and the packages and the Python of this environment."""
    digest = hashlib.sha256(sys.version.encode())
    for name, version in sorted({(each.name, each.version) for each in distributions()}):
        digest.update(f"{name} {version}\n".encode())
    for file in _files():
        data = (_ROOT / file).read_bytes()
        digest.update(f"{file} {len(data)} {os.access(_ROOT / file, os.X_OK)}\n".encode() + data)
    return digest.hexdigest()


def _remove_old() -> None:
    builds = sorted((each for each in _CACHE.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
    for each in builds[:-_KEPT]:
        shutil.rmtree(each)
