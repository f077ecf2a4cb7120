"""Releases as they are checked out on a node: folders with one guest of tests/guests/wat each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edged.bundle.lock import LOCK_ENTRY, Lock, component_entry
from edged.worker.table import Site
from tests.guests import wat

_MANIFEST = """
spin_manifest_version = 2
[application]
name = "{name}"
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "guest.wasm"
"""


def checkout(folder: Path, guest: str, name: str = "app", *, extra: str = "") -> Path:
    """A folder with a release of one guest. `extra` as in `tests.guests.wat.text`."""
    folder.mkdir(parents=True)
    (folder / "spin.toml").write_text(_MANIFEST.format(name=name))
    (folder / LOCK_ENTRY).write_bytes(Lock(None, {"guest": ()}).encode())
    component = folder / component_entry("guest")
    component.parent.mkdir()
    component.write_bytes(wat.wasm(guest, extra=extra))
    return folder


def site(
    folder: Path,
    app: str,
    sequence: int = 1,
    *,
    serve: bool = True,
    probe: str = "",
    hosts: tuple[str, ...] | None = None,
    limits: Mapping[str, int | float] | None = None,
) -> Site:
    return Site(
        key=f"{app}@1.{sequence}",
        app=app,
        folder=str(folder),
        hosts=(f"{app}.test",) if hosts is None else hosts,
        limits=limits or {},
        serve=serve,
        probe=probe,
    )
