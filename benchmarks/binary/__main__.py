"""What the one file costs beside the checkout: `python -m benchmarks.binary`; README.md has more."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provisioning.binary.header import build_id_of
from tests.edged_command import EDGED_BIN, edged_command
from tests.fleets import FleetNode, app_folder, descendants, fleet_on_loopback, saying
from tests.one_file import binary

_POLL_S = 0.002
_ANSWER_S_MAX = 60.0
_HOST = "hello.edged.localhost"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.binary", description="What the one file costs.")
    parser.add_argument("--rounds", type=int, default=7, help="of each start; medians are shown")
    rounds = parser.parse_args().rounds
    file = binary()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for measured in (sizes(file), starts(file, folder, rounds), node_starts(file, folder, rounds)):
            print(json.dumps(measured), flush=True)


def sizes(file: Path) -> dict[str, object]:
    """What is moved and what is on the disk."""
    lines = file.with_name(f"{file.name}.files")
    unpacked = sum(int(line.split()[1]) for line in lines.read_text().splitlines() if " -> " not in line)
    return {"question": "size", "file_mb": file.stat().st_size / 1e6, "unpacked_mb": unpacked / 1e6}


def starts(file: Path, folder: Path, rounds: int) -> dict[str, object]:
    """`edged --version`, in ms: the first of all, one whose files are on the disk only, and others."""
    unpack = folder / "unpacked"
    environment = {**os.environ, "EDGED_UNPACK_DIR": str(unpack)}
    build = build_id_of(file)
    assert build is not None

    def one_file() -> float:
        return timed([str(file), "--version"], environment)

    first, cold, warm, venv = [], [], [], []
    for _ in range(rounds):
        shutil.rmtree(unpack, ignore_errors=True)
        first.append(one_file())
        forget(unpack / build)
        cold.append(one_file())
        warm.append(one_file())
        with edged_from(None):
            venv.append(timed(edged_command("--version"), environment))
    medians = {
        name: statistics.median(each) for name, each in (("first_ms", first), ("cold_ms", cold), ("warm_ms", warm))
    }
    return {"question": "--version", **medians, "venv_ms": statistics.median(venv)} | {
        "ratio": statistics.median(one / other for one, other in zip(warm, venv, strict=True))
    }


def node_starts(file: Path, folder: Path, rounds: int) -> dict[str, object]:
    """A node that has an app and its compiled code: from exec to the first answered request, in ms."""
    found: dict[str, list[float]] = {"one_file": [], "venv": []}
    cpu: dict[str, list[float]] = {"one_file": [], "venv": []}
    with edged_from(file), fleet_on_loopback(folder / "fleet", {"eu-1": "eu"}) as fleet:
        fleet.push(app_folder(folder / "app", "hello", saying("one")))
        node = fleet["eu-1"]
        for _ in range(rounds):
            for name, which in (("one_file", file), ("venv", None)):
                node.stop()
                with edged_from(which):
                    found[name].append(until_answered(node))
                    cpu[name].append(cpu_ms(node))
    return {
        "question": "node",
        **{f"{name}_ms": statistics.median(each) for name, each in found.items()},
        "one_file_worst_ms": max(found["one_file"]),
        **{f"{name}_cpu_ms": statistics.median(each) for name, each in cpu.items()},
        "ratio": statistics.median(one / other for one, other in zip(found["one_file"], found["venv"], strict=True)),
    }


def until_answered(node: FleetNode) -> float:
    began = time.perf_counter()
    node.start(wait=False)
    while time.perf_counter() - began < _ANSWER_S_MAX:
        try:
            if node.get(host=_HOST) == (200, b"one"):
                return (time.perf_counter() - began) * 1000
        except OSError:
            pass
        time.sleep(_POLL_S)
    raise AssertionError("the node did not answer")


def cpu_ms(node: FleetNode) -> float:
    """CPU time of a node and its children so far, which a busy machine does not stretch as much."""
    assert node.process is not None
    ticks = 0
    for pid in (node.process.pid, *descendants(node.process.pid)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def timed(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def forget(folder: Path) -> None:
    """Let the kernel drop what it has of these files in memory (posix_fadvise(2)); others of this machine stay."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


@contextmanager
def edged_from(file: Path | None) -> Iterator[None]:
    """What tests and benchmarks start meanwhile: the one file, or the checkout."""
    before = os.environ.pop(EDGED_BIN, None)
    if file is not None:
        os.environ[EDGED_BIN] = str(file)
    try:
        yield
    finally:
        os.environ.pop(EDGED_BIN, None)
        if before is not None:
            os.environ[EDGED_BIN] = before


if __name__ == "__main__":
    main()
