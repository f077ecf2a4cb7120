"""Which trigger answers a path: Spin's HTTP routing, and the `spin-*` headers that tell a guest about it.

Spin routes with the routefinder library (0.5), on the path as sent, percent-encoding untouched. What that means,
and is done here:

| route            | matches                                                                             |
|------------------|-------------------------------------------------------------------------------------|
| `/a/b`           | `/a/b`; slashes before and after the path do not count (`/a/b/`, `//a/b`)              |
| `/a/:name`       | one segment after `/a/`, captured; not `/a`                                            |
| `/a/:name.:kind` | one segment with a dot: `name` up to the first dot, `kind` the rest                    |
| `/a/...`, `/a/*` | `/a`, `/a/` and everything below; `path_info` is what stands after `/a`                |

Of several routes that match, the one wins whose first different part is stronger: text before `:name`, that before a
dot, that before the route's end, that before a wildcard, that before a slash. So an exact route always wins, and of
wildcards the longest prefix. The same route written twice belongs to the last one.

Three departures. Two where routefinder 0.5 contradicts Spin's documentation: a segment that starts with a dot
(`/.well-known/x`) is plain text, which routefinder reads as a dot after nothing (it then loses to `/...`, or never
matches); and a wildcard before the end is refused, where routefinder panics at the first request. And one where it
contradicts itself: it counts dots only after all parts were compared, so that of `/:a.:b/...`, `/:a` and `/:a/b` each
goes before the next, around in a circle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from edged.errors import RouteInvalid
from edged.http.exchange import Header, RequestHead

T = TypeVar("T")

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")


class _Kind(IntEnum):
    """Parts of a route, strongest first."""

    TEXT = 0
    NAME = 1
    REST = 4
    SEPARATOR = 5


@dataclass(frozen=True, slots=True)
class _Part:
    kind: _Kind
    text: str
    """The literal, the parameter's name, or the separator itself."""


_DOT = _Part(_Kind.SEPARATOR, ".")
# Between the kinds: `/:a.:b` is stronger than `/:a`, which is stronger than `/:a/...`; `/` is stronger than `/...`.
_DOT_RANK = 2
_END_RANK = 3


@dataclass(frozen=True, slots=True)
class DuplicateRoute(Generic[T]):
    """A route that another one hides."""

    route: str
    replaced: T
    effective: T


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """One entry of the table.

    Attributes:
        raw: as the manifest has it.
        target: what the router was given for it.
        headers: the `spin-*` headers that are the same for each request.
    """

    raw: str
    target: T
    parts: tuple[_Part, ...]
    headers: tuple[Header, ...]


_Found = tuple[Route[T], tuple[tuple[str, int], ...], int]
"""A route, the regular expression's group for each of its names, and the one of its wildcard or 0."""


@dataclass(slots=True)
class RouteMatch(Generic[T]):
    """A path that a route matches."""

    route: Route[T]
    path_info: str
    """What a wildcard matched, with its leading slash; empty for other routes."""
    params: dict[str, str]
    """Segments that `:name` captured, still percent-encoded."""

    @property
    def target(self) -> T:
        return self.route.target

    @property
    def raw_route(self) -> str:
        return self.route.raw


class Router(Generic[T]):
    """An immutable routing table.

    Args:
        routes: pairs of route and target, in the manifest's order. None as a route is a private one: it is left out.

    Attributes:
        duplicates: routes that can never match, with who gets their requests.

    Raises:
        RouteInvalid
    """

    def __init__(self, routes: Iterable[tuple[str | None, T]]) -> None:
        by_raw: dict[str, Route[T]] = {}
        duplicates: list[DuplicateRoute[T]] = []
        for raw, target in routes:
            if raw is None:
                continue
            if raw in by_raw:
                duplicates.append(DuplicateRoute(raw, by_raw[raw].target, target))
            by_raw[raw] = _parse(raw, target)

        self._exact: dict[str, Route[T]] = {}
        by_shape: dict[tuple[_Part, ...], Route[T]] = {}
        ranked: list[Route[T]] = []
        for route in by_raw.values():
            # `/:a` and `/:b`, like `/a` and `/a/`, match the same paths, and the first gets them.
            shape = tuple(_Part(part.kind, "") if part.kind is _Kind.NAME else part for part in route.parts)
            first = by_shape.setdefault(shape, route)
            if first is not route:
                duplicates.append(DuplicateRoute(route.raw, route.target, first.target))
            elif all(part.kind in {_Kind.TEXT, _Kind.SEPARATOR} for part in route.parts):
                self._exact["".join(part.text for part in route.parts)] = route
            else:
                ranked.append(route)
        ranked.sort(key=_rank)
        self.duplicates: Sequence[DuplicateRoute[T]] = duplicates
        self.routes: Sequence[Route[T]] = [*self._exact.values(), *ranked]

        # One expression, tried from left to right: the strongest route that matches is the one found. An empty group
        # at the end of each tells which it was, since lastindex is the last group that took part.
        self._found: dict[int, _Found[T]] = {}
        patterns = []
        group = 0
        for route in ranked:
            patterns.append(_pattern(route.parts))
            names = [part.text for part in route.parts if part.kind is _Kind.NAME]
            params = tuple((name, group + 1 + position) for position, name in enumerate(names))
            rest = group + 1 + len(names) if route.parts[-1].kind is _Kind.REST else 0
            group += len(names) + (2 if rest else 1)
            self._found[group] = (route, params, rest)
        self._ranked = re.compile("|".join(patterns), re.DOTALL) if patterns else None

    def match(self, path: str) -> RouteMatch[T] | None:
        """The route for a path, None if there is none.

        Args:
            path: as sent, without its query.
        """
        trimmed = path.strip("/")
        exact = self._exact.get(trimmed)
        if exact is not None:
            return RouteMatch(exact, "", {})
        found = self._ranked.match(trimmed) if self._ranked is not None else None
        if found is None or found.lastindex is None:
            return None
        route, params, rest = self._found[found.lastindex]
        path_info = ""
        if rest:
            path_info = "/" + found[rest] if found[rest] else ""
            if path.endswith("/"):
                path_info += "/"  # routefinder ignores slashes at the end, Spin puts one back
        return RouteMatch(route, path_info, {name: found[group] for name, group in params})


