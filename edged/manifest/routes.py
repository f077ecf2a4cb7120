"""The grammar of a route; matching paths against routes is `edged.http.router`."""

from __future__ import annotations

import re

_PARAMETER = re.compile(r":[A-Za-z0-9_-]+")
_WILDCARDS = ("...", "*")


def route_problem(route: str) -> str | None:
    """Why a route is refused, or None. A route is `/a/:name/b`, with `/...` or `/*` at its end for everything below.

    The name of a parameter becomes part of a header's name, hence its alphabet.
    """
    if any(c <= " " or c in "?#\x7f" for c in route):
        return "must not hold blanks, control characters, `?` or `#`: it is matched with the path alone"
    *above, last = route.strip("/").split("/")
    for segment in above if last in _WILDCARDS else (*above, last):
        if segment == "..." or segment.startswith("*"):
            return "may have `...` or `*` only as its whole last segment"
        # A dot ends a parameter's name: `/:name.json`.
        if segment.startswith(":") and not _PARAMETER.fullmatch(segment.partition(".")[0]):
            return "has a parameter whose name is not letters, digits, `_` and `-`"
    return None
