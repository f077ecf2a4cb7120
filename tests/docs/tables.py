"""Tables of the documentation, read back."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from edged.event import Event

DOCS = Path(__file__).parents[2] / "docs"


def rows(page: str, first_column: str) -> list[list[str]]:
    """The cells of all tables of a page whose first column has this title."""
    found: list[list[str]] = []
    inside = False
    for line in (DOCS / page).read_text().splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == first_column:
            inside = True
        elif inside and set(cells[0]) != {"-"}:
            found.append(cells)
    return found


def names(cell: str) -> list[str]:
    """What is set as code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def events_of(module: str) -> list[type[Event]]:
    """Those that one module tells."""
    return [kind for kind in Event.__subclasses__() if kind.__module__ == module]


@cache
def known_tests(module: str) -> frozenset[str]:
    """The functions of a test file that pytest takes for tests; none where there is no such file."""
    path = DOCS.parent / module
    found = ast.parse(path.read_text()).body if path.name.startswith("test_") and path.is_file() else []
    return frozenset(
        each.name
        for each in found
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_")
    )
