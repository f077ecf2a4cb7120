"""What an app's files are right now, so that two moments can be compared.

Whether something changed is decided by looking at the files, never by what the operating system tells of them: its
messages only say when to look. So a file that was touched, or replaced by the same bytes, is no change, and no edit is
lost that happens while a build or a load is under way.

Blocking: call `Scanner.scan` in a thread.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edged.limits import WATCH_ENTRY_COUNT_MAX, WATCH_HASH_BYTES_MAX
from edged.manifest.model import App, Build, FilePattern, PathSource
from edged.up.pattern import Pattern, Position

Stamps = Mapping[Path, str]
"""File -> what tells its content from another: equal stamps, equal content."""


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """Which files matter to an app.

    Attributes:
        inputs: what loading reads: the manifest, sources, mounted files.
        sources: component id -> what its build reads.
        outputs: what builds write; never one of `sources`, or a build would call for the next.
    """

    inputs: tuple[Pattern, ...]
    sources: Mapping[str, tuple[Pattern, ...]]
    outputs: frozenset[Path]

    @staticmethod
    def of(app: App) -> WatchPlan:
        components = app.components.values()
        paths = [component.source.path for component in components if isinstance(component.source, PathSource)]
        outputs = [Path(os.path.normpath(path)) for path in paths]
        files = [
            Pattern.of(app.folder, entry.pattern if isinstance(entry, FilePattern) else entry.source)
            for component in components
            for entry in component.files
        ]
        manifest = Path(os.path.normpath(app.manifest_path))
        return WatchPlan(
            inputs=(Pattern(manifest), *map(Pattern, outputs), *files),
            sources={component.id: _sources(component.build) for component in components if component.build},
            outputs=frozenset(outputs),
        )


def _sources(build: Build) -> tuple[Pattern, ...]:
    """What a build watches; all of its folder if the manifest does not say."""
    return tuple(Pattern.of(build.workdir, glob) for glob in build.watch or (".",))


@dataclass(frozen=True, slots=True)
class Scan:
    """Files at one moment.

    Attributes:
        folders: where a change would be seen, without what is below them.
        complete: no limit was met, so that every change will be seen.
    """

    inputs: Stamps = field(default_factory=dict)
    sources: Mapping[str, Stamps] = field(default_factory=dict)
    folders: frozenset[Path] = frozenset()
    complete: bool = True

    def changes(self, later: Scan) -> list[Path]:
        """Files that were added, removed or changed since, in order."""
        groups = [(self.inputs, later.inputs)]
        groups += [(self.sources.get(id_, {}), later.sources.get(id_, {})) for id_ in {*self.sources, *later.sources}]
        return sorted(
            {path for old, new in groups for path in {*old, *new} if old.get(path) != new.get(path)},
        )


class Scanner:
    """Looks at files, and remembers what it read, so that looking again reads only what was written since."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int, int], str]] = {}

    def scan(self, plan: WatchPlan) -> Scan:
        walk = _Walk(self)
        inputs = walk.files(plan.inputs, frozenset())
        sources = {id_: walk.files(patterns, plan.outputs) for id_, patterns in plan.sources.items()}
        return Scan(inputs, sources, frozenset(walk.folders), walk.entries_left >= 0)

    def stamp(self, path: Path) -> str | None:
        """The stamp of a file; None if it is not there or cannot be read."""
        return self.stamp_of(os.fspath(path))

    def stamp_of(self, path: str) -> str | None:
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):  # a pipe would never be read to its end
                return None
            signature = (found.st_mtime_ns, found.st_size, found.st_ino)
            known = self._known.get(path)
            if known is not None and known[0] == signature:
                return known[1]
            if found.st_size > WATCH_HASH_BYTES_MAX:
                stamp = repr(signature)
            else:
                with open(path, "rb") as file:
                    stamp = hashlib.sha256(file.read(WATCH_HASH_BYTES_MAX)).hexdigest()
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return None
        self._known[path] = (signature, stamp)
        return stamp


class _Walk:
    """One look at everything."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self.folders: set[Path] = set()
        self.entries_left = WATCH_ENTRY_COUNT_MAX

    def files(self, patterns: tuple[Pattern, ...], outputs: frozenset[Path]) -> Stamps:
        stamps: dict[Path, str] = {}
        for pattern in patterns:
            for path in self._matches(pattern):
                stamp = None if path in outputs else self._scanner.stamp_of(os.fspath(path))
                if stamp is not None:
                    stamps[path] = stamp
        return stamps

    def _matches(self, pattern: Pattern) -> Iterator[Path]:
        root = os.fspath(pattern.root)
        if os.path.isdir(root):
            yield from self._below(pattern, root)
            return
        # A file that is replaced, or made, is seen in the folder above it.
        self.folders.add(_existing_folder(pattern.root.parent))
        if not pattern.names and os.path.isfile(root):
            yield pattern.root

    def _below(self, pattern: Pattern, root: str) -> Iterator[Path]:
        todo: list[tuple[str, Position]] = [(root, pattern.start)]
        seen = set()
        while todo:
            folder, position = todo.pop()
            real = os.path.realpath(folder)  # a link to a folder above would go round for ever
            if (real, position) in seen:
                continue
            seen.add((real, position))
            self.folders.add(Path(folder))
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        self.entries_left -= 1
                        if self.entries_left < 0:
                            return
                        if _is_folder(entry):
                            entered = pattern.enter(position, entry.name)
                            if entered:
                                todo.append((entry.path, entered))
                        elif pattern.is_file(position, entry.name):
                            yield Path(entry.path)
            except OSError:
                continue  # removed meanwhile, or not ours to read: there is nothing to see


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # Not `entry.is_dir()`, which raises for a link to itself.
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))


def _existing_folder(path: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
