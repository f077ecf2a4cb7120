"""`--key-value` and `--sqlite`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.cli.initial_state import parse_initial_state
from edged.errors import UsageError
from edged.host.initial_state import InitialState, SqlScript
from edged.limits import KEY_VALUE_KEY_BYTES_MAX, KEY_VALUE_VALUE_BYTES_MAX, SQL_FILE_BYTES_MAX


def failure(*, key_value: str = "a=b", sql: str = "SELECT 1") -> str:
    with pytest.raises(UsageError) as caught:
        parse_initial_state([key_value], [sql])
    assert "geheim" not in caught.value.message + caught.value.remedy
    return caught.value.message


def test_none() -> None:
    assert parse_initial_state([], []) == InitialState()


def test_pairs() -> None:
    assert parse_initial_state(["a=1", "b=x=y", "c=", "a=@2"], []).key_values == (
        ("a", "1"), ("b", "x=y"), ("c", ""), ("a", "@2"),
    )  # fmt: skip


@pytest.mark.parametrize("text", ["geheim", "=geheim", "", "a=\0"])
def test_what_is_no_pair(text: str) -> None:
    assert failure(key_value=text) == "--key-value needs a KEY=VALUE"


def test_pairs_are_text() -> None:
    assert failure(key_value="a=geheim\udcff") == "the value of a --key-value is not UTF-8"
    assert failure(key_value="geheim\udcff=") == "the key of a --key-value is not UTF-8"


def test_large_pairs() -> None:
    key, value = "ä" * (KEY_VALUE_KEY_BYTES_MAX // 2) + "x", "x" * KEY_VALUE_VALUE_BYTES_MAX
    assert parse_initial_state([f"{key}={value}"], []).key_values == ((key, value),)
    assert failure(key_value=f"{key}x=") == f"the key of a --key-value has more than {KEY_VALUE_KEY_BYTES_MAX} bytes"
    assert "the value of a --key-value has more than" in failure(key_value=f"a={value}x")


def test_sql(tmp_path: Path) -> None:
    file = tmp_path / "a.sql"
    file.write_text("\ufeffCREATE TABLE t (a);\n")
    scripts = parse_initial_state([], ["SELECT 1; SELECT 2", f"@{file}", f"@{file}:my-notes"], {"my-notes"}).scripts
    name = f"--sqlite @{file}"
    assert scripts == (
        SqlScript("default", "SELECT 1; SELECT 2"),
        SqlScript("default", "CREATE TABLE t (a);\n", name),
        SqlScript("my-notes", "CREATE TABLE t (a);\n", name),
    )


def test_sql_for_a_database_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "a.sql"
    file.write_text("")
    with pytest.raises(UsageError) as caught:
        parse_initial_state([], [f"@{file}:ntoes"], {"notes"})
    assert caught.value.message == (f"--sqlite @{file}: the database `ntoes` is not configured, did you mean `notes`?")
    assert "[sqlite_database.ntoes]" in caught.value.remedy
    assert parse_initial_state([], [f"@{file}:default"]).databases == {"default"}


@pytest.mark.parametrize("text", ["@", "@ ", "@:label", "@file:", "@file: ", "@file:No-Label"])
def test_what_names_no_file(text: str) -> None:
    assert failure(sql=text) == f"--sqlite `{text}` names no file and label"


def test_sql_is_text(tmp_path: Path) -> None:
    file = tmp_path / "a.sql"
    assert failure(sql="geheim\udcff") == "--sqlite is not UTF-8"
    assert failure(sql="geheim\0") == "--sqlite holds a NUL"
    file.write_bytes(b"geheim\xff")
    assert failure(sql=f"@{file}") == f"--sqlite @{file} is not UTF-8"
    file.write_bytes(b"geheim\0")
    assert failure(sql=f"@{file}") == f"--sqlite @{file} holds a NUL"


def test_no_file(tmp_path: Path) -> None:
    assert failure(sql=f"@{tmp_path / 'a.sql'}").endswith("cannot be read: No such file or directory")
    assert failure(sql=f"@{tmp_path}").endswith("cannot be read: Is a directory")
    assert failure(sql="@\0").endswith("null byte")


def test_a_large_file(tmp_path: Path) -> None:
    file = tmp_path / "a.sql"
    file.write_bytes(b" " * SQL_FILE_BYTES_MAX)
    assert len(parse_initial_state([], [f"@{file}"]).scripts[0].text) == SQL_FILE_BYTES_MAX
    file.write_bytes(b" " * (SQL_FILE_BYTES_MAX + 1))
    assert failure(sql=f"@{file}") == f"--sqlite @{file} has more than {SQL_FILE_BYTES_MAX} bytes"
