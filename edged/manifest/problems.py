"""What is wrong with a manifest: found together, reported as one error.

A parser raises `Invalid` with every problem that it found; whoever calls it either lets that pass or gathers it
with its own in `Problems`. `edged.manifest.load` turns the lot into one `ManifestError`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple, TypeVar

from edged.errors import ManifestError
from edged.limits import MANIFEST_GUESS_COUNT_MAX, MANIFEST_PROBLEM_COUNT_MAX, MANIFEST_SHOWN_CHARS_MAX

A = TypeVar("A")
T = TypeVar("T")


class Problem(NamedTuple):
    """One fault: the line it is on (from 1) and a clause that names the key."""

    line: int
    text: str


class Invalid(Exception):
    """A part of the manifest that could not become a value. Never leaves this package."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


class Problems:
    """Gathers the problems of several parts, so that a user sees them all at once."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, line: int, text: str) -> None:
        self._found.append(Problem(line, text))

    def attempt(self, parse: Callable[[A], T], argument: A) -> T | None:
        """`parse(argument)`, or None with its problems gathered."""
        try:
            return parse(argument)
        except Invalid as invalid:
            self._found.extend(invalid.problems)
            return None

    def check(self) -> None:
        """Raise `Invalid` with everything gathered, if there is anything."""
        if self._found:
            raise Invalid(*self._found)


def manifest_error(file: str, problems: Iterable[Problem]) -> ManifestError:
    """One error for all of them."""
    return ManifestError(as_text(file, problems))


def as_text(file: str, problems: Iterable[Problem]) -> str:
    """One line per problem, in the order of the file, at most `MANIFEST_PROBLEM_COUNT_MAX` of them."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
    lines = [f"{file}:{problem.line}: {problem.text}" for problem in ordered[:MANIFEST_PROBLEM_COUNT_MAX]]
    left_out = len(ordered) - len(lines)
    if left_out:
        lines.append(f"{file}: and {left_out} more")
    return "\n".join(lines)


def shown(text: str) -> str:
    """Text from the manifest as it may stand in a message: quoted, shortened, without control characters.

    Escape sequences in a key must not reach the terminal of whoever reads the error.
    """
    short = text if len(text) <= MANIFEST_SHOWN_CHARS_MAX else text[:MANIFEST_SHOWN_CHARS_MAX] + "..."
    return f"`{short}`" if short.isprintable() else f"`{json.dumps(short)[1:-1]}`"


def nearest(word: str, known: Iterable[str]) -> str:
    """`, did you mean X?` for the known word closest to this one, or nothing."""
    close = difflib.get_close_matches(
        word[:MANIFEST_SHOWN_CHARS_MAX], list(islice(known, MANIFEST_GUESS_COUNT_MAX)), n=1
    )
    return f", did you mean {shown(close[0])}?" if close else ""
