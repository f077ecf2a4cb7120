"""Stores, databases and variables, as applications built by the official SDKs meet them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from edged.host.state import KEY_VALUE_FILE
from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE
from tests.end_to_end.server import edged_up

MANIFEST = """
spin_manifest_version = 2
[application]
name = "stores"
[variables]
token = { required = true, secret = true }
host = { default = "example.com" }
user = { default = "nobody" }
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "guest.wasm"
key_value_stores = ["default", "cache"]
sqlite_databases = ["default"]
variables = { token = "{{ token }}", url = "https://{{ user }}@{{ host }}/" }
"""


@pytest.fixture(scope="module", params=["python-capabilities", "js-capabilities"])
def guest(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, guest: str) -> Path:
    return tmp_path_factory.mktemp(guest)


@pytest.fixture(scope="module")
def url(guest_path: GuestPath, guest: str, folder: Path) -> Iterator[str]:
    shutil.copy(guest_path(guest), folder / "guest.wasm")
    (folder / "spin.toml").write_text(MANIFEST)
    (folder / "runtime-config.toml").write_text('key_value_store.cache = { type = "spin" }\n')
    config = ("--runtime-config-file", str(folder / "runtime-config.toml"))
    options = ("--cache-dir", str(CACHE), "--limit", "cpu_s_max=120", "--variable", "user=ada", *config)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPIN_VARIABLE_TOKEN", "geheim")
        environment.setenv("SPIN_VARIABLE_USER", "not-this-one")
        environment.setenv("SPIN_VARIABLE_OF_ANOTHER_APP", "x")
        with edged_up(folder, *options) as server:
            yield server.url


def ask(url: str, body: bytes = b"") -> tuple[int, str]:
    answer = httpx.post(url, content=body, timeout=120)
    return answer.status_code, answer.text


def test_variables(url: str) -> None:
    assert ask(f"{url}/variable/token") == (200, "geheim")
    assert ask(f"{url}/variable/url") == (200, "https://ada@example.com/")


def test_a_variable_of_the_application_is_not_the_components(url: str) -> None:
    status, text = ask(f"{url}/variable/host")
    assert (status, text.partition(":")[0]) == (403, "undefined")
    status, text = ask(f"{url}/variable/HOST")
    assert (status, text.partition(":")[0]) == (403, "invalid-name")


def test_a_value_is_kept_and_listed_and_deleted(url: str) -> None:
    assert ask(f"{url}/get/default/a%20key") == (200, "nothing")
    assert ask(f"{url}/set/default/a%20key", b"a value") == (200, "set")
    assert ask(f"{url}/get/default/a%20key") == (200, "a value")
    assert ask(f"{url}/keys/default") == (200, '["a key"]')
    assert ask(f"{url}/exists/cache/a%20key") == (200, "false"), "another store"
    assert ask(f"{url}/delete/default/a%20key") == (200, "deleted")
    assert ask(f"{url}/exists/default/a%20key") == (200, "false")


def test_a_store_that_the_manifest_does_not_give(url: str) -> None:
    assert ask(f"{url}/get/secret/k") == (403, "access-denied")


def test_a_key_and_a_value_at_their_limits_and_over(url: str) -> None:
    assert ask(f"{url}/set/cache/{'k' * 255}", bytes(1024 * 1024)) == (200, "set")
    assert len(ask(f"{url}/get/cache/{'k' * 255}")[1]) == 1024 * 1024
    for answer in (ask(f"{url}/set/cache/{'k' * 256}"), ask(f"{url}/set/cache/k", bytes(1024 * 1024 + 1))):
        assert (answer[0], answer[1].partition(":")[0]) == (403, "other")


@pytest.mark.parametrize(("granted", "answer"), [('["default"]', "1"), ("[]", "0")])
def test_a_guest_of_text_opens_what_it_is_granted(
    guest_path: GuestPath, tmp_path: Path, granted: str, answer: str
) -> None:
    shutil.copy(guest_path("key-value"), tmp_path / "guest.wasm")
    manifest = MANIFEST.replace('sqlite_databases = ["default"]', "").replace('["default", "cache"]', granted)
    (tmp_path / "spin.toml").write_text(manifest)
    options = ("--cache-dir", str(CACHE), "--variable", "token=x", "--state-dir", str(tmp_path / "state"))
    with edged_up(tmp_path, *options) as server:
        assert httpx.get(server.url).text == answer
    assert (tmp_path / "state" / KEY_VALUE_FILE).exists() == (answer == "1")
    assert not (tmp_path / ".spin").exists()


def test_state_is_where_spin_keeps_it(url: str, folder: Path) -> None:
    ask(f"{url}/set/default/k", b"kept")
    with closing(sqlite3.connect(folder / ".spin" / "sqlite_key_value.db")) as connection:
        found = connection.execute("SELECT value FROM spin_key_value WHERE store = 'default' AND key = 'k'").fetchone()
    assert found == (b"kept",)


def test_statements(url: str) -> None:
    status, text = ask(
        f"{url}/sql/default",
        json.dumps(
            [
                ["CREATE TABLE IF NOT EXISTS t (a, b)"],
                ["INSERT INTO t VALUES (?, ?)", 7, "é"],
                ["SELECT a, b, 1.5 AS c, NULL AS d, x'00ff' AS e FROM t"],
            ]
        ).encode(),
    )
    assert status == 200, text
    assert json.loads(text)[-1] == [["a", "b", "c", "d", "e"], [[7, "é", 1.5, None, "00ff"]]]


def test_a_database_that_the_manifest_does_not_give(url: str) -> None:
    assert ask(f"{url}/sql/secret", b"[]") == (403, "access-denied")


def test_a_statement_that_reaches_for_another_file(url: str) -> None:
    status, text = ask(f"{url}/sql/default", b"""[["ATTACH 'sqlite_key_value.db' AS o"]]""")
    assert (status, text) == (403, "io: not authorized")
