"""docs/promises.md: each promise has code and tests that are there."""

from __future__ import annotations

import re

import pytest

from tests.docs.tables import DOCS, known_tests, names, rows

_ROOT = DOCS.parent
_TEXT = (DOCS / "promises.md").read_text()
_ROWS = rows("promises.md", "promise")


def test_each_promise_is_a_sentence_with_code_and_tests() -> None:
    assert len(_ROWS) > 30
    for promise, kept_in, held_by in _ROWS:
        assert promise.endswith("."), promise
        assert names(kept_in), promise
        assert names(held_by), promise


def test_the_tests_are_there() -> None:
    named = {name for _, _, held_by in _ROWS for name in names(held_by)}
    assert [name for name in sorted(named) if name.partition("::")[2] not in known_tests(name.partition("::")[0])] == []


def test_the_code_is_there() -> None:
    paths = {path for _, kept_in, _ in _ROWS for path in names(kept_in)}
    assert [path for path in sorted(paths) if path.startswith("tests/") or not (_ROOT / path).is_file()] == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", _TEXT))))
def test_a_link_leads_somewhere(target: str) -> None:
    assert (DOCS / target).is_file()


def test_what_is_not_promised_stands_there_too() -> None:
    assert len(re.findall(r"(?m)^- \*\*", _TEXT.partition("\n## Not promised\n")[2])) > 5


def test_a_test_that_is_not_there_would_be_noticed() -> None:
    assert "test_a_rollout_goes_forward_only" in known_tests("tests/simulator/test_store_crashes.py")
    assert "test_that_nobody_wrote" not in known_tests("tests/simulator/test_store_crashes.py")
    assert not known_tests("tests/simulator/test_no_such_file.py")
