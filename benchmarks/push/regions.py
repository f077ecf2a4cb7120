"""Real SDK apps, from a home line to five regions: until they are live, and what moves. rsync over the same links."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.push.timed import timed_push
from tests.fleets import Fleet, InLab, made
from tests.guests import build
from tests.guests.catalog import GUESTS
from tests.lab.lab import Lab
from tests.lab.topology import Topology

TOPOLOGY = Path(__file__).parents[2] / "tests" / "lab" / "five-regions.toml"
NODES = ("ams", "fra", "nyc", "sin", "syd")
HOME = "home"
HOME_BYTES_S = 6.25e6
"""Of the line from home, each way: 50 Mbit/s."""
RSYNC_PORT = 8730

CHANGES = {
    "hello-python": ("app.py", "Hello from edged</h1>", "Good day from edged</h1>"),
    "hello-js": ("src/index.js", "Hello from edged.", "Good day from edged."),
}
"""Guest -> file, and the line of it that is changed."""


def measure() -> Iterator[dict[str, Any]]:
    """One row for each app and variant: edged, then rsync."""
    topology = Topology.load(TOPOLOGY)
    home_link = next(index for index, link in enumerate(topology.links) if HOME in {end.place for end in link.ends})
    with tempfile.TemporaryDirectory() as name, Lab(topology, {home_link: HOME_BYTES_S}) as lab:
        folder = Path(name)
        variants = {guest: [build.path(guest), changed(guest, folder)] for guest in CHANGES}
        with fleet_in(lab, folder) as fleet, rsync_at_nodes(lab, folder):
            for guest, components in variants.items():
                for variant, component in zip(("new", "one line changed"), components, strict=True):
                    app = app_of(folder / "apps" / guest, guest, component)
                    yield {"app": guest, "variant": variant, "by": "edged push", **pushed(lab, fleet, app)}
                    yield {"app": guest, "variant": variant, "by": "rsync -az", **copied(lab, component)}


def changed(guest: str, folder: Path) -> Path:
    """The component of a guest with one line changed, built by its SDK."""
    file, before, after = CHANGES[guest]
    source = GUESTS[guest].files[file].read_text()
    assert source.count(before) == 1
    edited = folder / f"{guest}-{Path(file).name}"
    edited.write_text(source.replace(before, after))
    files = {**GUESTS[guest].files, file: edited}
    return build.component(replace(GUESTS[guest], name=f"{guest}-changed", files=files))


@contextmanager
def fleet_in(lab: Lab, folder: Path) -> Iterator[Fleet]:
    with made(folder / "fleet", InLab(lab), {name: name for name in NODES}, publisher=HOME) as fleet:
        yield fleet


@contextmanager
def rsync_at_nodes(lab: Lab, folder: Path) -> Iterator[None]:
    """A daemon at each node: no ssh in the way, which would cost two more round trips each time."""
    processes = []
    for name in NODES:
        place = folder / "rsync" / name
        (place / "files").mkdir(parents=True)
        config = place / "rsyncd.conf"
        config.write_text(
            f"use chroot = no\nport = {RSYNC_PORT}\nuid = root\ngid = root\n"
            f"[files]\npath = {place / 'files'}\nread only = no\n"
        )
        command = ["rsync", "--daemon", "--no-detach", f"--config={config}"]
        processes.append(lab.start(name, command, log=place / "log"))
    yield
    for process in processes:
        lab.end(process)


def app_of(folder: Path, guest: str, component: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(component, folder / "app.wasm")
    (folder / "spin.toml").write_text(
        f'spin_manifest_version = 2\n[application]\nname = "{guest}"\nversion = "1.0.0"\n'
        '[[trigger.http]]\nroute = "/..."\ncomponent = "app"\n[component.app]\nsource = "app.wasm"\n'
    )
    return folder


def pushed(lab: Lab, fleet: Fleet, app: Path) -> dict[str, Any]:
    before = counters(lab)
    push = timed_push(fleet, app)
    return push.row() | moved(before, counters(lab))


def copied(lab: Lab, component: Path) -> dict[str, Any]:
    """The same file to all nodes at once, which is quicker than one after the other."""
    before = counters(lab)
    began = time.monotonic()
    processes = {
        name: lab.start(
            HOME,
            ["rsync", "-az", "--no-times", component, f"rsync://{lab.address(name)}:{RSYNC_PORT}/files/app.wasm"],
            log=Path("/dev/null"),
        )
        for name in NODES
    }
    there_s = {}
    for name, process in processes.items():
        if process.wait():
            raise RuntimeError(f"rsync to {name} failed")
        there_s[name] = round(time.monotonic() - began, 2)
    return {"total_s": max(there_s.values())} | moved(before, counters(lab))


def counters(lab: Lab) -> dict[str, int]:
    """Bytes that left each place, on all its interfaces."""
    found = {}
    for place in lab.topology.addresses:
        lines = lab.run(place, ["cat", "/proc/net/dev"]).splitlines()[2:]
        rows = (line.split(":") for line in lines)
        found[place] = sum(int(fields.split()[8]) for name, fields in rows if name.strip() != "lo")
    return found


def moved(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {
        "bytes_from_home": after[HOME] - before[HOME],
        "bytes_all_links": sum(after.values()) - sum(before.values()),
    }
