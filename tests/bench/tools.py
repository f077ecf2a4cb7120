"""httping and mtr that print what a test wants, on clients that are folders."""

from __future__ import annotations

from pathlib import Path

from edged.bench.client import Client
from tests.bench.outputs import __file__ as _outputs

OUTPUTS = Path(_outputs).parent
CAT = f"cat {OUTPUTS}/"
STAYS = "exec sleep 600"


def client(folder: Path, name: str = "edi", *, httping: str = "", mtr: str = "") -> Client:
    """A client with these tools alone; each is a shell script, told of its version by itself. "" for none."""
    home = folder / name
    home.mkdir()
    for tool, script, version in (("httping", httping, "HTTPing v2.5 >&2"), ("mtr", mtr, "mtr 0.95")):
        if script:
            _script(home / tool, f'[ "$1" = --version ] && {{ echo {version}; exit; }}\n{script}')
    run = home / "on"
    _script(run, f'PATH={home}:/usr/bin:/bin\ncommand -v "$1" | grep -q "^{home}/" || exit 127\nexec "$@"')
    return Client(name, (str(run),))


def _script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
