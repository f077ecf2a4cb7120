"""The state that one app keeps on this machine: the files behind its key-value stores.

    manifest's labels ── open_state ── .spin/sqlite_key_value.db

File names are Spin's, so that an app finds what it wrote under `spin up`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edged.errors import StateFolderError
from edged.host.key_value_engine import KeyValue
from edged.host.key_value_sqlite import KeyValueFile

KEY_VALUE_FILE = "sqlite_key_value.db"


@dataclass(frozen=True, slots=True)
class State:
    """Open files.

    Attributes:
        key_value: label -> store.
    """

    key_value: Mapping[str, KeyValue] = field(default_factory=dict)
    files: tuple[KeyValueFile, ...] = ()

    def close(self) -> None:
        """Call it when no request is under way."""
        for file in self.files:
            file.close()


def open_state(folder: Path | None, key_value: Collection[str]) -> State:
    """Open what these labels need, and make it where it is not there. Blocks.

    Args:
        folder: None for an app that keeps nothing: no label has a store then.
        key_value: labels of stores.

    Raises:
        StateFolderError: the folder or a file in it cannot be written, or is no database.
    """
    if folder is None or not key_value:
        return State()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = KeyValueFile(folder / KEY_VALUE_FILE)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StateFolderError(f"the state folder {folder} cannot be used: {reason}") from error
    return State({label: file.store(label) for label in key_value}, (file,))
