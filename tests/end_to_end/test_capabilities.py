"""What applications reach through Spin's interfaces: real servers, by guests that the SDKs built, served by `edged up`.

Each capability has its twins: refused by the manifest (the component `refused` may reach nothing), and by the gate,
which lets nobody reach this machine unless the operator says so.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE
from tests.end_to_end.server import Server, edged_up
from tests.end_to_end.upstream import Upstream, upstream
from tests.host.mqtt.test_interfaces import subscribed
from tests.services import Mosquitto, Service, SqlServer

MANIFEST = """
spin_manifest_version = 2
[application]
name = "capabilities"
[[trigger.http]]
route = "/granted/..."
component = "granted"
[[trigger.http]]
route = "/refused/..."
component = "refused"
[component.granted]
source = "guest.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
key_value_stores = ["default"]
ai_models = ["a-model"]
[component.refused]
source = "guest.wasm"
"""
PYTHON = "python-capabilities"
GUESTS = (PYTHON, "js-capabilities")
OPEN = ("--allow-network", "loopback")
GATED = "127.0.0.1 is not an address that guests may reach"


class Apps:
    """Servers, each started when it is first asked for."""

    def __init__(self, stack: ExitStack, folder: Path, guest_path: GuestPath) -> None:
        self._stack = stack
        self._folder = folder
        self._guest_path = guest_path
        self._servers: dict[tuple[str, ...], Server] = {}

    def url(self, guest: str, *options: str) -> str:
        return self.server(guest, *options).url

    def server(self, guest: str, *options: str) -> Server:
        if (guest, *options) not in self._servers:
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            shutil.copy(self._guest_path(guest), folder / "guest.wasm")
            (folder / "spin.toml").write_text(MANIFEST)
            server = edged_up(folder, "--cache-dir", str(CACHE), "--limit", "cpu_s_max=120", *options)
            self._servers[guest, *options] = self._stack.enter_context(server)
        return self._servers[guest, *options]


@pytest.fixture(scope="module")
def apps(guest_path: GuestPath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    with ExitStack() as stack:
        yield Apps(stack, tmp_path_factory.mktemp("capabilities"), guest_path)


@pytest.fixture(scope="module", params=GUESTS)
def granted(request: pytest.FixtureRequest, apps: Apps) -> str:
    return apps.url(request.param, *OPEN) + "/granted"


@pytest.fixture(scope="module", params=GUESTS)
def refused(request: pytest.FixtureRequest, apps: Apps) -> str:
    return apps.url(request.param, *OPEN) + "/refused"


@pytest.fixture(scope="module", params=GUESTS)
def gated(request: pytest.FixtureRequest, apps: Apps) -> str:
    return apps.url(request.param) + "/granted"


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


def ask(url: str, body: object) -> tuple[int, str]:
    answer = httpx.post(url, content=json.dumps(body), timeout=60)
    return answer.status_code, answer.text


# --- HTTP ---


def test_http(granted: str, server: Upstream) -> None:
    status, text = ask(f"{granted}/send", ["POST", f"http://127.0.0.1:{server.port}/x", "a body"])
    assert (status, json.loads(text)[::2]) == (200, [200, "a body"])


def test_http_refused(refused: str, server: Upstream) -> None:
    assert ask(f"{refused}/send", ["GET", f"http://127.0.0.1:{server.port}/refused", ""]) == (
        403,
        "http-request-denied",
    )
    assert "/refused" not in server.served


def test_http_gated(gated: str, server: Upstream) -> None:
    url = f"http://127.0.0.1:{server.port}/gated"
    assert ask(f"{gated}/send", ["GET", url, ""]) == (403, "destination-ip-prohibited")
    assert "/gated" not in server.served


# --- Redis ---


REDIS_CALLS: list[tuple[list[object], object]] = [
    (["set", "k", "v"], None),
    (["get", "k"], "v"),
    (["get", "none"], None),
    (["incr", "n"], 1),
    (["sadd", "s", ["a", "b"]], 2),
    (["srem", "s", ["a"]], 1),
    (["smembers", "s"], ["b"]),
    (["publish", "nobody", "x"], None),
    (["execute", "SET", ["binary", "k"], ["int64", 5]], [["status", "OK"]]),
    (["execute", "GET", ["binary", "k"]], [["binary", "5"]]),
    (["execute", "INCR", ["binary", "k"]], [["int64", 6]]),
    (["execute", "GET", ["binary", "none"]], [["nil"]]),
    (["del", ["k", "n", "s", "none"]], 3),
]


def test_redis(granted: str, redis: Service) -> None:
    calls = [call for call, _ in REDIS_CALLS]
    status, text = ask(f"{granted}/redis", [f"redis://127.0.0.1:{redis.port}/1", calls])
    assert (status, json.loads(text)) == (200, [expected for _, expected in REDIS_CALLS])


def test_redis_says_what_is_wrong(granted: str, redis: Service) -> None:
    calls = [["set", "text", "v"], ["smembers", "text"]]
    status, text = ask(f"{granted}/redis", [f"redis://127.0.0.1:{redis.port}/1", calls])
    assert (status, text.partition(" ")[0]) == (403, "other:")
    assert "WRONGTYPE" in text


def test_redis_refused(refused: str, redis: Service) -> None:
    assert ask(f"{refused}/redis", [f"redis://127.0.0.1:{redis.port}/", []]) == (403, "invalid-address")


def test_redis_gated(gated: str, redis: Service) -> None:
    assert ask(f"{gated}/redis", [f"redis://127.0.0.1:{redis.port}/", []]) == (403, f"other: {GATED}")


# --- key-value stores, which the operator puts on Redis ---


@pytest.fixture(scope="module")
def on_redis(redis: Service, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options. The operator's own servers need no `--allow-network`."""
    config = tmp_path_factory.mktemp("on-redis") / "runtime-config.toml"
    config.write_text(f'[key_value_store.default]\ntype = "redis"\nurl = "redis://127.0.0.1:{redis.port}/2"\n')
    return ("--runtime-config-file", str(config))


