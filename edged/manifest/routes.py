"""The grammar of a route; matching paths against routes is `edged.http.router`, which takes all that passes here."""

from __future__ import annotations

import re

_PARAMETER = re.compile(r":[A-Za-z0-9_-]+")


def route_problem(route: str) -> str | None:
    """Why a route is refused, or None. A route is `/a/:name/b`, with `/...` or `/*` at its end for everything below.

    The name of a parameter becomes part of a header's name, hence its alphabet.
    """
    if any(c <= " " or c in "?#\x7f" for c in route):
        return "must not hold blanks, control characters, `?` or `#`: it is matched with the path alone"
    *above, last = route.split("/")
    for segment in above if last in ("...", "*") else (*above, last):
        # A dot ends a parameter's name: `/:name.json`.
        pieces = segment.split(".")
        if segment == "..." or any(piece.startswith("*") for piece in pieces):
            return "may have `...` or `*` only at its very end, as a whole segment"
        if any(piece.startswith(":") and not _PARAMETER.fullmatch(piece) for piece in pieces):
            return "has a parameter whose name is not letters, digits, `_` and `-`"
    return None
