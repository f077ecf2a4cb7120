"""Stores and databases on servers of the operator's."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from edged.errors import RuntimeConfigError
from edged.host.initial_state import InitialState, SqlScript, set_initial_state
from edged.host.key_value.engine import LATER, StoreFailed
from edged.host.network.gate import ANYWHERE
from edged.host.remote_state import RemoteState
from edged.host.sqlite.engine import DatabaseFailed
from edged.host.state import State, open_state
from edged.runtime_config.model import LibsqlDatabase, RedisStore, RuntimeConfig
from tests.host.json_server import json_server
from tests.host.sqlite.hrana import Hrana
from tests.services import Service

SECRET = "geheim-1234"


def opened(remote: RemoteState, url: str, *labels: str) -> State:
    config = RuntimeConfig(key_value_stores={label: RedisStore(url) for label in labels})
    return open_state(None, labels, (), config, openers=remote.openers)


async def test_redis_on_this_machine(redis: Service) -> None:
    url = f"redis://127.0.0.1:{redis.port}/6"
    remotes = [RemoteState("one"), RemoteState("two")]
    one, other = (opened(remote, url, "a", "b").key_value for remote in remotes)
    await one["a"].set_many([("k", b"1")])
    assert one["a"].get_nowait("k") is LATER
    assert await one["a"].get_many(["k"], 100) == [b"1"]
    assert await one["b"].exists("k") is False
    assert await other["a"].exists("k") is False
    await one["a"].delete_many(["k"])
    for remote in remotes:
        remote.close()


async def test_opening_does_not_connect() -> None:
    remote = RemoteState("app")
    state = opened(remote, f"redis://:{SECRET}@127.0.0.1:1", "a")
    with pytest.raises(StoreFailed) as caught:
        await state.key_value["a"].exists("k")
    assert SECRET not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    remote.close()


async def test_libsql(tmp_path: Path) -> None:
    hrana = Hrana(tmp_path / "served.db", SECRET)
    remote = RemoteState("app")
    async with json_server(hrana.answer) as server:
        config = RuntimeConfig(sqlite_databases={"far": LibsqlDatabase(server.url, SECRET)})
        state = open_state(None, (), ["far"], config, openers=remote.openers)
        text = "CREATE TABLE t (a); INSERT INTO t VALUES ('x;y');"
        await set_initial_state(InitialState(scripts=(SqlScript("far", text),)), state)
        opened = await state.databases["far"].open()
        assert list((await opened.execute("SELECT a FROM t", [])).rows) == [["x;y"]]
        opened.close()
        state.close()
        remote.close()
        with pytest.raises(DatabaseFailed, match="could not be asked"):
            await (await state.databases["far"].open()).execute("SELECT 1", [])
    hrana.close()


def test_an_address_of_libsql_that_is_none() -> None:
    config = RuntimeConfig(sqlite_databases={"far": LibsqlDatabase(f"https://me:{SECRET}@h", SECRET)})
    with pytest.raises(RuntimeConfigError) as caught:
        open_state(None, (), ["far"], config, openers=RemoteState("app").openers)
    assert caught.value.message == (
        "the `url` of [sqlite_database.far] has a user name or password, which belongs elsewhere"
    )


@pytest.mark.parametrize("url", ["redis://me:geheim-1234@h/name", "redis://me:geheim-1234@h/1#insecure"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(RuntimeConfigError) as caught:
        opened(RemoteState("app"), url, "a")
    assert caught.value.message.startswith("the `url` of [key_value_store.a] has a ")
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "169.254.1.1", "8.8.8.8", "::ffff:10.0.0.1"]
)
def test_the_operator_may_name_any_address(address: str) -> None:
    assert ANYWHERE.admits(ip_address(address))


async def test_it_runs_until_it_is_cancelled(autojump_clock: MockClock) -> None:
    with trio.move_on_after(1_000) as scope:
        await RemoteState("app").run()
    assert scope.cancelled_caught
