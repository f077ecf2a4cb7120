"""What `edged bundle` shows: a bar while it works, then what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from edged.bundle.file import signed_by
from edged.bundle.lock import component_entry, file_entry
from edged.bundle.look import Inspected
from edged.cli.words import plural, size
from edged.readable import readable
from registry.oci.spin import Imported
from registry.release_store import StoredRelease

_UNSIGNED = "unsigned: no fleet will run it; sign with --key"


class Bar:
    """A progress bar on stderr, if that is a terminal. `show` may be called from any thread."""

    def __init__(self, title: str, *, hidden: bool) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(binary_units=True))
        hidden = hidden or not console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=hidden)
        self._task = self._progress.add_task(readable(title), total=None)

    def show(self, done: int, total: int) -> None:
        """Bytes done, of how many."""
        self._progress.update(self._task, completed=done, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()


def print_json(value: Mapping[str, object]) -> None:
    """One line."""
    click.echo(json.dumps(value))


def show_release(
    stored: StoredRelease, *, as_json: bool, file: Path | None = None, inspected: Inspected | None = None
) -> None:
    """Say what a bundle holds.

    Args:
        file: that was written.
        inspected: what else is known of it.
    """
    release = stored.release
    keys = signed_by(stored)
    if as_json:
        about: dict[str, object] = {
            "app": release.app,
            "version": release.version,
            "release": stored.digest,
            "bytes": release.size,
            "chunks": len(release.chunks()),
            "files": [{"path": entry.path, "bytes": entry.blob.size} for entry in release.entries],
            "signed_by": list(keys),
        }
        if file is not None:
            about["file"] = str(file)
        if inspected is not None:
            place = inspected.placement
            about["profile"] = inspected.lock.profile
            about["components"] = [_component(stored, id_, paths) for id_, paths in inspected.lock.components.items()]
            about["placement"] = {
                "hosts": list(place.hosts),
                "regions": list(place.regions),
                "limits": dict(place.limits),
                "probe": place.probe,
            }
        print_json(about)
        return
    _line("app", f"{release.app} {release.version}".rstrip())
    _line("release", stored.digest)
    _line("holds", f"{size(release.size)} in {plural(len(release.entries), 'file')}")
    _line("signed by", ", ".join(key[:16] for key in keys) if keys else _UNSIGNED)
    if inspected is not None:
        for id_, paths in inspected.lock.components.items():
            count = _component(stored, id_, paths)["bytes"]
            assert isinstance(count, int)
            _line("component", f"{id_}, {size(count)}, {plural(len(paths), 'file')}")
    if file is not None:
        _line("written", str(file))


def show_imported(imported: Imported, folder: Path, missing: Sequence[str], *, as_json: bool) -> None:
    """Say what became of an image.

    Args:
        missing: what the app asks for and edged does not have, a line each.
    """
    if as_json:
        print_json(
            {
                "app": imported.name,
                "version": imported.version,
                "image": imported.digest,
                "components": imported.component_count,
                "files": imported.file_count,
                "folder": str(folder),
                "unsupported": list(missing),
            }
        )
        return
    _line("app", f"{imported.name} {imported.version}".rstrip())
    _line("image", imported.digest)
    _line("holds", f"{plural(imported.component_count, 'component')}, {plural(imported.file_count, 'file')}")
    for line in missing:
        _line("unsupported", line)
    _line("written", str(folder))


def _component(stored: StoredRelease, id_: str, paths: Sequence[str]) -> dict[str, object]:
    """The size of a component with its files."""
    own = {component_entry(id_), *(file_entry(id_, path) for path in paths)}
    count = sum(entry.blob.size for entry in stored.release.entries if entry.path in own)
    return {"id": id_, "bytes": count, "files": list(paths)}


def _line(name: str, text: str) -> None:
    click.echo(f"{name:<11} {readable(text)}")
