"""Paths and globs to watch, as a walk over folders needs them: which entries of a folder match, and which lead on.

A glob is Spin's: `*`, `?` and `[...]` inside a name, `**` for any number of folders. The names before the first of them
are where the walk begins, so that a glob in `src` never looks at `node_modules`.
"""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass
from pathlib import Path

from edged.manifest.globs import is_glob

OUTPUT_FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", ".jj",
        "__pycache__", ".venv", "venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox",
        "node_modules", "dist", "build", "out", "target", ".spin", ".edged", ".cache", ".idea", ".vscode",
    }
)  # fmt: skip
"""Folders that tools write, and nobody edits. A pattern looks into one only if it names it."""

# What editors leave beside the file that is edited: swap files, backups, locks, vim's probe of a folder.
_editor_file = re.compile(r"\..*\.sw[a-z]|.*~|\.#.*|#.*#|4913|\.DS_Store").fullmatch

Position = frozenset[int]
"""Where in a pattern a folder is: `**` lets it be in several places at once."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern below a folder.

    Attributes:
        root: the path before the first name with a wildcard; absolute.
        names: the rest; empty for a path that is meant itself: a file, or a folder with all that is below it.
    """

    root: Path
    names: tuple[str, ...] = ()

    @staticmethod
    def of(folder: Path, text: str) -> Pattern:
        """Parse a path or glob relative to `folder`."""
        parts = Path(os.path.normpath(folder / text)).parts
        wild = next((index for index, part in enumerate(parts) if is_glob(part)), len(parts))
        return Pattern(Path(*parts[:wild]), parts[wild:])

    @property
    def start(self) -> Position:
        return self._closure({0})

    def is_file(self, position: Position, name: str) -> bool:
        """Whether the file `name` in a folder at `position` is one of the pattern's."""
        if _editor_file(name):
            return False
        return not self.names or any(
            index < len(self.names) and self._matches(index, name) and self._ends(index) for index in position
        )

    def enter(self, position: Position, name: str) -> Position | None:
        """The position in the folder `name` of a folder at `position`; None if nothing in it can match."""
        if not self.names:
            return None if name in OUTPUT_FOLDERS else position
        if name in OUTPUT_FOLDERS and name not in self.names:
            return None
        entered = {
            index if self.names[index] == "**" else index + 1
            for index in position
            if index < len(self.names) and self._matches(index, name)
        }
        return self._closure(entered - {len(self.names)}) or None

    def _matches(self, index: int, name: str) -> bool:
        return self.names[index] == "**" or fnmatch.fnmatchcase(name, self.names[index])

    def _ends(self, index: int) -> bool:
        """Whether a file may be matched by the name at `index`: nothing but `**` follows it."""
        return all(name == "**" for name in self.names[index + 1 :])

    def _closure(self, position: set[int]) -> Position:
        """`**` also stands for no folder at all."""
        for index, name in enumerate(self.names):
            if name == "**" and index in position:
                position.add(index + 1)
        return frozenset(position)
