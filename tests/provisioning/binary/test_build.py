"""What a build says of the commit. The whole build is tested in tests/end_to_end/test_binary.py."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from provisioning.binary.build import commit_of

_ROOT = Path(__file__).parents[3]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("edged", "docs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("one\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_the_commit(repository: Path) -> None:
    commit = commit_of(repository)
    assert len(commit) == 12
    assert git(repository, "rev-parse", "HEAD").startswith(commit)


def test_what_it_is_not_built_from_may_differ(repository: Path) -> None:
    (repository / "docs" / "file").write_text("two\n")
    assert commit_of(repository) != ""


@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_sources_that_are_not_the_commits(repository: Path, change: str) -> None:
    match change:
        case "changed":
            (repository / "edged" / "file").write_text("two\n")
        case "added":
            (repository / "edged" / "other").touch()
        case "removed":
            (repository / "edged" / "file").unlink()
    assert commit_of(repository) == ""


def test_no_repository(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == ""


def test_nothing_that_edged_imports_is_left_out() -> None:
    """Some modules are imported by a command only once it runs, which no `--help` shows."""
    left_out = re.findall(r'"(provisioning\.[\w.]+)"', (_ROOT / "provisioning" / "binary" / "edged.spec").read_text())
    assert "provisioning.binary.build" in left_out
    sources = "".join(path.read_text() for path in (_ROOT / "edged").rglob("*.py"))
    assert [name for name in left_out if f"from {name} import" in sources] == []
