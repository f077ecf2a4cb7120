"""`files` of a component -> what is mounted where: guest path -> host file.

Only regular files inside the app's folder are mounted. Links are followed, but one that leads outside is refused; the
host paths given are real ones, so that a link changed later changes nothing. Blocking: call it in a thread.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from edged.errors import ManifestError, SourceMissing
from edged.limits import MOUNT_ENTRY_COUNT_MAX, MOUNT_FILE_COUNT_MAX
from edged.manifest.globs import exclusion, guest_path, is_glob, parts_of
from edged.manifest.model import App, Component, FilePattern, FilePlacement
from edged.manifest.problems import shown

_WHOLE_FOLDER = ("**", "*")


def mount(app: App, component: Component) -> Mapping[str, Path]:
    """Every file that a component may read: absolute guest path -> real host path, ordered by guest path.

    Where two entries of `files` give the same guest path, the later one counts.

    Raises:
        SourceMissing: a path that is not there or cannot be read.
        ManifestError: a file outside of the app's folder, too many files, or a guest path that is both a file and a
            folder.
    """
    return _Mounter(app, component).mount()


class _Folder(NamedTuple):
    """A folder on the way down."""

    relative: str  # to the app's folder, as the pattern reached it
    real: str
    above: tuple[str, ...]  # real paths of the folders it was reached through, to notice a loop of links


class _Mounter:
    def __init__(self, app: App, component: Component) -> None:
        self._app = app
        self._component = component
        self._root = os.path.realpath(app.folder)
        self._excluded: re.Pattern[str] = exclusion(component.exclude_files)
        self._entries_seen = 0

    def mount(self) -> Mapping[str, Path]:
        mounted: dict[str, Path] = {}
        for entry in self._component.files:
            for guest, host in self._pattern(entry) if isinstance(entry, FilePattern) else self._placement(entry):
                mounted[guest] = Path(host)
                if len(mounted) > MOUNT_FILE_COUNT_MAX:
                    raise self._error(f"mounts more than {MOUNT_FILE_COUNT_MAX} files")
        for guest in mounted:
            for parent in Path(guest).parents:
                if str(parent) in mounted:
                    raise self._error(f"mounts {shown(str(parent))} both as a file and as a folder")
        return MappingProxyType(dict(sorted(mounted.items())))

    def _pattern(self, entry: FilePattern) -> Iterator[tuple[str, str]]:
        relative = "/".join(parts_of(entry.pattern))
        path = os.path.join(self._root, relative)
        # A name that exists is itself, even if it looks like a pattern.
        if os.path.isdir(path):
            found = self._walk(relative, _WHOLE_FOLDER)
        elif os.path.isfile(path):
            found = self._file(relative, path)
        elif is_glob(entry.pattern):
            found = self._walk("", tuple(parts_of(entry.pattern)))
        else:
            raise self._missing(entry.pattern)
        for relative, real in found:
            yield "/" + relative, real

    def _placement(self, entry: FilePlacement) -> Iterator[tuple[str, str]]:
        relative = "/".join(parts_of(entry.source))
        path = os.path.join(self._root, relative)
        destination = guest_path(entry.destination)
        if os.path.isdir(path):
            above = f"{relative}/" if relative else ""
            for found, real in self._walk(relative, _WHOLE_FOLDER):
                yield f"{destination.rstrip('/')}/{found.removeprefix(above)}", real
        elif os.path.isfile(path):
            if destination == "/" or entry.destination.endswith("/"):
                raise self._error(
                    f"mounts the file {shown(entry.source)} at {shown(entry.destination)}, a folder's name"
                )
            for _, real in self._file(relative, path):
                yield destination, real
        else:
            raise self._missing(entry.source)

    def _walk(self, base: str, parts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """Files below `base` that match: path relative to the app's folder, and real path."""
        # A stack of our own: the depth of a tree is not ours to choose.
        start = _Folder(base, self._inside(base, os.path.join(self._root, base)), ())
        todo = [(start, 0)]
        seen = set()
        while todo:
            folder, index = todo.pop()
            if (folder.relative, index) in seen:
                continue
            seen.add((folder.relative, index))
            part, is_last = parts[index], index == len(parts) - 1
            if part == "**":
                if not is_last:
                    todo.append((folder, index + 1))
                    todo.extend((below, index) for below in self._folders(folder, "*"))
            elif is_last:
                yield from self._files(folder, part)
            else:
                todo.extend((below, index + 1) for below in self._folders(folder, part))

    def _files(self, folder: _Folder, name_pattern: str) -> Iterator[tuple[str, str]]:
        for relative, entry in self._entries(folder, name_pattern):
            if os.path.isfile(entry.path):
                yield from self._file(relative, entry.path)

    def _file(self, relative: str, path: str) -> Iterator[tuple[str, str]]:
        if not self._excluded.fullmatch(relative):
            yield relative, self._inside(relative, path)

    def _folders(self, folder: _Folder, name_pattern: str) -> Iterator[_Folder]:
        for relative, entry in self._entries(folder, name_pattern):
            if not os.path.isdir(entry.path):
                continue
            real = self._inside(relative, entry.path) if entry.is_symlink() else entry.path
            if real not in (*folder.above, folder.real):
                yield _Folder(relative, real, (*folder.above, folder.real))

    def _entries(self, folder: _Folder, name_pattern: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        try:
            with os.scandir(folder.real) as entries:
                matching = [entry for entry in entries if fnmatch.fnmatchcase(entry.name, name_pattern)]
        except OSError as error:
            raise SourceMissing(f"{folder.real} cannot be read: {error.strerror}") from error
        self._entries_seen += len(matching)
        if self._entries_seen > MOUNT_ENTRY_COUNT_MAX:
            raise self._error(f"has patterns that look at more than {MOUNT_ENTRY_COUNT_MAX} files and folders")
        for entry in matching:
            if not entry.name.isprintable() and not _is_unicode(entry.name):
                raise self._error(f"mounts a file whose name is not UTF-8, in {shown(folder.relative or '.')}")
            yield f"{folder.relative}/{entry.name}".lstrip("/"), entry

    def _inside(self, relative: str, path: str) -> str:
        """The real path, which must be in the app's folder."""
        real = os.path.realpath(path)
        if real != self._root and not real.startswith(self._root.rstrip("/") + "/"):
            raise self._error(f"mounts {shown(relative)}, a link that leads out of the app's folder")
        return real

    def _missing(self, path: str) -> SourceMissing:
        return SourceMissing(
            f"{self._where()}: component `{self._component.id}` mounts {shown(path)}, which is not a file or folder"
        )

    def _error(self, text: str) -> ManifestError:
        return ManifestError(
            f"{self._where()}: component `{self._component.id}` {text}", remedy="Correct `files` in the manifest."
        )

    def _where(self) -> str:
        return f"{self._app.manifest_path}:{self._component.line}"


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # the lone surrogates that stand for undecodable bytes
        return False
    return True
