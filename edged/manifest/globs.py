"""Paths and glob patterns of `files` and `exclude_files`, without a file system.

Patterns are those of Spin: `*`, `?` and `[...]` inside a name, `**` as a whole name for any number of folders.
They also match names that begin with a dot. A pattern that ends in `**` names folders only, so it mounts nothing.
In `exclude_files`, `*` crosses slashes: `secrets/*` is everything below `secrets`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

_MAGIC = frozenset("*?[")


def is_glob(pattern: str) -> bool:
    return not _MAGIC.isdisjoint(pattern)


def parts_of(path: str) -> list[str]:
    """Names of a relative path, without the empty ones and `.`: `./a//b/` has two."""
    return [part for part in path.split("/") if part not in ("", ".")]


def guest_path(destination: str) -> str:
    """A destination as an absolute guest path: `assets/`, `/assets` and `//assets/.` are all `/assets`.

    Raises:
        ValueError: with the reason, as a clause that follows the destination.
    """
    parts = parts_of(destination)
    if ".." in parts:
        raise ValueError("must not hold `..`")
    return "/" + "/".join(parts)


def placement_problem(source: str) -> str | None:
    """Why a `source` of files is refused, or None."""
    if source.startswith("/"):
        return "must be relative to the manifest's folder"
    if ".." in source.split("/"):
        return "must not hold `..`: only files in the manifest's folder can be mounted"
    return None


def pattern_problem(pattern: str) -> str | None:
    """Why a pattern of `files` or `exclude_files` is refused, or None."""
    parts = pattern.split("/")
    if reason := placement_problem(pattern):
        return reason
    if parts[-1] == ".":
        return (
            "ends in `.`; write `{ source = ..., destination = ... }` for a folder, or a pattern that ends in `/**/*`"
        )
    if any("**" in part and part != "**" for part in parts):
        return "has a `**` that is not a whole name between slashes"
    if any(_has_open_bracket(part) for part in parts):
        return "has a `[` without its `]`"
    return None


def _has_open_bracket(name: str) -> bool:
    start = name.find("[")
    while start >= 0:
        # As in fnmatch, a `]` right after `[` or `[!` is a member of the set.
        end = name.find("]", start + (3 if name.startswith("!", start + 1) else 2))
        if end < 0:
            return True
        start = name.find("[", end)
    return False


def exclusion(patterns: Iterable[str]) -> re.Pattern[str]:
    """One expression whose `fullmatch` finds the paths, relative to the manifest's folder, that are excluded."""
    return re.compile("|".join(_expression(pattern) for pattern in patterns) or r"(?!)")


def _expression(pattern: str) -> str:
    *above, last = parts_of(pattern) or [""]
    folders = "".join("(?s:.*/)?" if part == "**" else _name_expression(part) + "/" for part in above)
    return folders + _name_expression(last)


def _name_expression(name: str) -> str:
    # fnmatch ends its expression with an anchor of two characters, which only the end of the whole may have.
    return fnmatch.translate(name)[:-2]
