"""The state that one app keeps: its key-value stores and databases, opened.

    manifest's labels ─┬─ runtime config names them ── its file, or an opener for its type (Redis, libSQL)
                       └─ it does not ── the state folder: sqlite_key_value.db, sqlite_db.db, sqlite_db-LABEL.db

File names are Spin's, so that an app finds what it wrote under `spin up`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from edged.errors import RuntimeConfigUnsupported, StateFolderError
from edged.host.key_value.engine import KeyValue
from edged.host.key_value.sqlite import KeyValueFile
from edged.host.sqlite.database import Database
from edged.host.sqlite.engine import SqlDatabase
from edged.runtime_config.model import DatabaseFile, RuntimeConfig, StoreFile

KEY_VALUE_FILE = "sqlite_key_value.db"
DATABASE_FILE = "sqlite_db.db"  # of the label "default", the only one that Spin itself has a file for


class Open(Protocol):
    """What is kept open between requests."""

    def close(self) -> None:
        """Call it when no request is under way."""


@dataclass(frozen=True, slots=True)
class Openers:
    """How to open what is no file: class of `edged.runtime_config.model` -> a function of its value and the label.

    They may block, and need not connect: whoever cannot be reached is an error of the request that needs it. What they
    open is closed by whoever made them.
    """

    stores: Mapping[type, Callable[[Any, str], KeyValue]] = field(default_factory=dict)
    databases: Mapping[type, Callable[[Any, str], SqlDatabase]] = field(default_factory=dict)


OPENERS = Openers()


@dataclass(frozen=True, slots=True)
class State:
    """Open stores and databases.

    Attributes:
        key_value: label -> store.
        databases: label -> database.
        files: that are closed with them.
    """

    key_value: Mapping[str, KeyValue] = field(default_factory=dict)
    databases: Mapping[str, SqlDatabase] = field(default_factory=dict)
    files: tuple[Open, ...] = ()

    def close(self) -> None:
        """Call it when no request is under way."""
        for each in self.files:
            each.close()


def open_state(
    folder: Path | None,
    key_value: Collection[str],
    databases: Collection[str] = (),
    config: RuntimeConfig | None = None,
    *,
    openers: Openers = OPENERS,
) -> State:
    """Open what these labels need, and make files where they are not there. Blocks.

    Args:
        folder: the state folder; None for an app that has none: what is not configured elsewhere is not there then.
        key_value: labels of stores.
        databases: labels of databases.
        config: what is kept elsewhere than in the state folder. Whether it has to name a label is not asked here: see
            `edged.runtime_config.check_labels`.

    Raises:
        StateFolderError: the folder or a file cannot be written, or is no database.
        RuntimeConfigUnsupported: a type that nothing opens.
    """
    config = RuntimeConfig() if config is None else config
    opening = _Opening(folder, openers)
    try:
        stores = {label: opening.store(label, config.key_value_stores.get(label, StoreFile())) for label in key_value}
        opened = {
            label: opening.database(label, config.sqlite_databases.get(label, DatabaseFile())) for label in databases
        }
    except BaseException:
        for each in opening.files:
            each.close()
        raise
    return State(
        {label: store for label, store in stores.items() if store is not None},
        {label: database for label, database in opened.items() if database is not None},
        tuple(opening.files),
    )


_File = TypeVar("_File", KeyValueFile, Database)
_Opened = TypeVar("_Opened", KeyValue, SqlDatabase)


class _Opening:
    """What has been opened so far. Labels with the same file share it."""

    def __init__(self, folder: Path | None, openers: Openers) -> None:
        self._folder = folder
        self._openers = openers
        self._store_files: dict[Path, KeyValueFile] = {}
        self._database_files: dict[Path, Database] = {}
        self.files: list[Open] = []

    def store(self, label: str, config: object) -> KeyValue | None:
        if not isinstance(config, StoreFile):
            return _elsewhere(self._openers.stores, config, label, "the key-value store")
        file = self._file(self._store_files, KeyValueFile, config.path, KEY_VALUE_FILE)
        return None if file is None else file.store(label)

    def database(self, label: str, config: object) -> SqlDatabase | None:
        if not isinstance(config, DatabaseFile):
            return _elsewhere(self._openers.databases, config, label, "the SQLite database")
        return self._file(self._database_files, Database, config.path, _database_file(label))

    def _file(
        self, files: dict[Path, _File], kind: Callable[[Path], _File], path: Path | None, name: str
    ) -> _File | None:
        place = path
        if place is None:
            if self._folder is None:
                return None
            place = self._folder / name
        if place not in files:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                files[place] = file = kind(place)
            except (OSError, sqlite3.Error) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                if path is None:
                    raise StateFolderError(f"the state folder {self._folder} cannot be used: {reason}") from error
                raise StateFolderError(
                    f"{path} cannot be used: {reason}",
                    remedy="Make it writable, or choose another path in the runtime config.",
                ) from error
            self.files.append(file)
        return files[place]


def _elsewhere(openers: Mapping[type, Callable[[Any, str], _Opened]], config: Any, label: str, what: str) -> _Opened:
    opener = openers.get(type(config))
    if opener is None:
        raise RuntimeConfigUnsupported(f"{what} `{label}` is of the type `{config.type}`, which this edged cannot open")
    return opener(config, label)


def _database_file(label: str) -> str:
    return DATABASE_FILE if label == "default" else f"sqlite_db-{label}.db"
