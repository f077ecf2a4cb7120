"""What a developer puts into an app's state before it first runs: `--key-value` and `--sqlite`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from edged.errors import InitialStateFailed
from edged.host.key_value.engine import StoreFailed
from edged.host.sqlite.engine import DatabaseFailed
from edged.host.state import State
from edged.runtime_config.model import DEFAULT_LABEL


@dataclass(frozen=True, slots=True)
class SqlScript:
    """SQL statements for one database.

    Attributes:
        label: of the database.
        text: the statements, without NUL.
        name: how messages call it.
    """

    label: str
    text: str = field(repr=False)
    name: str = "--sqlite"


@dataclass(frozen=True, slots=True)
class InitialState:
    """All of it, in order. Of a key that is there twice, the last value counts.

    Attributes:
        key_values: for the store `default`. They may be secrets.
    """

    key_values: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    scripts: tuple[SqlScript, ...] = ()

    @property
    def stores(self) -> frozenset[str]:
        """Labels of the stores that must be open, whether or not a component asks for them."""
        return frozenset({DEFAULT_LABEL} if self.key_values else ())

    @property
    def databases(self) -> frozenset[str]:
        """Labels of the databases that must be open."""
        return frozenset(script.label for script in self.scripts)


async def set_initial_state(initial: InitialState, state: State) -> None:
    """Set the pairs, then run the scripts. Statements count as they are run: a script that fails is half done.

    Raises:
        InitialStateFailed: the store or a statement failed, or is not there. No value of a pair is in the message.
    """
    if initial.key_values:
        store = state.key_value.get(DEFAULT_LABEL)
        if store is None:
            raise InitialStateFailed(f"--key-value: the app has no store `{DEFAULT_LABEL}`")
        try:
            await store.set_many([(key, value.encode()) for key, value in initial.key_values])
        except StoreFailed as failed:
            raise InitialStateFailed(f"--key-value: {failed}") from None
    for script in initial.scripts:
        await _run(script, state)


async def _run(script: SqlScript, state: State) -> None:
    database = state.databases.get(script.label)
    if database is None:
        raise InitialStateFailed(f"{script.name}: the app has no database `{script.label}`")
    where = script.name
    try:
        opened = await database.open()
        try:
            for number, statement in enumerate(statements(script.text), start=1):
                where = f"{script.name}, statement {number}"
                await opened.execute(statement, [])
        finally:
            opened.close()
    except DatabaseFailed as failed:
        raise InitialStateFailed(f"{where}: {failed}") from None


def statements(text: str) -> Iterator[str]:
    """The statements of an SQL text: up to each semicolon that is not inside of a string, a comment or a trigger."""
    start = 0
    end = text.find(";")
    while end >= 0:
        if sqlite3.complete_statement(text[start : end + 1]):
            yield text[start : end + 1].strip()
            start = end + 1
        end = text.find(";", end + 1)
    if rest := text[start:].strip():
        yield rest