def test_stores_on_redis(apps: Apps, on_redis: tuple[str, ...]) -> None:
    first, second = (apps.url(guest, *on_redis) + "/granted" for guest in GUESTS)
    assert httpx.post(f"{first}/set/default/k", content=b"from one process").text == "set"
    assert httpx.post(f"{second}/get/default/k").text == "from one process", "to another, of the same app"
    calls = [["increment", "n", 5], ["swap", "k", "swapped", None], ["get-many", ["n", "k", "none"]]]
    answer = [5, "from one process", [["n", "5"], ["k", "swapped"], ["none", None]]]
    status, text = ask(f"{first}/bucket/default", calls)
    assert (status, json.loads(text)) == (200, answer)
    assert ask(f"{first}/bucket/default", [["swap", "k", "x", "meanwhile"]]) == (403, "cas-failed")
    assert ask(f"{first}/bucket/default", [["delete-many", ["n", "k"]], ["list-keys"]]) == (200, "[null, []]")


def test_stores_on_redis_refused(apps: Apps, on_redis: tuple[str, ...]) -> None:
    for guest in GUESTS:
        answer = httpx.post(f"{apps.url(guest, *on_redis)}/refused/get/default/k")
        assert (answer.status_code, answer.text) == (403, "access-denied")


# --- MQTT ---


def test_mqtt(apps: Apps, mosquitto: Mosquitto) -> None:
    url = apps.url(PYTHON, *OPEN)
    with subscribed(mosquitto.port, "end-to-end/#") as messages:
        for quality, name in enumerate(("AT_MOST_ONCE", "AT_LEAST_ONCE", "EXACTLY_ONCE")):
            connect = [f"mqtt://127.0.0.1:{mosquitto.port}?client_id=end-to-end", "", "", 30]
            assert ask(f"{url}/granted/mqtt", [*connect, "end-to-end/a", name, name]) == (200, "published")
            assert messages.get(timeout=120) == ("end-to-end/a", name.encode(), quality)


