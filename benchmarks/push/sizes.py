"""An app of 2 000 small files, one of a single file of 500 MB, and a fleet with 200 apps: times and memory."""

from __future__ import annotations

import os
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.push.timed import timed_push
from tests.fleets import Fleet, app_folder, descendants, fleet_on_loopback, saying

REGIONS = {"eu-1": "eu", "us-1": "us"}
MB = 1_000_000


def measure() -> Iterator[dict[str, Any]]:
    """One row for each question."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with fleet_on_loopback(folder / "fleet", REGIONS) as fleet:
            yield {"what": "2 000 files of 1 to 8 KB", **one(fleet, small_files(folder / "small"))}
            yield {"what": "one of them changed", **one(fleet, small_files(folder / "small", changed=True))}
            yield {"what": "one file of 500 MB", **one(fleet, large_file(folder / "large"))}
        with fleet_on_loopback(folder / "many", REGIONS) as fleet:
            yield from many(fleet, folder / "apps")


def one(fleet: Fleet, app: Path) -> dict[str, Any]:
    push = timed_push(fleet, app)
    return push.row() | {"memory": memory(fleet)}


def small_files(folder: Path, *, changed: bool = False) -> Path:
    app = app_folder(folder, "small", saying("small"), files='[{ source = "files", destination = "/" }]')
    (folder / "files").mkdir(exist_ok=True)
    rng = random.Random(1)
    for number in range(2000):
        (folder / "files" / f"{number}").write_bytes(rng.randbytes(rng.randint(1000, 8000)))
    if changed:
        (folder / "files" / "7").write_text("changed")
    return app


def large_file(folder: Path) -> Path:
    app = app_folder(folder, "large", saying("large"), files='["noise"]')
    with (folder / "noise").open("wb") as file:
        for _ in range(500):
            file.write(os.urandom(MB))  # which no compression makes smaller
    return app


def many(fleet: Fleet, folder: Path, count: int = 200) -> list[dict[str, Any]]:
    """So many apps, one after the other; then a node that starts with all of them."""
    pushes = []
    for number in range(count):
        push = timed_push(fleet, app_folder(folder / f"{number}", f"app-{number}", saying(f"{number:04}")))
        pushes.append(push.total_s)
    node = fleet["eu-1"]
    grown = memory(fleet)
    node.stop()
    began = time.monotonic()
    node.start()
    ready_s = time.monotonic() - began
    last = f"app-{count - 1}.edged.localhost"
    while node.get(host=last)[0] != 200:
        pass
    began_status = time.monotonic()
    fleet.status()
    return [
        {
            "what": f"{count} apps",
            "first_push_s": round(pushes[0], 2),
            "last_push_s": round(pushes[-1], 2),
            "all_s": round(sum(pushes), 1),
            "memory": grown,
        },
        {
            "what": f"a node starts with {count} apps",
            "ready_s": round(ready_s, 2),
            "all_served_s": round(began_status - began, 2),
            "status_s": round(time.monotonic() - began_status, 2),
            "memory": memory(fleet),
        },
    ]


def memory(fleet: Fleet) -> dict[str, float]:
    """Of the first node, MB: highest so far of the supervisor and of its worker."""
    node = fleet["eu-1"]
    assert node.process is not None
    worker = node.workers()[0]
    assert worker in descendants(node.process.pid)
    return {"supervisor_mb": peak(node.process.pid), "worker_mb": peak(worker)}


def peak(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return round(int(found[1]) * 1024 / MB, 1)
