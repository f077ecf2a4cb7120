"""Where built guests are kept: `.cache/guests/`, by name and key, each made once whoever asks and however many.

A key is a digest of everything that goes into a thing: sources, recipe, versions of the tools. Who finds the key's
entry uses it; who does not takes the name's lock, makes the entry, and removes those of older keys.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CACHE = REPOSITORY / ".cache" / "guests"

Report = Callable[[str, str], None]
"""Told the name of a thing and what happens to it: `building`, `built in 7.1 s`."""


def silent(name: str, event: str) -> None:
    """The Report of who does not want one."""


def key(parts: Iterable[str | Path]) -> str:
    """Digest of strings and files, in order. A file counts with its name and its bytes."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part.read_bytes()
        label = "" if isinstance(part, str) else part.name
        digest.update(f"{label}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def entry(name: str, key: str, suffix: str, make: Callable[[Path], None], report: Report = silent) -> Path:
    """The cached file or folder, which `make` makes at the path that it is given if it is not there yet.

    A folder is made in place, since what is inside may name it (a virtual environment does), and is there once its
    `.ready` is; a file is made beside its place and moved.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{name}-{key}{suffix}"
    ready = path if suffix else path / ".ready"
    if ready.exists():
        return path
    with _locked(name):
        if ready.exists():
            return path
        report(name, "building")
        begin = time.monotonic()
        target = CACHE / f"{name}.new{suffix}" if suffix else path
        remove(target)
        make(target)
        if suffix:
            os.replace(target, path)
        else:
            ready.touch()
        for other in CACHE.glob(f"{name}-{'[0-9a-f]' * len(key)}{suffix}"):
            if other != path:
                remove(other)
        report(name, f"built in {time.monotonic() - begin:.1f} s")
    return path


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """One process and one thread at a time: the lock belongs to the open file, and its end frees it."""
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