def spin_headers(match: RouteMatch[T], request: RequestHead, base_path: str = "/") -> list[Header]:
    """The `spin-*` headers that Spin's HTTP trigger adds to a request.

    Args:
        base_path: of the application; Spin only has `/`.
    """
    host, port = request.client
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = [
        (b"spin-path-info", match.path_info.encode()),
        (b"spin-full-url", f"{request.scheme}://{request.authority}{request.target}".encode()),
        (b"spin-base-path", base_path.encode()),
        (b"spin-client-addr", address.encode()),
        *match.route.headers,
    ]
    for name, value in match.params.items():
        suffix = name.lower().replace("_", "-")
        # A name that no header can have is captured, but cannot be told; Spin leaves it out as well.
        if _HEADER_NAME.fullmatch(suffix):
            headers.append((b"spin-path-match-" + suffix.encode(), value.encode()))
    return headers


def _parse(raw: str, target: T) -> Route[T]:
    wildcard = raw.endswith("/...")
    text = raw[:-3] + "*" if wildcard else raw
    parts: list[_Part] = []
    for segment in text.split("/"):
        if not segment:
            continue
        if parts:
            parts.append(_Part(_Kind.SEPARATOR, "/"))
        parts += _parse_segment(raw, segment)
    if any(part.kind is _Kind.REST for part in parts[:-1]):
        raise RouteInvalid(f"route {raw!r}: a wildcard may only stand at the end")

    absolute = raw if raw.startswith("/") else "/" + raw
    return Route(
        raw,
        target,
        tuple(parts),
        (
            (b"spin-matched-route", absolute.removesuffix("/").encode()),
            (b"spin-raw-component-route", raw.encode()),
            (b"spin-component-route", raw.removesuffix("/...").encode()),
        ),
    )


def _parse_segment(raw: str, segment: str) -> list[_Part]:
    """One segment: text, `:name` or a wildcard, or several of them with dots between."""
    parts: list[_Part] = []
    for position, piece in enumerate(segment.split(".")):
        if position:
            # A dot belongs to the text before it; only after a name or wildcard does it separate.
            if not parts:
                parts.append(_Part(_Kind.TEXT, "."))
            elif parts[-1].kind is _Kind.TEXT:
                parts[-1] = _Part(_Kind.TEXT, parts[-1].text + ".")
            else:
                parts.append(_Part(_Kind.SEPARATOR, "."))
        if piece == ":":
            raise RouteInvalid(f"route {raw!r}: a parameter needs a name after its colon")
        if piece.startswith("*") and piece != "*":
            raise RouteInvalid(f"route {raw!r}: a wildcard has no name; write '*' or '...'")
        if piece == "*":
            parts.append(_Part(_Kind.REST, "*"))
        elif piece.startswith(":"):
            parts.append(_Part(_Kind.NAME, piece[1:]))
        elif piece:
            parts.append(_Part(_Kind.TEXT, piece))
    return parts


def _rank(route: Route[T]) -> list[int]:
    """Requests that two routes match belong to the one of the lower rank: by the first part that differs."""
    ranks = [_DOT_RANK if part == _DOT else int(part.kind) for part in route.parts]
    return [*ranks, _END_RANK]


def _pattern(parts: Sequence[_Part]) -> str:
    """A regular expression for a path without slashes around it: a group for each name and wildcard, and one more."""
    pattern = ""
    for part, following in zip(parts, (*parts[1:], None), strict=True):
        if part.kind is _Kind.TEXT:
            pattern += re.escape(part.text)
        elif part.kind is _Kind.REST:
            pattern += "(.*)"
        elif part.kind is _Kind.NAME:
            # Up to the dot that must follow; or a segment, which may be empty (`//`) but not missing.
            pattern += "([^./]*)" if following == _DOT else r"(?!\Z)([^/]*)"
        elif part == _DOT:
            pattern += r"\."
        else:
            pattern += r"(?:/|\Z)" if following is not None and following.kind is _Kind.REST else "/"
    return pattern + r"()\Z"
