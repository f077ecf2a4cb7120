"""Which files a pattern of `build.watch` or `files` means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged.up.pattern import Pattern


def found(folder: Path, text: str) -> set[str]:
    """Walk as the scanner does."""
    pattern = Pattern.of(folder, text)
    files = set()
    todo = [(pattern.root, pattern.start)]
    while todo:
        at, position = todo.pop()
        for entry in sorted(at.iterdir()):
            if entry.is_dir():
                entered = pattern.enter(position, entry.name)
                if entered:
                    todo.append((entry, entered))
            elif pattern.is_file(position, entry.name):
                files.add(os.fspath(entry.relative_to(folder)))
    return files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "main.py",
        "main.js",
        ".env",
        "src/lib.rs",
        "src/a/mod.rs",
        "src/a/b/deep.rs",
        "src/a/b/deep.txt",
        "node_modules/dep/index.js",
        "src/target/out.rs",
        ".git/HEAD",
        "main.py~",
        ".main.py.swp",
        "4913",
        "#main.py#",
        ".#main.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("*.py", {"main.py"}),
        ("./main.*", {"main.py", "main.js"}),
        ("src/*.rs", {"src/lib.rs"}),
        ("src/**/*.rs", {"src/lib.rs", "src/a/mod.rs", "src/a/b/deep.rs"}),
        ("**/*.rs", {"src/lib.rs", "src/a/mod.rs", "src/a/b/deep.rs"}),
        ("**/b/*", {"src/a/b/deep.rs", "src/a/b/deep.txt"}),
        ("src/**", {"src/lib.rs", "src/a/mod.rs", "src/a/b/deep.rs", "src/a/b/deep.txt"}),
        ("src/**/b/**", {"src/a/b/deep.rs", "src/a/b/deep.txt"}),
        ("src/*/*.rs", {"src/a/mod.rs"}),
        ("src/?/mod.rs", {"src/a/mod.rs"}),
        ("src/[ab]/mod.rs", {"src/a/mod.rs"}),
        ("src", {"src/lib.rs", "src/a/mod.rs", "src/a/b/deep.rs", "src/a/b/deep.txt"}),
        (
            ".",
            {
                ".env",
                "main.py",
                "main.js",
                "src/lib.rs",
                "src/a/mod.rs",
                "src/a/b/deep.rs",
                "src/a/b/deep.txt",
            },
        ),
        ("**/*.js", {"main.js"}),
        ("node_modules/dep/*.js", {"node_modules/dep/index.js"}),
        ("*/target/*.rs", {"src/target/out.rs"}),
        ("*.go", set()),
    ],
)
def test_files(tree: Path, text: str, files: set[str]) -> None:
    assert found(tree, text) == files


def test_root_is_what_stands_before_the_first_wildcard(tmp_path: Path) -> None:
    assert Pattern.of(tmp_path / "app", "../shared/src/*.rs") == Pattern(tmp_path / "shared" / "src", ("*.rs",))
    assert Pattern.of(tmp_path, "a/b") == Pattern(tmp_path / "a" / "b")


def test_a_folder_in_which_nothing_can_match_is_not_entered(tmp_path: Path) -> None:
    pattern = Pattern.of(tmp_path, "src/*.rs")
    assert pattern.enter(pattern.start, "a") is None
    deep = Pattern.of(tmp_path, "*/b/*.rs")
    below = deep.enter(deep.start, "a")
    assert below is not None
    assert deep.enter(below, "b") is not None
    assert deep.enter(below, "c") is None
