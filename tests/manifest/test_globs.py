import pytest

from edged.manifest.globs import exclusion, guest_path, is_glob, parts_of, pattern_problem, placement_problem


@pytest.mark.parametrize(
    ("destination", "path"),
    [("/", "/"), ("", "/"), ("a", "/a"), ("/a/", "/a"), ("//a/./b", "/a/b"), ("/.a", "/.a"), ("/a..b", "/a..b")],
)
def test_guest_path(destination: str, path: str) -> None:
    assert guest_path(destination) == path


@pytest.mark.parametrize("destination", ["..", "/..", "/a/../b", "a/.."])
def test_guest_path_refused(destination: str) -> None:
    with pytest.raises(ValueError, match=r"\.\."):
        guest_path(destination)


def test_parts() -> None:
    assert parts_of("./a//b/.") == ["a", "b"]
    assert parts_of(".") == []


@pytest.mark.parametrize("source", ["a", ".", "./a", "a/b", "a..b", "..."])
def test_placement(source: str) -> None:
    assert placement_problem(source) is None


@pytest.mark.parametrize("source", ["/a", "..", "../a", "a/../b", "a/.."])
def test_placement_refused(source: str) -> None:
    assert placement_problem(source) is not None


@pytest.mark.parametrize(
    "pattern", ["a", "*", "./*", "**/*", "a/**", "a/**/b/*.j[ps]g", "[!a]", "[]]", "[!]]", "a]", "[a][b]", "[[]", "?"]
)
def test_pattern(pattern: str) -> None:
    assert pattern_problem(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("/a", "relative"),
        ("../*", "must not hold"),
        ("a/..", "must not hold"),
        (".", "ends in `.`"),
        ("a/.", "ends in `.`"),
        ("a**", "whole name"),
        ("***", "whole name"),
        ("a/**b/c", "whole name"),
        ("[", "without its"),
        ("[]", "without its"),
        ("[!]", "without its"),
        ("a/[b/c]", "without its"),
        ("[a][", "without its"),
    ],
)
def test_pattern_refused(pattern: str, reason: str) -> None:
    assert reason in (pattern_problem(pattern) or "")


def test_what_looks_like_a_glob() -> None:
    assert not is_glob("a/b.txt")
    assert all(is_glob(pattern) for pattern in ("*", "a?", "[a]"))


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("secret", "secret", True),
        ("secret", "a/secret", False),
        ("secret", "secrets", False),
        ("./secret", "secret", True),
        ("*.key", "a.key", True),
        ("*.key", "a/b.key", True),
        ("secrets/*", "secrets/a", True),
        ("secrets/*", "secrets/a/b", True),
        ("secrets/*", "my/secrets/a", False),
        ("**/secret", "secret", True),
        ("**/secret", "a/b/secret", True),
        ("**/secret", "a/my-secret", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "ab", False),
        ("a/**", "a/b/c", True),
        ("a/**", "b/c", False),
        ("**", "anything/at/all", True),
        ("*a*b*c/d", "xaxbxbxc/d", True),
        ("[!a]*", "b", True),
        ("[!a]*", "a", False),
        ("?.txt", "a.txt", True),
        ("?.txt", ".txt", False),
        ("a.b", "axb", False),
        ("*", "a\nb", True),
    ],
)
def test_exclusion(pattern: str, path: str, excluded: bool) -> None:
    assert bool(exclusion([pattern]).fullmatch(path)) is excluded
    assert bool(exclusion(["no-match", pattern]).fullmatch(path)) is excluded


def test_no_patterns_exclude_nothing() -> None:
    assert not exclusion([]).fullmatch("")
