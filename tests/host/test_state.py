"""Which file or server a label's store or database is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edged.errors import RuntimeConfigUnsupported, StateFolderError
from edged.host.key_value.sqlite import KeyValueFile
from edged.host.sqlite.database import Database
from edged.host.state import DATABASE_FILE, KEY_VALUE_FILE, Openers, open_state
from edged.runtime_config.model import DatabaseFile, LibsqlDatabase, RedisStore, RuntimeConfig, StoreFile
from tests.host.key_value.memory import MemoryKeyValue

REDIS = RedisStore("redis://:geheim@cache.example")
LIBSQL = LibsqlDatabase("https://db.example", "geheim")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.db")}


async def test_a_path_of_its_own(tmp_path: Path) -> None:
    config = RuntimeConfig(
        key_value_stores={"mine": StoreFile(tmp_path / "a" / "kv.db"), "default": StoreFile()},
        sqlite_databases={"mine": DatabaseFile(tmp_path / "a" / "sql.db"), "default": DatabaseFile()},
    )
    state = open_state(tmp_path / "state", {"mine", "default"}, {"mine", "default"}, config)
    assert files(tmp_path) == {f"state/{KEY_VALUE_FILE}", f"state/{DATABASE_FILE}", "a/kv.db", "a/sql.db"}
    await state.key_value["mine"].set_many([("k", b"v")])
    assert await state.key_value["default"].get_many(["k"], 100) == [None]
    state.close()


def test_only_what_is_asked_for_is_opened(tmp_path: Path) -> None:
    config = RuntimeConfig(key_value_stores={"mine": StoreFile(tmp_path / "kv.db"), "far": REDIS})
    open_state(tmp_path, (), (), config).close()
    assert files(tmp_path) == set()


async def test_labels_share_a_file_but_not_a_store(tmp_path: Path) -> None:
    shared = StoreFile(tmp_path / "kv.db")
    config = RuntimeConfig(
        key_value_stores={"a": shared, "b": shared},
        sqlite_databases={"a": DatabaseFile(tmp_path / "sql.db"), "b": DatabaseFile(tmp_path / "sql.db")},
    )
    state = open_state(None, ["a", "b"], ["a", "b"], config)
    assert len(state.files) == 2
    await state.key_value["a"].set_many([("k", b"v")])
    assert await state.key_value["b"].exists("k") is False
    assert state.databases["a"] is state.databases["b"]
    state.close()


def test_without_a_state_folder_only_what_is_elsewhere_is_there(tmp_path: Path) -> None:
    config = RuntimeConfig(key_value_stores={"mine": StoreFile(tmp_path / "kv.db")})
    state = open_state(None, {"mine", "default"}, {"default"}, config)
    assert (set(state.key_value), set(state.databases)) == ({"mine"}, set())
    state.close()


def test_a_path_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, but longer than the header of one would be" * 10)
    for path, reason in ((tmp_path / "file", "not a database"), (tmp_path / "file" / "kv.db", "File exists")):
        config = RuntimeConfig(key_value_stores={"mine": StoreFile(path)})
        with pytest.raises(StateFolderError, match=reason) as caught:
            open_state(tmp_path / "state", ["default", "mine"], (), config)
        assert str(path) in caught.value.message
        assert "runtime config" in caught.value.remedy


def test_other_types_have_openers(tmp_path: Path) -> None:
    seen: list[Any] = []
    far, far_database = MemoryKeyValue(), Database(tmp_path / "far.db")

    def store(config: RedisStore, label: str) -> MemoryKeyValue:
        seen.append((config, label))
        return far

    def database(config: LibsqlDatabase, label: str) -> Database:
        seen.append((config, label))
        return far_database

    config = RuntimeConfig(key_value_stores={"far": REDIS}, sqlite_databases={"away": LIBSQL})
    openers = Openers({RedisStore: store}, {LibsqlDatabase: database})
    state = open_state(None, ["far"], ["away"], config, openers=openers)
    assert (state.key_value, state.databases) == ({"far": far}, {"away": far_database})
    assert seen == [(REDIS, "far"), (LIBSQL, "away")]
    state.close()
    far_database.close()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (RuntimeConfig(key_value_stores={"far": REDIS}), "the key-value store `far` is of the type `redis`"),
        (RuntimeConfig(sqlite_databases={"far": LIBSQL}), "the SQLite database `far` is of the type `libsql`"),
    ],
)
def test_a_type_that_nothing_opens(tmp_path: Path, config: RuntimeConfig, message: str) -> None:
    openers = Openers({StoreFile: lambda _config, _label: MemoryKeyValue()})
    with pytest.raises(RuntimeConfigUnsupported) as caught:
        open_state(tmp_path, config.key_value_stores, config.sqlite_databases, config, openers=openers)
    assert caught.value.message == f"{message}, which this edged cannot open"


def test_what_was_opened_is_closed_when_the_rest_fails(tmp_path: Path) -> None:
    closed: list[Path] = []

    class Watched(KeyValueFile):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self.path = path

        def close(self) -> None:
            super().close()
            closed.append(self.path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edged.host.state.KeyValueFile", Watched)
        with pytest.raises(RuntimeConfigUnsupported):
            open_state(tmp_path, ["default"], ["far"], RuntimeConfig(sqlite_databases={"far": LIBSQL}))
    assert closed == [tmp_path / KEY_VALUE_FILE]
