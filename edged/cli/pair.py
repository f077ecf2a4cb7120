"""`KEY=VALUE` options, and files of them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from edged.errors import UsageError
from edged.limits import VARIABLE_FILE_BYTES_MAX
from edged.manifest.problems import shown


def parse_environment(texts: Iterable[str]) -> Mapping[str, str]:
    """`-e KEY=VALUE`. Of a key given twice, the last counts.

    Raises:
        UsageError
    """
    return dict(pair("-e", text) for text in texts)


def parse_variables(texts: Iterable[str], option: str = "--variable") -> Mapping[str, str]:
    """`--variable KEY=VALUE`, or `@FILE` with a JSON object or a TOML table of strings, as Spin takes it.

    Args:
        option: for messages.

    Raises:
        UsageError
    """
    values: dict[str, str] = {}
    for text in texts:
        values.update(_file(Path(text[1:]), option) if text.startswith("@") else [pair(option, text)])
    return values


def pair(option: str, text: str) -> tuple[str, str]:
    """`KEY=VALUE`.

    Args:
        option: for the message, which does not show the text.

    Raises:
        UsageError
    """
    key, equals, value = text.partition("=")
    if not equals or not key or "\0" in text:
        # Not the text itself: it may be a secret.
        raise UsageError(f"{option} needs a KEY=VALUE", remedy=f"Write it as {option} KEY=VALUE.")
    return key, value


def _file(path: Path, option: str) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            data = file.read(VARIABLE_FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{option} @{path} cannot be read: {reason}", remedy="Correct the path.") from None
    if len(data) > VARIABLE_FILE_BYTES_MAX:
        raise UsageError(f"{option} @{path} has more than {VARIABLE_FILE_BYTES_MAX} bytes")
    parse = {".json": json.loads, ".toml": tomllib.loads}.get(path.suffix)
    if parse is None:
        raise UsageError(f"{option} @{path} is neither .json nor .toml", remedy="Give the file one of these endings.")
    try:
        values = parse(data.decode())
    except (ValueError, RecursionError) as error:  # both parsers' errors are ValueErrors; neither shows the content
        raise UsageError(f"{option} @{path} cannot be read: {error}", remedy="Correct the file.") from None
    if not isinstance(values, dict):
        raise UsageError(f"{option} @{path} is not an object", remedy='Write it as {"KEY": "VALUE"}.')
    wrong = [key for key, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise UsageError(
            f"{option} @{path}: the value of {shown(wrong[0])} is not a string", remedy="Put the value in quotes."
        )
    return values
