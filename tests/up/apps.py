"""Apps in a folder, as a developer has them while working."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

MANIFEST = """spin_manifest_version = 2
[application]
name = "app"
[[trigger.http]]
route = "/..."
component = "hello"
[component.hello]
source = "app.wasm"
"""


def write_app(folder: Path, guest: Path, text: str = MANIFEST) -> Path:
    """An app of one component. Returns its folder."""
    folder.mkdir(exist_ok=True)
    (folder / "spin.toml").write_text(text)
    shutil.copy(guest, folder / "app.wasm")
    return folder


def built_app(folder: Path, *guests: Mapping[str, Path], watch: str = '["choice"]') -> Path:
    """An app whose build copies the guest that the file `choice` names, and fails if there is none."""
    text = f'{MANIFEST}[component.hello.build]\ncommand = "cp guests/$(cat choice).wasm app.wasm"\nwatch = {watch}\n'
    (folder / "guests").mkdir(parents=True)
    (folder / "spin.toml").write_text(text)
    for guest in guests:
        for name, path in guest.items():
            shutil.copy(path, folder / "guests" / f"{name}.wasm")
    return folder


def replace(path: Path, data: bytes) -> None:
    """Write a file as an editor does: whole, or not at all."""
    temporary = path.with_name(f".{path.name}.new~")
    temporary.write_bytes(data)
    os.replace(temporary, path)
