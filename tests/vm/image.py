"""A disk with Debian on it, as a provider's image has it: cloud-init as packaged, and nothing of edged.

    made = image(Path(".cache/vm"), print)

Built by debootstrap and `mke2fs -d`, so that no loop device and no bootloader is needed: qemu is given the kernel. Kept
in a folder named by a digest of everything that makes it, and built anew when that changes. Takes root, and a mirror of
Debian the first time.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
PACKAGES = (
    "ca-certificates",
    "cloud-init",
    "curl",
    "dbus",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "linux-image-cloud-amd64",
    "netplan.io",
    "nftables",
    "openssh-server",
    "procps",
    # debootstrap does not see that this is what the dependency of python3-cryptography means.
    "python3-cffi-backend",
    # What the trial sees the machine by: it needs no network in there, and no account.
    "qemu-guest-agent",
    "sudo",
    "systemd",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
)
FILES: Mapping[str, str] = {
    # Empty: a machine that starts for the first time makes its own.
    "etc/machine-id": "",
    "etc/fstab": "LABEL=root / ext4 defaults,errors=remount-ro 0 1\n",
    # There are no others without the 200 MB of `locales-all`, and cloud-init would say that it failed.
    "etc/cloud/cloud.cfg.d/01_image.cfg": "locale: C.UTF-8\n",
}
REMOVED = (
    "debootstrap",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_*",
    "var/cache/apt/archives/*.deb",
    "var/lib/apt/lists/*Packages*",
)
SIZE_BYTES = 3 << 30
"""Of the disk; what is not written is not there on this machine either."""

_BUILD_TIMEOUT_S = 1800.0
_URI = re.compile(r"^(?:deb\s+(?:\[[^\]]*\]\s+)?|URIs:\s+)(https?://\S+/debian)/?(?:\s|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Image:
    """Files that are only read: each machine writes to an overlay of its own."""

    disk: Path
    kernel: Path
    initrd: Path


def image(cache: Path, say: Callable[[str], None]) -> Image:
    """The image, built if this recipe's is not there. Those of other recipes are removed.

    Raises:
        RuntimeError: with what a program said that failed.
    """
    folder = cache / digest()
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-", dir=cache) as building:
            _build(Path(building), say)
            for old in cache.iterdir():
                if re.fullmatch("[0-9a-f]{64}", old.name):
                    shutil.rmtree(old)
            # A folder of its name is whole: it comes by this rename alone.
            (Path(building) / "image").rename(folder)
    return Image(folder / "disk", folder / "kernel", folder / "initrd")


def digest() -> str:
    """Of everything that makes the image but the mirror, which gives the same wherever it stands."""
    recipe = (SUITE, PACKAGES, sorted(FILES.items()), REMOVED, SIZE_BYTES)
    return hashlib.sha256(repr(recipe).encode()).hexdigest()


def mirror(texts: Sequence[str]) -> str | None:
    """Where a machine gets Debian from; None if it does not say, and debootstrap's own choice is to be taken.

    Args:
        texts: of its apt sources, of either form.
    """
    found = (match[1] for text in texts for match in _URI.finditer(text))
    return next(found, None)


def _build(folder: Path, say: Callable[[str], None]) -> None:
    root, made = folder / "root", folder / "image"
    made.mkdir()
    sources = [path.read_text() for path in sorted(Path("/etc/apt").glob("sources.list*/*")) if path.is_file()]
    if (single := Path("/etc/apt/sources.list")).is_file():
        sources.append(single.read_text())
    say(f"image: {len(PACKAGES)} packages and what they need, from Debian {SUITE}: minutes, once")
    found = mirror(sources)
    where = [] if found is None else [found]
    _run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), *where])
    for pattern in REMOVED:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for name, text in FILES.items():
        (root / name).write_text(text)
    for name in ("vmlinuz", "initrd.img"):
        (found,) = (root / "boot").glob(f"{name}-*")
        shutil.copyfile(found, made / {"vmlinuz": "kernel", "initrd.img": "initrd"}[name])
    disk = made / "disk"
    with disk.open("wb") as file:
        file.truncate(SIZE_BYTES)
    say("image: the disk")
    _run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(disk)])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
