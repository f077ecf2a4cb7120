"""Every function of wasi:keyvalue, wasi:config and spin:sqlite@3, as an application of the Python SDK calls them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import httpx
import pytest

from edged.limits import KEY_VALUE_BATCH_COUNT_MAX
from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE
from tests.end_to_end.server import edged_up

MANIFEST = """
spin_manifest_version = 2
[application]
name = "wasi-stores"
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "guest.wasm"
key_value_stores = ["default"]
sqlite_databases = ["default"]
variables = { color = "blue", size = "7" }
"""


@pytest.fixture(scope="module")
def url(guest_path: GuestPath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("wasi-stores")
    shutil.copy(guest_path("python-capabilities"), folder / "guest.wasm")
    (folder / "spin.toml").write_text(MANIFEST)
    with edged_up(folder, "--cache-dir", str(CACHE), "--limit", "cpu_s_max=120") as server:
        yield server.url


def ask(url: str, body: object = None) -> tuple[int, str]:
    answer = httpx.post(url, content=json.dumps(body), timeout=120)
    return answer.status_code, answer.text


def bucket(url: str, *calls: list[object]) -> list[object]:
    status, text = ask(f"{url}/bucket/default", calls)
    assert status == 200, text
    found: list[object] = json.loads(text)
    return found


def test_a_bucket_keeps_lists_and_deletes(url: str) -> None:
    calls: list[list[object]] = [["get", "k"], ["set", "k", "v"], ["get", "k"], ["exists", "k"], ["list-keys"]]
    assert bucket(url, *calls) == [None, None, "v", True, ["k"]]
    assert bucket(url, ["delete", "k"], ["exists", "k"], ["list-keys"]) == [None, False, []]


def test_all_keys_come_page_by_page(url: str) -> None:
    # Two calls, since there are more keys than a page has and than one call takes.
    first, second = ([f"{part}-{number:04}" for number in range(KEY_VALUE_BATCH_COUNT_MAX)] for part in "pq")
    bucket(url, *(["set-many", [[key, "v"] for key in keys]] for keys in (first, second)))
    assert bucket(url, ["list-keys"]) == [first + second]
    assert bucket(url, ["delete-many", first], ["delete-many", second], ["list-keys"]) == [None, None, []]


def test_more_keys_than_one_call_takes(url: str) -> None:
    keys = [f"k-{number}" for number in range(KEY_VALUE_BATCH_COUNT_MAX + 1)]
    status, text = ask(f"{url}/bucket/default", [["set-many", [[key, "v"] for key in keys]]])
    assert (status, text.partition(":")[0]) == (403, "other")
    assert bucket(url, ["exists", keys[0]]) == [False]


def test_many_at_once(url: str) -> None:
    assert bucket(url, ["set-many", [["a", "1"], ["b", "2"]]]) == [None]
    assert bucket(url, ["get-many", ["b", "none", "a"]]) == [[["b", "2"], ["none", None], ["a", "1"]]]
    assert bucket(url, ["delete-many", ["a", "none"]], ["exists", "a"], ["exists", "b"]) == [None, False, True]


def test_a_number_is_increased(url: str) -> None:
    assert bucket(url, ["increment", "n", 5], ["increment", "n", -7], ["get", "n"]) == [5, -2, "-2"]


def test_what_is_no_number_is_not_increased(url: str) -> None:
    bucket(url, ["set", "text", "seven"])
    status, text = ask(f"{url}/bucket/default", [["increment", "text", 1]])
    assert (status, text.partition(":")[0]) == (403, "other")
    assert bucket(url, ["get", "text"]) == ["seven"]


def test_a_value_is_swapped_if_nobody_else_changed_it(url: str) -> None:
    bucket(url, ["set", "s", "old"])
    assert bucket(url, ["swap", "s", "new", None], ["get", "s"]) == ["old", "new"]
    assert ask(f"{url}/bucket/default", [["swap", "s", "newer", "another's"]]) == (403, "cas-failed")
    assert bucket(url, ["get", "s"]) == ["another's"]


def test_a_bucket_that_the_manifest_does_not_give(url: str) -> None:
    assert ask(f"{url}/bucket/secret", []) == (403, "access-denied")


def test_a_batch_with_a_key_that_is_too_long_changes_nothing(url: str) -> None:
    status, text = ask(f"{url}/bucket/default", [["set-many", [["short", "v"], ["k" * 300, "v"]]]])
    assert (status, text.partition(":")[0]) == (403, "other")
    assert bucket(url, ["exists", "short"]) == [False]


def test_configuration(url: str) -> None:
    assert ask(f"{url}/config/color") == (200, "blue")
    assert ask(f"{url}/config/no_such_variable") == (200, "nothing")
    status, text = ask(f"{url}/config-all")
    assert (status, sorted(json.loads(text))) == (200, [["color", "blue"], ["size", "7"]])


def test_a_name_that_cannot_be_a_variables(url: str) -> None:
    assert ask(f"{url}/config/COLOR") == (200, "nothing")


def test_statements_say_what_they_changed(url: str) -> None:
    statements = [
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, a)"],
        ["INSERT INTO t (a) VALUES (?), (?)", "x", "y"],
        ["UPDATE t SET a = ? WHERE id = 2", 1.5],
        ["SELECT id, a FROM t"],
    ]
    status, text = ask(f"{url}/sql3/default", statements)
    assert status == 200, text
    _, inserted, updated, selected = json.loads(text)
    assert (inserted[1:], updated[1:]) == ([2, 2], [2, 1])
    assert selected[0] == [["id", "a"], [[1, "x"], [2, 1.5]]]


def test_a_database_that_the_manifest_does_not_give(url: str) -> None:
    assert ask(f"{url}/sql3/secret", []) == (403, "access-denied")
