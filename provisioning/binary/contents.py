"""What is in the one file: a list that two builds of the same sources agree about, and the archive of it.

folder of PyInstaller ─> Entry, Entry, ... ─┬─> lines of edged.files ── sha256 ──> build id
                                            └─> .tar.gz, the same bytes for the same entries
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_FILE, _PROGRAM = 0o644, 0o755
_MTIME_S = 315_532_800  # 1980-01-01: before it, some tools take a file for one without a date
_glibc = re.compile(rb"GLIBC_2\.(\d+)\0")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, or a symbolic link.

    Attributes:
        path: below the unpacked folder, with slashes.
        size_bytes: 0 of a link.
        sha256: in hexadecimal; empty of a link.
        is_program: whether it is to be executed.
        target: what a link leads to.
    """

    path: str
    size_bytes: int
    sha256: str
    is_program: bool
    target: str | None = None

    @property
    def line(self) -> str:
        """`PATH SIZE SHA256` with a mark for a program, or `PATH -> TARGET`."""
        if self.target is not None:
            return f"{self.path} -> {self.target}"
        return f"{self.path} {self.size_bytes} {self.sha256}{' *' if self.is_program else ''}"


def entries_of(folder: Path) -> tuple[Entry, ...]:
    """All that is below a folder, by path. Folders are not listed: those with files in them are made by tar."""
    return tuple(sorted(_entries(folder), key=lambda entry: entry.path))


def _entries(folder: Path) -> Iterator[Entry]:
    for file in folder.rglob("*"):
        path = file.relative_to(folder).as_posix()
        if file.is_symlink():
            yield Entry(path, 0, "", is_program=False, target=str(file.readlink()))
        elif file.is_file():
            data = file.read_bytes()
            yield Entry(path, len(data), hashlib.sha256(data).hexdigest(), bool(file.stat().st_mode & 0o100))


def lines_of(entries: Iterable[Entry]) -> str:
    return "".join(f"{entry.line}\n" for entry in entries)


def build_id(entries: Iterable[Entry]) -> str:
    """64 hexadecimal digits that stand for all of it."""
    return hashlib.sha256(lines_of(entries).encode()).hexdigest()


def write_archive(folder: Path, entries: Iterable[Entry], to: BinaryIO) -> None:
    """Write the .tar.gz. Nothing of this machine, of its users or of today is in it."""
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=to, mtime=0) as packed,
        # GNU's, and none of the extensions that not every tar(1) knows.
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for entry in entries:
            header = tarfile.TarInfo(entry.path)
            header.mtime = _MTIME_S
            header.mode = _PROGRAM if entry.is_program else _FILE
            if entry.target is not None:
                header.type, header.linkname = tarfile.SYMTYPE, entry.target
                archive.addfile(header)
            else:
                header.size = entry.size_bytes
                with (folder / entry.path).open("rb") as file:
                    archive.addfile(header, file)


def glibc_needed(folder: Path) -> str:
    """The least version of the C library that programs and libraries of a folder run with: `2.36`.

    They name the versions of the symbols that they take from it (System V ABI, symbol versioning).
    """
    found = (int(minor) for file in folder.rglob("*") if file.is_file() for minor in _glibc.findall(file.read_bytes()))
    return f"2.{max(found)}"
