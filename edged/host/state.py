"""The state that one app keeps on this machine: the files behind its key-value stores and databases.

    manifest's labels ── open_state ── .spin/sqlite_key_value.db, sqlite_db.db, sqlite_db-LABEL.db

File names are Spin's, so that an app finds what it wrote under `spin up`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edged.errors import StateFolderError
from edged.host.key_value.engine import KeyValue
from edged.host.key_value.sqlite import KeyValueFile
from edged.host.sqlite.database import Database

KEY_VALUE_FILE = "sqlite_key_value.db"
DATABASE_FILE = "sqlite_db.db"  # of the label "default", the only one that Spin itself has a file for


@dataclass(frozen=True, slots=True)
class State:
    """Open files.

    Attributes:
        key_value: label -> store.
        databases: label -> database.
    """

    key_value: Mapping[str, KeyValue] = field(default_factory=dict)
    databases: Mapping[str, Database] = field(default_factory=dict)
    files: tuple[KeyValueFile | Database, ...] = ()

    def close(self) -> None:
        """Call it when no request is under way."""
        for file in self.files:
            file.close()


def open_state(folder: Path | None, key_value: Collection[str], databases: Collection[str] = ()) -> State:
    """Open what these labels need, and make it where it is not there. Blocks.

    Args:
        folder: None for an app that keeps nothing: no label has a store then.
        key_value: labels of stores.
        databases: labels of databases.

    Raises:
        StateFolderError: the folder or a file in it cannot be written, or is no database.
    """
    if folder is None or not (key_value or databases):
        return State()
    stores: dict[str, KeyValue] = {}
    opened: dict[str, Database] = {}
    files: list[KeyValueFile | Database] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if key_value:
            files.append(file := KeyValueFile(folder / KEY_VALUE_FILE))
            stores = {label: file.store(label) for label in key_value}
        for label in databases:
            files.append(database := Database(folder / _database_file(label)))
            opened[label] = database
    except (OSError, sqlite3.Error) as error:
        for open_file in files:
            open_file.close()
        reason = error.strerror if isinstance(error, OSError) else error
        raise StateFolderError(f"the state folder {folder} cannot be used: {reason}") from error
    return State(stores, opened, tuple(files))


def _database_file(label: str) -> str:
    return DATABASE_FILE if label == "default" else f"sqlite_db-{label}.db"
