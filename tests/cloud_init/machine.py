"""A machine in a folder, on which the scripts of cloud-init/ run as they are: `EDGED_ROOT` leads them there.

Nothing waits for real: what the scripts call as `sleep` notes for how long, runs what the test has put between two
rounds, and ends the script when there were as many pauses as the test allows.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from provisioning import paths

TEMPLATES = Path(__file__).parents[2] / "cloud-init"
_TIMEOUT_S = 120.0

_SLEEP = """\
#!/bin/sh
echo "$1" >>{folder}/pauses
count=$(wc -l <{folder}/pauses)
[ "$count" -lt {pauses_max} ] || kill -TERM "$PPID"
[ ! -e {folder}/between-$count ] || . {folder}/between-$count
"""


def binary(says: str = "1", *, status: int = 0) -> bytes:
    """What stands for the one file: it says a version, and ends with a status."""
    return f"#!/bin/sh\necho 'edged, version {says}'\nexit {status}\n".encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Machine:
    """See the module.

    Args:
        pauses_max: after so many the script is ended by SIGTERM.
    """

    def __init__(self, folder: Path, *, pauses_max: int = 1) -> None:
        self.root = folder / "root"
        self.pauses_max = pauses_max
        self._folder = folder
        self._tools = folder / "tools"
        self._tools.mkdir(parents=True)
        self._tool("sleep", _SLEEP.format(folder=shlex.quote(str(folder)), pauses_max=pauses_max))
        self._scripts = TEMPLATES
        for folder_of in (paths.BINARIES, paths.CONFIG_FOLDER, paths.COMMAND.parent):
            self.at(folder_of).mkdir(parents=True, exist_ok=True)
        self.put(paths.NOT_HERE, (TEMPLATES / "not-here").read_bytes(), 0o755)

    def at(self, path: os.PathLike[str] | str) -> Path:
        return self.root / str(path).lstrip("/")

    def put(self, path: os.PathLike[str] | str, data: bytes, mode: int = 0o644) -> Path:
        file = self.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(mode)
        return file

    def provision(self, digest: str, *urls: str, path: Path | str = "") -> None:
        """binary.env, as provisioning writes it."""
        text = f"EDGED_SHA256={digest}\nEDGED_URLS={' '.join(urls)}\nEDGED_PATH={path}\n"
        self.put(paths.BINARY_ENV, text.encode())

    def install(self, data: bytes, *, name: str = "") -> Path:
        """A binary as an earlier run or `edged upgrade` has left it, in use."""
        file = self.put(paths.BINARIES / (name or f"edged-{sha256(data)}"), data, 0o755)
        command = self.at(paths.COMMAND)
        command.unlink(missing_ok=True)
        command.symlink_to(file)
        return file

    def change(self, old: str, new: str) -> None:
        """Have a limit of edged-fetch another value, which waiting for would take too long."""
        text = (TEMPLATES / "edged-fetch").read_text()
        assert text.count(old) == 1, old
        self._scripts = self._folder / "scripts"
        self._scripts.mkdir()
        (self._scripts / "edged-fetch").write_text(text.replace(old, new))

    def between(self, pause: int, script: str) -> None:
        """Run a piece of sh in the n-th pause, counted from 1."""
        (self._folder / f"between-{pause}").write_text(script)

    def start(self) -> subprocess.Popen[str]:
        """edged-fetch, which leads a process group."""
        return subprocess.Popen(
            ["dash", str(self._scripts / "edged-fetch")],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def fetch(self) -> tuple[int, str]:
        """Run edged-fetch to its end: its status, and what it told the journal."""
        with self.start() as process:
            output, _ = process.communicate(timeout=_TIMEOUT_S)
        return process.returncode, output

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What COMMAND leads to, as its users start it."""
        return subprocess.run(
            [str(self.at(paths.COMMAND)), *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )

    @property
    def state(self) -> dict[str, str]:
        """FETCH_STATE."""
        lines = self.at(paths.FETCH_STATE).read_text("ascii").splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def pauses(self) -> list[int]:
        """Seconds between rounds."""
        try:
            return [int(line) for line in (self._folder / "pauses").read_text().split()]
        except FileNotFoundError:
            return []

    @property
    def binaries(self) -> set[str]:
        """Names beside the scripts."""
        return {file.name for file in self.at(paths.BINARIES).iterdir()} - {"not-here", "edged-fetch"}

    @property
    def in_use(self) -> str:
        """Name of what COMMAND leads to."""
        return self.at(paths.COMMAND).readlink().name

    def _tool(self, name: str, text: str) -> None:
        (self._tools / name).write_text(text)
        (self._tools / name).chmod(0o755)

    def _environment(self) -> dict[str, str]:
        path: Sequence[str] = (str(self._tools), "/usr/local/bin", "/usr/bin", "/bin")
        return {"PATH": ":".join(path), "EDGED_ROOT": str(self.root)}