def test_mqtt_refused(apps: Apps, mosquitto: Mosquitto) -> None:
    connect = [f"mqtt://127.0.0.1:{mosquitto.port}?client_id=refused", "", "", 30]
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/refused/mqtt", [*connect, "a", "b", "AT_MOST_ONCE"])
    assert (status, text.partition(":")[0]) == (403, "connection-failed")
    assert "allowed_outbound_hosts" in text


def test_mqtt_gated(apps: Apps, mosquitto: Mosquitto) -> None:
    connect = [f"mqtt://127.0.0.1:{mosquitto.port}?client_id=gated", "", "", 30]
    answer = ask(f"{apps.url(PYTHON)}/granted/mqtt", [*connect, "a", "b", "AT_MOST_ONCE"])
    assert answer == (403, f"connection-failed: {GATED}")


# --- language models ---

LLM = """
[llm_compute]
type = "remote_http"
url = "http://127.0.0.1:{}"
auth_token = "geheim"
api_type = "open_ai"
"""
COMPLETION = {
    "choices": [{"message": {"content": "an answer"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
EMBEDDINGS = {"data": [{"index": 0, "embedding": [0.5, -1.0]}], "usage": {"prompt_tokens": 3}}


@pytest.fixture(scope="module")
def with_llm(apps: Apps, server: Upstream, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An app whose operator has a service that computes."""
    server.answers["/v1/chat/completions"] = json.dumps(COMPLETION).encode()
    server.answers["/v1/embeddings"] = json.dumps(EMBEDDINGS).encode()
    config = tmp_path_factory.mktemp("llm") / "runtime-config.toml"
    config.write_text(LLM.format(server.port))
    return apps.url(PYTHON, "--runtime-config-file", str(config))


def test_llm(with_llm: str) -> None:
    status, text = ask(f"{with_llm}/granted/infer", ["a-model", "a prompt"])
    assert (status, json.loads(text)) == (200, ["an answer", [3, 2]])
    status, text = ask(f"{with_llm}/granted/embeddings", ["a-model", ["a text"]])
    assert (status, json.loads(text)) == (200, [[[0.5, -1.0]], 3])


def test_llm_refused(with_llm: str) -> None:
    for url, model in ((f"{with_llm}/refused", "a-model"), (f"{with_llm}/granted", "another-model")):
        status, text = ask(f"{url}/infer", [model, "a prompt"])
        assert (status, text.partition(":")[0]) == (403, "invalid-input")


def test_llm_without_a_service(apps: Apps) -> None:
    status, text = ask(f"{apps.url(PYTHON)}/granted/infer", ["a-model", "a prompt"])
    assert (status, text.partition(":")[0]) == (403, "runtime-error")


# --- databases ---

POSTGRES_URL = "postgres://owner:s3cret@127.0.0.1:{}/shop?sslmode=disable"
MYSQL_URL = "mysql://owner:s3cret@127.0.0.1:{}/shop?ssl-mode=disabled"
POSTGRES = ("postgres", "postgres3", "postgres4")
ROW = [["int32", 7], ["str", "é"], ["binary", "bytes"], ["floating64", 1.5]]


@pytest.mark.parametrize("version", POSTGRES)
def test_postgres(apps: Apps, postgres: SqlServer, version: str) -> None:
    calls = [
        ["execute", "CREATE TEMPORARY TABLE t (n int4, s text, b bytea, f float8, ok bool)"],
        ["execute", "INSERT INTO t VALUES ($1, $2, $3, $4, $5)", *ROW, ["boolean", True]],
        ["execute", "UPDATE t SET ok = $1", ["db-null"]],
        ["query", "SELECT n, s, b, f, ok FROM t WHERE n = $1", ["int32", 7]],
    ]
    address = POSTGRES_URL.format(postgres.port)
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/granted/{version}", [address, calls])
    assert status == 200, text
    assert json.loads(text)[1:] == [1, 1, [["n", "s", "b", "f", "ok"], [[*ROW, ["db-null"]]]]]


@pytest.mark.parametrize("version", POSTGRES[1:])
def test_postgres_dates(apps: Apps, postgres: SqlServer, version: str) -> None:
    values = [["date", [2026, 11, 21]], ["time", [3, 25, 1, 500_000_000]], ["datetime", [2026, 11, 21, 3, 25, 1, 0]]]
    calls = [["query", "SELECT $1::date, $2::time, $3::timestamp", *values]]
    address = POSTGRES_URL.format(postgres.port)
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/granted/{version}", [address, calls])
    assert status == 200, text
    assert json.loads(text)[0][1] == [values]


def test_postgres_newer_types(apps: Apps, postgres: SqlServer) -> None:
    values = [
        ["uuid", "00112233-4455-6677-8899-aabbccddeeff"],
        ["jsonb", '{"a": [1, null]}'],
        ["decimal", "1.20"],
        ["array-int32", [1, None, 3]],
        ["array-str", ["a", None]],
    ]
    calls = [["query", "SELECT $1::uuid, $2::jsonb, $3::numeric, $4::int4[], $5::text[]", *values]]
    address = POSTGRES_URL.format(postgres.port)
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/granted/postgres4", [address, calls])
    assert status == 200, text
    assert json.loads(text)[0][1] == [values]


@pytest.mark.parametrize("version", POSTGRES)
def test_postgres_says_what_is_wrong(apps: Apps, postgres: SqlServer, version: str) -> None:
    address = POSTGRES_URL.format(postgres.port)
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/granted/{version}", [address, [["query", "SELECT nothing_there"]]])
    assert (status, text.partition(":")[0]) == (403, "query-failed")


@pytest.mark.parametrize("version", POSTGRES)
def test_postgres_refused(apps: Apps, postgres: SqlServer, version: str) -> None:
    address = POSTGRES_URL.format(postgres.port)
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/refused/{version}", [address, []])
    assert (status, text.partition(":")[0]) == (403, "connection-failed")
    assert "allowed_outbound_hosts" in text


@pytest.mark.parametrize("version", POSTGRES)
def test_postgres_gated(apps: Apps, postgres: SqlServer, version: str) -> None:
    address = POSTGRES_URL.format(postgres.port)
    assert ask(f"{apps.url(PYTHON)}/granted/{version}", [address, []]) == (403, f"connection-failed: {GATED}")


def test_mysql(apps: Apps, mariadb: SqlServer) -> None:
    calls = [
        ["execute", "CREATE TEMPORARY TABLE t (n int, s text, b blob, f double, nothing int)"],
        ["execute", "INSERT INTO t VALUES (?, ?, ?, ?, ?)", *ROW, ["db-null"]],
        ["query", "SELECT n, s, b, f, nothing FROM t WHERE n = ?", ["int32", 7]],
    ]
    address = MYSQL_URL.format(mariadb.port)
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/granted/mysql", [address, calls])
    assert status == 200, text
    assert json.loads(text) == [None, None, [["n", "s", "b", "f", "nothing"], [[*ROW, ["db-null"]]]]]


def test_mysql_says_what_is_wrong(apps: Apps, mariadb: SqlServer) -> None:
    address = MYSQL_URL.format(mariadb.port)
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/granted/mysql", [address, [["query", "SELECT nothing_there"]]])
    assert (status, text.partition(":")[0]) == (403, "query-failed")


def test_mysql_refused(apps: Apps, mariadb: SqlServer) -> None:
    address = MYSQL_URL.format(mariadb.port)
    status, text = ask(f"{apps.url(PYTHON, *OPEN)}/refused/mysql", [address, []])
    assert (status, text.partition(":")[0]) == (403, "connection-failed")
    assert "allowed_outbound_hosts" in text


def test_mysql_gated(apps: Apps, mariadb: SqlServer) -> None:
    address = MYSQL_URL.format(mariadb.port)
    assert ask(f"{apps.url(PYTHON)}/granted/mysql", [address, []]) == (403, f"connection-failed: {GATED}")


# --- all of them ---


@pytest.mark.parametrize("guest", GUESTS)
def test_no_import_is_refused(apps: Apps, guest: str) -> None:
    """The worlds of the SDKs have every interface of Spin, some of them in several versions."""
    loaded = [event for event in apps.server(guest, *OPEN).events if event["event"] == "loaded"]
    assert {event["component"]: event["refused"] for event in loaded} == {"granted": [], "refused": []}
