"""Build guests, each once: `python -m tests.guests.build [NAME...]`, or `build.path(name)` in a test.

Without names the command builds all that tools are needed for, two at a time, and says what it does.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.guests import cache, tools, wat
from tests.guests.catalog import GUESTS, Guest

_RECIPE = Path(__file__)
_PARALLEL = 2  # a build is half waiting for the network or for one core


def path(name: str, report: cache.Report = cache.silent) -> Path:
    """The component of a guest, of `catalog.py` or of `wat/`, built if it is not there yet.

    Raises:
        tools.BuildError: a tool is missing or failed.
        KeyError: there is no such guest.
    """
    if name in wat.names():
        text = wat.text(name)
        return cache.entry(f"wat-{name}", cache.key([text]), ".wasm", lambda to: _write(to, wat.wasm(name)), report)
    return component(GUESTS[name], report)


def component(guest: Guest, report: cache.Report = cache.silent) -> Path:
    """As `path`, of a guest that need not be in the catalog."""
    parts: list[str | Path] = [_RECIPE, *guest.files, *guest.files.values()]
    parts += [tool.key() for tool in (guest.venv, guest.modules) if tool is not None]
    return cache.entry(guest.name, cache.key(parts), ".wasm", lambda to: _make(guest, to, report), report)


def _write(to: Path, content: bytes) -> None:
    to.write_bytes(content)


def _make(guest: Guest, to: Path, report: cache.Report) -> None:
    """Run make in a folder of copies, where the tools stand as if make had fetched them."""
    command = ["make", "--silent"]
    programs = []
    with tempfile.TemporaryDirectory(prefix=f"{guest.name}-") as scratch:
        folder = Path(scratch)
        for place, source in guest.files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / place)
        if guest.venv is not None:
            venv = guest.venv.path(report)
            command += [f"VENV={venv}", f"--old-file={venv}"]
        if guest.modules is not None:
            (folder / "node_modules").symlink_to(guest.modules.path(report))
            command.append("--old-file=node_modules")
            programs.append(guest.modules.node.path(report) / "bin")
        tools.run(command, folder, *programs)
        shutil.copy(folder / "app.wasm", to)


def main(arguments: list[str]) -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.guests.build", description="Build the guests that tests run."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a guest; all that tools build if none is named")
    names = parser.parse_args(arguments).names or list(GUESTS)
    for name in names:
        if name not in GUESTS and name not in wat.names():
            parser.error(f"there is no guest {name!r}; there are {', '.join([*GUESTS, *wat.names()])}")
    begin = time.monotonic()
    lock = threading.Lock()

    def report(name: str, event: str) -> None:
        with lock:
            print(f"{time.monotonic() - begin:6.1f} s  {name:24} {event}", flush=True)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        builds = {name: pool.submit(path, name, report) for name in names}
    failed = {name: build.exception() for name, build in builds.items() if build.exception() is not None}
    for name, error in failed.items():
        print(f"{name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
