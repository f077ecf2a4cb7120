"""One files with the real head, and a program of a few lines behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.binary.contents import build_id, entries_of, write_archive
from provisioning.binary.header import header

# Says how it was started; what it is told to by its first argument, it does.
_PROGRAM = f"""#!{sys.executable} -I
import json, os, stat, sys
if sys.argv[1:] == ["--version"]:
    sys.exit(0)
if sys.argv[1:2] == ["exit"]:
    sys.exit(int(sys.argv[2]))
umask = os.umask(0)
descriptors = {{}}
for name in os.listdir("/proc/self/fd"):
    try:
        descriptors[name] = stat.S_IFMT(os.fstat(int(name)).st_mode)
    except OSError:
        pass  # the listing itself
try:
    folder = os.getcwd()
except FileNotFoundError:
    folder = None
print(json.dumps({{
    "program": os.path.abspath(__file__), "arguments": sys.argv[1:], "pid": os.getpid(), "umask": umask,
    "environment": dict(os.environ), "descriptors": descriptors, "folder": folder, "stdin": sys.stdin.read(),
}}))
"""
_LIBRARY_BYTES = 3 * 1024 * 1024  # more than any pipe or buffer on the way


@dataclass(frozen=True)
class Done:
    """A start that ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def said(self) -> dict[str, Any]:
        """What the program said of itself. It has run."""
        assert self.status == 0, self.stderr
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class OneFile:
    """One to start.

    Attributes:
        file: it.
        build: its build id.
        unpack: EDGED_UNPACK_DIR, which tests give it.
    """

    file: Path
    build: str
    unpack: Path

    @property
    def program(self) -> Path:
        return self.unpack / self.build / "edged"

    def run(
        self,
        *arguments: str,
        command: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        **options: Any,
    ) -> Done:
        """Start it and wait for its end.

        Args:
            command: in place of its path: how it is called.
            environment: the whole of it; as usual, with the folder, if there is none.
        """
        started = subprocess.run(
            [*(command or [str(self.file)]), *arguments],
            env=self.environment if environment is None else dict(environment),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **options,
        )
        return Done(started.returncode, started.stdout, started.stderr)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "EDGED_UNPACK_DIR": str(self.unpack)}

    def left_behind(self) -> list[str]:
        """What is in the folder beside the program's own."""
        return sorted(set(os.listdir(self.unpack)) - {self.build}) if self.unpack.exists() else []


def one_file(folder: Path, program: str = _PROGRAM, *, shell: str = "/bin/sh", name: str = "edged") -> OneFile:
    """Make one, in a folder that has a space in its name."""
    content = folder / "content"
    (content / "_internal" / "deeper").mkdir(parents=True)
    (content / "edged").write_text(program)
    (content / "edged").chmod(0o755)
    (content / "_internal" / "deeper" / "library").write_bytes(os.urandom(_LIBRARY_BYTES))
    (content / "_internal" / "link").symlink_to("deeper/library")
    entries = entries_of(content)
    build = build_id(entries)
    file = folder / "a folder" / name
    file.parent.mkdir()
    with file.open("wb") as opened:
        head = header(build, version="0.1.0 (commit 0123456789ab)", machine="x86_64", glibc="2.36")
        opened.write(head.replace(b"#!/bin/sh", f"#!{shell}".encode(), 1)[: len(head)])
        write_archive(content, entries, opened)
    file.chmod(0o755)
    return OneFile(file, build, folder / "unpacked")
