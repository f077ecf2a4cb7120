"""A NoCloud seed: what cloud-init finds on a disk with the label `cidata`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from provisioning import paths

FILES = ("user-data", "meta-data", "network-config")


def write_seed(folder: Path, disk: Path) -> None:
    """Write a disk of what `edged provision render --all` wrote for one machine.

    Raises:
        RuntimeError: a file is missing, or the disk could not be written.
    """
    files = [folder / name for name in FILES]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise RuntimeError(f"no seed without {', '.join(missing)}")
    command = ["genisoimage", "-quiet", "-volid", "cidata", "-rational-rock", "-joliet", "-o", str(disk)]
    disk.touch(mode=0o600)  # with a voucher
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"genisoimage ended with {done.returncode}: {done.stderr}")


def voucher_in(user_data: str) -> str:
    """What whoever gets hold of it could join with; "" for nothing."""
    files = yaml.safe_load(user_data).get("write_files", [])
    return next((str(file["content"]).strip() for file in files if file["path"] == str(paths.VOUCHER)), "")
