import pytest

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
        ("/.../a", "whole last segment"),
        ("/*/a", "whole last segment"),
        ("/*name", "whole last segment"),
        ("/:", "parameter"),
        ("/:/a", "parameter"),
        ("/:ä", "parameter"),
        ("/:a:b", "parameter"),
        ("/:.json", "parameter"),
    ],
)
def test_refused(route: str, reason: str) -> None:
    assert reason in (route_problem(route) or "")
