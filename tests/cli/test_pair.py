"""`-e` and `--variable`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.cli.pair import parse_environment, parse_variables
from edged.errors import UsageError
from edged.limits import VARIABLE_FILE_BYTES_MAX


def test_pairs() -> None:
    assert parse_environment(["A=1", "B=", "C=x=y", "A=2"]) == {"A": "2", "B": "", "C": "x=y"}
    assert parse_variables(["a=1", "b=@no-file"]) == {"a": "1", "b": "@no-file"}


@pytest.mark.parametrize("text", ["A", "=1", "", "A=\0"])
def test_what_is_no_pair(text: str) -> None:
    with pytest.raises(UsageError, match="-e needs a KEY=VALUE"):
        parse_environment([text])


def test_a_secret_without_a_key_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        parse_variables(["hunter2"])
    assert "hunter2" not in caught.value.message + caught.value.remedy


@pytest.mark.parametrize(("name", "text"), [("a.json", '{"a": "1", "b": "x"}'), ("a.toml", 'a = "1"\nb = "x"\n')])
def test_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert parse_variables([f"@{tmp_path / name}", "b=2"]) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.yaml", "a: 1", "neither .json nor .toml"),
        ("a.json", '{"a": 1}', "`a` is not a string"),
        ("a.toml", "a = true", "`a` is not a string"),
        ("a.json", '["a"]', "not an object"),
        ("a.json", '{"a": ', "cannot be read"),
        ("a.toml", "a = ", "cannot be read"),
        ("a.json", "\xff", "cannot be read"),
        ("a.json", "[" * 100_000, "cannot be read"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=reason):
        parse_variables([f"@{tmp_path / name}"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        parse_variables([f"@{tmp_path / 'absent.json'}"])


def test_a_file_at_the_limit_and_over(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    padding = VARIABLE_FILE_BYTES_MAX - len('{"a": ""}')
    file.write_text('{"a": "' + "x" * padding + '"}')
    assert parse_variables([f"@{file}"]) == {"a": "x" * padding}
    file.write_text('{"a": "' + "x" * (padding + 1) + '"}')
    with pytest.raises(UsageError, match="more than"):
        parse_variables([f"@{file}"])
