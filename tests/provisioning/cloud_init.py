"""Debian's cloud-init, to check things with: fetched as a package and unpacked, never installed.

Installed it would act on this machine at its next boot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_CACHE = Path(__file__).parents[2] / ".cache" / "cloud-init"
_MODULES = Path("usr/lib/python3/dist-packages")
_TIMEOUT_S = 300.0  # of a mirror that is slow; the package has 600 KB


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`cloud-init ARGUMENTS`, with its status and what it said."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "cloudinit.cmd.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(_fetched() / _MODULES)},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def _fetched() -> Path:
    """The unpacked package.

    Raises:
        RuntimeError: this is no Debian, or its mirror has none.
    """
    found = _CACHE / "unpacked"
    if found.is_dir():
        return found
    missing = [program for program in ("apt-get", "dpkg") if shutil.which(program) is None]
    if missing:
        raise RuntimeError(
            f"cloud-init's own check takes Debian's package of it, and {', '.join(missing)} to fetch that"
        )
    _CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_CACHE) as folder:
        # As root apt would fetch as another user, who may not write here.
        fetch = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "-q", "cloud-init"]
        ended = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        packages = list(Path(folder).glob("cloud-init_*.deb"))
        if ended.returncode or len(packages) != 1:
            raise RuntimeError(f"apt-get cannot fetch cloud-init; does `apt-get update` help? {ended.stderr.strip()}")
        subprocess.run(["dpkg", "-x", str(packages[0]), f"{folder}/unpacked"], check=True, timeout=_TIMEOUT_S)
        (Path(folder) / "unpacked").replace(found)
    return found
