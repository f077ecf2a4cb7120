"""Paths that are the same file everywhere, and all others."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import PathInvalid
from registry.limits import PATH_BYTES_MAX, PATH_DEPTH_MAX, PATH_FOLDER_COUNT_MAX, PATH_NAME_BYTES_MAX
from registry.paths import check_path, check_paths


@pytest.mark.parametrize(
    "path",
    [
        "spin.toml",
        "files/a/b/c.html",
        ".well-known/x",
        "...",
        "a b",
        "é",
        "日本/語.txt",
        "a:b",
        "x" * PATH_NAME_BYTES_MAX,
        "/".join(["x" * 127] * 8),
        "-rf",
    ],
    ids=lambda path: path[:20],
)
def test_paths_that_are_allowed(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "a/",
        "a//b",
        ".",
        "..",
        "a/./b",
        "../a",
        "a/../b",
        "a/..",
        "a\\..\\b",
        "C:\\a",
        "a\0b",
        "a\nb",
        "a\x1b[2Jb",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        ".g\u200cit",
        "a\u202egnp.exe",
        "\ufeffa",
        "e\u0301",  # not NFC
        "\udcff",
        "x" * (PATH_NAME_BYTES_MAX + 1),
        "é" * 128,
        "/".join(["x" * 127] * 8) + "/y",
        "x" * 10_000_000,
        None,
        b"a",
        7,
    ],
    ids=lambda path: repr(path)[:20],
)
def test_paths_that_are_refused(path: object) -> None:
    with pytest.raises(PathInvalid) as caught:
        check_path(path)
    assert len(caught.value.message) < 4 * PATH_BYTES_MAX


def test_the_longest_path_and_one_byte_more() -> None:
    longest = ("x" * 15 + "/") * 63 + "x" * 16
    assert len(check_path(longest)) == PATH_BYTES_MAX
    with pytest.raises(PathInvalid):
        check_path(longest + "x")


def test_the_deepest_path_and_one_name_more() -> None:
    deepest = "/".join("a" * PATH_DEPTH_MAX)
    check_path(deepest)
    with pytest.raises(PathInvalid, match="names"):
        check_path(deepest + "/a")


def test_as_many_folders_as_may_be_and_one_more() -> None:
    paths = [f"{number:05}/{'b/' * 62}c" for number in range(PATH_FOLDER_COUNT_MAX // 63 + 1)]
    there = PATH_FOLDER_COUNT_MAX // 63 * 63
    fitting = [*paths[:-1], "x/" * (PATH_FOLDER_COUNT_MAX - there) + "c"]
    check_paths([*fitting, "y"])
    with pytest.raises(PathInvalid, match="folders"):
        check_paths([*fitting, "y/c"])


@given(st.text(alphabet=st.sampled_from("a./\\\0é\u0301"), max_size=12))
def test_what_passes_stays_inside_its_folder(path: str) -> None:
    try:
        check_path(path)
    except PathInvalid:
        return
    assert posixpath.normpath(f"/root/{path}") == f"/root/{path}"


@pytest.mark.parametrize("paths", [[], ["a"], ["a", "b"], ["A-b", "a/b", "a/c", "b"], ["a.b", "a/b"]], ids=str)
def test_sets_that_are_allowed(paths: list[str]) -> None:
    check_paths(paths)


@pytest.mark.parametrize(
    "paths",
    [
        ["b", "a"],
        ["a", "a"],
        ["A", "a"],
        ["a/B", "a/b"],
        ["A/x", "a/X"],
        ["a", "a/b"],
        ["a", "a/b/c"],
        ["A/b", "a"],
        ["A", "a/b"],
        ["STRASSE", "straße"],
        ["a", "a-b", "a/b"],
    ],
    ids=str,
)
def test_sets_that_are_refused(paths: list[str]) -> None:
    with pytest.raises(PathInvalid):
        check_paths(paths)


def test_folders_that_differ_by_case_only_are_one_folder_elsewhere() -> None:
    check_paths(["A/x", "a/y"])  # no two files meet there: all are found by either name
