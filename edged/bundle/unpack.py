"""A release on disk -> the app that was packed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from edged import manifest
from edged.bundle.lock import LOCK_ENTRY, Lock, component_entry, file_entry, parse_lock
from edged.errors import BundleInvalid
from edged.limits import LOCK_BYTES_MAX
from edged.manifest.model import App, Component, FilePlacement, PathSource
from edged.manifest.problems import shown


def unpack(folder: Path) -> App:
    """The app of a checked-out release, as `edged.app.load_app` takes it. Every path in it is inside of `folder`.

    Components that no trigger calls were not packed, and are not in it. Blocking: call it in a thread.

    Args:
        folder: with every entry of the release as a plain file (`registry.checkout`).

    Raises:
        BundleInvalid: `lock.msgpack` is missing, is not one, or does not fit the manifest.
        ManifestMissing, ManifestError: see `edged.manifest.load`.
    """
    folder = Path(os.path.abspath(folder))
    lock = _read_lock(folder)
    if lock.profile is not None and not _has_profile(app := manifest.load(folder), lock.profile):
        raise BundleInvalid(f"{LOCK_ENTRY} names the profile {shown(lock.profile)}, which {app.manifest_path} has not")
    app = manifest.load(folder, profile=lock.profile)
    called = called_components(app)
    if called != lock.components.keys():
        odd = sorted(called ^ lock.components.keys())[0]
        raise BundleInvalid(f"{LOCK_ENTRY} and {app.manifest_path} do not have the same components: {shown(odd)}")
    components = {id_: _located(folder, app.components[id_], lock) for id_ in app.components if id_ in called}
    left_out = app.left_out | (app.components.keys() - called)
    return replace(app, components=MappingProxyType(components), left_out=left_out)


def called_components(app: App) -> frozenset[str]:
    """Ids of the components that a trigger calls: those that are loaded."""
    return frozenset(trigger.component for trigger in app.triggers if trigger.component is not None)


def _located(folder: Path, component: Component, lock: Lock) -> Component:
    files = tuple(FilePlacement(file_entry(component.id, path), path) for path in lock.components[component.id])
    source = PathSource(folder / component_entry(component.id))
    return replace(component, source=source, files=files, exclude_files=(), build=None)


def _has_profile(app: App, name: str) -> bool:
    return any(name in component.profiles for component in app.components.values())


def _read_lock(folder: Path) -> Lock:
    file = folder / LOCK_ENTRY
    try:
        with file.open("rb") as stream:
            data = stream.read(LOCK_BYTES_MAX + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise BundleInvalid(f"{file} cannot be read", remedy="Fetch the release again.") from error
    return parse_lock(data)
