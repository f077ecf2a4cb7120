"""`--key-value KEY=VALUE` and `--sqlite STATEMENT`, as Spin takes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from edged.cli.pair import pair
from edged.errors import UsageError
from edged.host.initial_state import InitialState, SqlScript
from edged.limits import KEY_VALUE_KEY_BYTES_MAX, KEY_VALUE_VALUE_BYTES_MAX, SQL_FILE_BYTES_MAX
from edged.manifest.names import label_problem
from edged.manifest.problems import nearest, shown
from edged.runtime_config.model import DEFAULT_LABEL


def parse_initial_state(key_values: Iterable[str], sql: Iterable[str], databases: Collection[str] = ()) -> InitialState:
    """Both options. Reads the files that `sql` names.

    Args:
        key_values: `KEY=VALUE`, for the store `default`.
        sql: a statement for the database `default`, `@FILE` with statements, or `@FILE:LABEL` for another database.
        databases: labels of those besides `default`.

    Raises:
        UsageError
    """
    scripts = tuple(_script(text) for text in sql)
    for script in scripts:
        if script.label not in (DEFAULT_LABEL, *databases):
            guess = nearest(script.label, databases)
            raise UsageError(
                f"{script.name}: the database {shown(script.label)} is not configured{guess}",
                remedy=f"Add [sqlite_database.{script.label}] to a runtime config (--runtime-config-file).",
            )
    return InitialState(tuple(_key_value(text) for text in key_values), scripts)


def _key_value(text: str) -> tuple[str, str]:
    key, value = pair("--key-value", text)
    limits = (("key", key, KEY_VALUE_KEY_BYTES_MAX), ("value", value, KEY_VALUE_VALUE_BYTES_MAX))
    for what, part, bytes_max in limits:
        try:
            size = len(part.encode())
        except UnicodeEncodeError:
            raise UsageError(f"the {what} of a --key-value is not UTF-8") from None
        if size > bytes_max:
            raise UsageError(f"the {what} of a --key-value has more than {bytes_max} bytes")
    return key, value


def _script(text: str) -> SqlScript:
    if not text.startswith("@"):
        return SqlScript(DEFAULT_LABEL, _checked(text, "--sqlite"))
    file, colon, label = text[1:].partition(":")
    if not file.strip() or (colon and label_problem(label)):
        raise UsageError(f"--sqlite {shown(text)} names no file and label", remedy="Write it as @FILE or @FILE:LABEL.")
    return SqlScript(label or DEFAULT_LABEL, _read(Path(file)), f"--sqlite @{file}")


def _read(path: Path) -> str:
    name = f"--sqlite @{path}"
    try:
        with path.open("rb") as file:
            data = file.read(SQL_FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{name} cannot be read: {reason}", remedy="Correct the path.") from None
    if len(data) > SQL_FILE_BYTES_MAX:
        raise UsageError(f"{name} has more than {SQL_FILE_BYTES_MAX} bytes")
    try:
        return _checked(data.decode("utf-8-sig"), name)
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8") from None


def _checked(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{name} is not UTF-8") from None
    if "\0" in text:
        raise UsageError(f"{name} holds a NUL")
    return text
