"""`edged up` with a runtime config, as a process: what it finds, what it leaves, and what it does not tell."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edged.host.state import DATABASE_FILE, KEY_VALUE_FILE
from tests.cli.test_up_process import edged
from tests.conftest import GuestPath
from tests.edged_command import edged_command
from tests.up.apps import MANIFEST, write_app
from tests.variables_provider.vault_server import TOKEN, vault_server

SECRET = "geheim-1234"
VARIABLES = """[variables]
of_file.required = true
of_dotenv.required = true
of_vault.required = true
of_option.required = true
[component.hello.variables]
all = "{{ of_file }}{{ of_dotenv }}{{ of_vault }}{{ of_option }}"
"""


@pytest.fixture
def cache_folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def rows(file: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def test_all_of_it(tmp_path: Path, cache_folder: Path, guest_path: GuestPath) -> None:
    app = write_app(tmp_path / "app", guest_path("hello"), MANIFEST + VARIABLES)
    (tmp_path / ".env").write_text(f"SPIN_VARIABLE_OF_DOTENV={SECRET}\nSPIN_VARIABLE_OF_FILE=not this one\n")
    (tmp_path / "a.sql").write_text("CREATE TABLE IF NOT EXISTS t (a); INSERT INTO t VALUES ('x;y');")
    async with vault_server() as vault:
        vault.secrets["secret", "of_vault"] = {"value": SECRET}
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "rc.toml").write_text(
            f"""
            state_dir = "state"
            [sqlite_database.notes]
            type = "spin"
            path = "notes.db"
            [[variables_provider]]
            type = "static"
            values = {{ of_file = "{SECRET}" }}
            [[variables_provider]]
            type = "vault"
            url = "{vault.url}"
            token = "{TOKEN}"
            mount = "secret"
            """
        )
        arguments = [
            *("--runtime-config-file", "config/rc.toml", "--variable", "of_option=1", "--key-value", f"k={SECRET}"),
            *("--sqlite", "CREATE TABLE u (b)", "--sqlite", "@a.sql:notes", "--verbose", "--json", app),
        ]
        async with edged(cache_folder, *arguments, cwd=tmp_path) as command:
            await command.out.event("listening")
            assert await command.stop() == 0
            shown = "\n".join([*await rest(command.out), *await rest(command.err)])
    assert SECRET not in shown
    assert TOKEN not in shown
    # Not for what comes before it; the environment is only asked after it.
    assert set(vault.paths) == {"/v1/secret/data/of_vault", "/v1/secret/data/of_dotenv"}
    state = tmp_path / "config" / "state"
    assert rows(state / KEY_VALUE_FILE, "SELECT store, key, value FROM spin_key_value") == [
        ("default", "k", SECRET.encode())
    ]
    assert rows(state / DATABASE_FILE, "SELECT name FROM sqlite_schema") == [("u",)]
    assert rows(tmp_path / "config" / "notes.db", "SELECT a FROM t") == [("x;y",)]


async def rest(lines: Any) -> list[str]:
    found = []
    while (line := await lines.next()) is not None:
        found.append(line)
    return found


@pytest.mark.parametrize(
    ("config", "options", "code"),
    [
        (
            f'variables_provider = [{{ type = "vault", url = "http://u:{SECRET}@127.0.0.1:1", token = "{SECRET}", '
            'mount = "m" }]',
            [],
            "variables.unavailable",
        ),
        (f'key_value_store.a = {{ type = "redis", url = "{SECRET}" }}', [], "runtime-config.invalid"),
        (f'key_value_store.a = {{ type = "azure_cosmos", key = "{SECRET}" }}', [], "runtime-config.unsupported"),
        ("", ["--sqlite", "not SQL"], "app.initial-state"),
        ("", ["--sqlite", "@absent.sql"], "usage"),
        ("", ["--allow-network", "everything"], "usage"),
    ],
)
def test_what_fails_tells_no_secret(
    tmp_path: Path, guest_path: GuestPath, config: str, options: list[str], code: str
) -> None:
    app = write_app(tmp_path / "app", guest_path("hello"), MANIFEST + "[variables]\na.default = ''\n")
    (tmp_path / "rc.toml").write_text(config)
    usual = ["up", "--listen", "127.0.0.1:0", "--cache-dir", "cache", "--runtime-config-file", "rc.toml", "--verbose"]
    environment = os.environ | {"SPIN_VARIABLE_OTHER": SECRET}
    ended = subprocess.run(
        edged_command(*usual, "--key-value", f"a={SECRET}", *options, app),
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode not in (0, 1)
    assert f"[{code}]" in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
