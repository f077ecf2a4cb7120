"""Spin's routing: which route wins, what it captures, what the guest is told."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edged.errors import RouteInvalid
from edged.http.exchange import RequestHead
from edged.http.router import DuplicateRoute, Router, spin_headers


def request(target: str, *, client: tuple[str, int] = ("192.0.2.7", 4711), scheme: str = "http") -> RequestHead:
    return RequestHead("GET", scheme, "example.com", target, "1.1", [(b"host", b"example.com")], client)


def router(*routes: str) -> Router[str]:
    return Router((route, route) for route in routes)


@pytest.mark.parametrize(
    ("route", "path", "path_info", "params"),
    [
        ("/", "/", "", {}),
        ("/hello", "/hello", "", {}),
        ("/hello", "/hello/", "", {}),
        ("/hello/", "/hello", "", {}),
        ("hello", "/hello", "", {}),
        ("/hello", "//hello//", "", {}),
        ("/a//b", "/a/b", "", {}),
        ("/a%20b", "/a%20b", "", {}),
        ("/...", "/", "/", {}),
        ("/...", "/a", "/a", {}),
        ("/...", "/a/", "/a/", {}),
        ("/...", "/a//b", "/a//b", {}),
        ("/...", "//a", "/a", {}),
        ("/*", "/a/b", "/a/b", {}),
        ("/a/...", "/a", "", {}),
        ("/a/...", "/a/", "/", {}),
        ("/a/...", "/a/b/c", "/b/c", {}),
        ("/a/...", "/a/b/c/", "/b/c/", {}),
        ("/a/*", "/a/b", "/b", {}),
        ("/:x", "/1", "", {"x": "1"}),
        ("/:x", "/1/", "", {"x": "1"}),
        ("/:x", "/a%2Fb", "", {"x": "a%2Fb"}),
        ("/a/:x/b", "/a/1/b", "", {"x": "1"}),
        ("/a/:x/b", "/a//b", "", {"x": ""}),
        ("/a/:x/...", "/a/1", "", {"x": "1"}),
        ("/a/:x/...", "/a/1/2/3", "/2/3", {"x": "1"}),
        ("/:a/:b/...", "/1/2", "", {"a": "1", "b": "2"}),
        ("/:a.:b", "/x.y.z", "", {"a": "x", "b": "y.z"}),
        ("/:a.txt", "/x.txt", "", {"a": "x"}),
        ("/file.:ext", "/file.md", "", {"ext": "md"}),
        ("/:a", "/x.y", "", {"a": "x.y"}),
        ("/v1.*", "/v1.2/x", "/2/x", {}),
        ("/.well-known/x", "/.well-known/x", "", {}),
        ("/a/.b/:c", "/a/.b/1", "", {"c": "1"}),
        ("/a.b.c", "/a.b.c", "", {}),
        ("/a[b]+(c)", "/a[b]+(c)", "", {}),
    ],
)
def test_matches(route: str, path: str, path_info: str, params: dict[str, str]) -> None:
    match = router(route).match(path)
    assert match is not None
    assert (match.target, match.raw_route, match.path_info, match.params) == (route, route, path_info, params)


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("/", "/a"),
        ("/hello", "/"),
        ("/hello", "/hello/x"),
        ("/hello", "/hell"),
        ("/hello", "/helloo"),
        ("/hello", "/Hello"),
        ("/a/b", "/a//b"),
        ("/a/...", "/ab"),
        ("/a/...", "/b/a"),
        ("/:x", "/"),
        ("/:x", "/a/b"),
        ("/a/:x", "/a"),
        ("/a/:x", "/a/"),
        ("/a/:x", "/a//b"),
        ("/:a.:b", "/x"),
        ("/:a.:b", "/x."),
        ("/:a.txt", "/x.md"),
        ("/:a.txt", "/x/y.txt"),
        ("/a.b", "/axb"),
        ("/a b", "/a%20b"),
        ("/.well-known/x", "/well-known/x"),
    ],
)
def test_does_not_match(route: str, path: str) -> None:
    assert router(route).match(path) is None


@pytest.mark.parametrize(
    ("routes", "path", "winner"),
    [
        (["/...", "/one"], "/one", "/one"),
        (["/...", "/one"], "/one/", "/one"),
        (["/...", "/one"], "/one/two", "/..."),
        (["/one/...", "/one/two/...", "/one/two/three/..."], "/one/two/three/four", "/one/two/three/..."),
        (["/one/...", "/one/two/...", "/one/two/three/..."], "/one/two/3", "/one/two/..."),
        (["/one/...", "/one"], "/one", "/one"),
        (["/one/...", "/:x"], "/one", "/one/..."),
        (["/:x/...", "/:x"], "/one", "/:x"),
        (["/:a/two", "/one/:b"], "/one/two", "/one/:b"),
        (["/:a/:b", "/:a/two"], "/one/two", "/:a/two"),
        (["/:a/...", "/..."], "/one/two", "/:a/..."),
        (["/:a", "/:a.:b"], "/x.y", "/:a.:b"),
        (["/:a/:b", "/:a/:b.:c", "/:a/:b.txt"], "/hi/planet.txt", "/:a/:b.txt"),
        (["/:a/:b", "/:a/:b.:c", "/:a/:b.txt"], "/hi/there.world", "/:a/:b.:c"),
        (["/:a/:b", "/:a/:b.:c", "/:a/:b.txt"], "/hi/yep", "/:a/:b"),
        (
            ["/...", "/.well-known/acme-challenge/..."],
            "/.well-known/acme-challenge/x",
            "/.well-known/acme-challenge/...",
        ),
    ],
)
def test_precedence_does_not_depend_on_order(routes: list[str], path: str, winner: str) -> None:
    for ordered in (routes, routes[::-1]):
        match = router(*ordered).match(path)
        assert match is not None
        assert match.target == winner


def test_the_same_route_twice_belongs_to_the_last() -> None:
    table = Router([("/foo", "first"), ("/bar", "bar"), ("/foo", "second")])
    match = table.match("/foo")
    assert match is not None
    assert match.target == "second"
    assert table.duplicates == [DuplicateRoute("/foo", "first", "second")]


def test_another_spelling_of_a_route_is_hidden_by_the_first() -> None:
    table = Router([("/foo", "first"), ("/foo/", "second"), ("/:a", "third"), ("/:b", "fourth")])
    match = table.match("/x")
    assert match is not None
    assert (match.target, match.params) == ("third", {"a": "x"})
    assert table.duplicates == [DuplicateRoute("/foo/", "second", "first"), DuplicateRoute("/:b", "fourth", "third")]


def test_different_routes_are_no_duplicates() -> None:
    assert router("/", "/foo", "/foo/:a", "/foo/...", "/...").duplicates == []


def test_a_private_route_is_absent() -> None:
    table = Router([(None, "private"), ("/a", "public")])
    assert [route.target for route in table.routes] == ["public"]


def test_an_empty_table_matches_nothing() -> None:
    assert Router[str]([]).match("/") is None


@pytest.mark.parametrize("route", ["/:", "/a/:/b", "/:a.:", "/*name", "/a.*b", "/a/*/b", "/*.a", "/*/..."])
def test_refused_routes(route: str) -> None:
    with pytest.raises(RouteInvalid):
        router(route)


@pytest.mark.parametrize("route", ["/:a", "/*", "/a/*", "/a.*", "/...", "/:a/..."])
def test_their_twins_are_taken(route: str) -> None:
    assert len(router(route).routes) == 1


# --- headers ---


def headers_of(route: str, head: RequestHead) -> dict[str, str]:
    match = router(route).match(head.path)
    assert match is not None
    given = spin_headers(match, head)
    assert len(dict(given)) == len(given)
    return {name.decode(): value.decode() for name, value in given}


def test_the_conformance_example() -> None:
    assert headers_of("/base/:path_segment/:path_end/...", request("/base/path/end/rest?key=value")) == {
        "spin-raw-component-route": "/base/:path_segment/:path_end/...",
        "spin-matched-route": "/base/:path_segment/:path_end/...",
        "spin-component-route": "/base/:path_segment/:path_end",
        "spin-path-info": "/rest",
        "spin-full-url": "http://example.com/base/path/end/rest?key=value",
        "spin-path-match-path-segment": "path",
        "spin-path-match-path-end": "end",
        "spin-base-path": "/",
        "spin-client-addr": "192.0.2.7:4711",
    }


@pytest.mark.parametrize(
    ("route", "path", "expected"),
    [
        ("/", "/", {"spin-matched-route": "", "spin-component-route": "/", "spin-path-info": ""}),
        ("/...", "/a", {"spin-matched-route": "/...", "spin-component-route": "", "spin-path-info": "/a"}),
        ("/a/*", "/a/b", {"spin-matched-route": "/a/*", "spin-component-route": "/a/*", "spin-path-info": "/b"}),
        ("a/", "/a", {"spin-matched-route": "/a", "spin-component-route": "a/", "spin-raw-component-route": "a/"}),
        ("/:User_ID", "/42", {"spin-path-match-user-id": "42"}),
    ],
)
def test_headers_as_spin_has_them(route: str, path: str, expected: dict[str, str]) -> None:
    told = headers_of(route, request(path))
    assert expected.items() <= told.items()


def test_a_name_that_no_header_can_have_is_not_told() -> None:
    assert not [name for name in headers_of("/:a@b", request("/1")) if name.startswith("spin-path-match")]


def test_scheme_and_ipv6_client() -> None:
    told = headers_of("/...", request("/x", client=("2001:db8::1", 80), scheme="https"))
    assert told["spin-client-addr"] == "[2001:db8::1]:80"
    assert told["spin-full-url"] == "https://example.com/x"


# --- against a slow reading of the same rules ---

SEGMENTS = st.sampled_from(["a", "b", ":x", ":y", "a.b", ":x.b", "a.:y", ":x.:y"])
ROUTES = st.builds(
    lambda segments, end: "/" + "/".join(segments) + end,
    st.lists(SEGMENTS, max_size=3),
    st.sampled_from(["", "/...", "/*", "/"]),
).map(lambda route: route.replace("//", "/"))
PATHS = st.lists(st.sampled_from(["a", "b", "c", "a.b", "a.c", "c.b", "a.b.c", ""]), max_size=4).map(
    lambda segments: "/" + "/".join(segments)
)


def parts_of(route: str) -> list[str]:
    """`:name`, `*`, `/`, `.` and texts, which keep the dot after them."""
    parts: list[str] = []
    text = route[:-3] + "*" if route.endswith("/...") else route
    for segment in text.strip("/").split("/"):
        if segment:
            if parts:
                parts.append("/")
            for position, piece in enumerate(segment.split(".")):
                if position:
                    if parts[-1][0] in ":*":
                        parts.append(".")
                    else:
                        parts[-1] += "."
                parts.append(piece)
    return parts


def walk(parts: list[str], path: str) -> bool:
    """Take one part after the other off the front of the path, as routefinder does."""
    for position, part in enumerate(parts):
        following = parts[position + 1] if position + 1 < len(parts) else None
        if part == "*":
            return True
        if part[0] == ":":
            if not path:
                return False
            if following == ".":
                end = next((i for i, c in enumerate(path) if c in "./"), None)
                if end is None or path[end] != ".":
                    return False
                path = path[end:]
            else:
                path = path[len(path.split("/")[0]) :]
        elif path.startswith(part):
            path = path[len(part) :]
        elif not (part == "/" and not path and following == "*"):
            return False
    return path in {"", "/"}


def strength(parts: list[str]) -> list[int]:
    """Lower goes first."""
    return [{":": 1, "*": 4, "/": 5}.get(part[0], 2 if part == "." else 0) for part in parts] + [3]


@given(st.lists(ROUTES, max_size=6, unique=True), PATHS)
@example(["/:x", "/:x/a", "/:x.:y/..."], "/a.b/a")
def test_like_a_walk_over_all_routes(routes: list[str], path: str) -> None:
    best: str | None = None
    for route in routes:
        if walk(parts_of(route), path.strip("/")) and (
            best is None or strength(parts_of(route)) < strength(parts_of(best))
        ):
            best = route
    match = router(*routes).match(path)
    assert (match and match.target) == best
