import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.http.router import Router
from edged.manifest.routes import route_problem


@pytest.mark.parametrize(
    "route",
    [
        "/",
        "",
        "a",
        "/a",
        "/a/",
        "/a/b.html",
        "/...",
        "/*",
        "/a/...",
        "/a/*",
        "/:name",
        "/a/:name_1/b/:c-d/...",
        "/:file.json",
        "/a:b",
        "/a..b",
        "/b*",
        "...",
        "/:a.:b",
        "/%20",
        "/ü",
    ],
)
def test_route(route: str) -> None:
    assert route_problem(route) is None


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("/a b", "blanks"),
        ("/a\n", "blanks"),
        ("/a\x7f", "blanks"),
        ("/a?b=c", "blanks"),
        ("/a#b", "blanks"),
        ("/.../a", "at its very end"),
        ("/*/a", "at its very end"),
        ("/*name", "at its very end"),
        ("/.../", "at its very end"),
        ("/*/", "at its very end"),
        ("/a.*", "at its very end"),
        ("/a.*/b", "at its very end"),
        ("/:", "parameter"),
        ("/:/a", "parameter"),
        ("/:ä", "parameter"),
        ("/:a:b", "parameter"),
        ("/:.json", "parameter"),
        ("/a.:", "parameter"),
    ],
)
def test_refused(route: str, reason: str) -> None:
    assert reason in (route_problem(route) or "")


@given(st.text("/:*.a-", max_size=12))
def test_the_router_takes_what_passes(route: str) -> None:
    if route_problem(route) is None:
        assert Router([(route, None)]).routes
