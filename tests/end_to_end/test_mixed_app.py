"""One app that is called in every way there is, by guests of several languages, served by `edged up`.

HTTP ──> front (Python) <──> fetch (WebAssembly text) ──> hidden (private), program (C, Wagi)
Redis ─> listener (Python) ─┐                                │
cron ──> clock (Python) ────┴──> a store on Redis <── front  └──> the app's own routes, around in a circle
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import hiredis
import httpx
import pytest

from edged.limits import CHAIN_DEPTH_MAX
from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE
from tests.end_to_end.server import Server, edged_up
from tests.services import Service, redis_server

GUESTS = {
    "front": "python-capabilities",
    "fetch": "fetch",
    "hidden": "hello",
    "program": "wagi",
    "listener": "python-redis-trigger",
    "clock": "cron-python",
}
MANIFEST = """
spin_manifest_version = 2
[application]
name = "mixed"
[application.trigger.redis]
address = "redis://:{{ password }}@127.0.0.1:{{ port }}"
[variables]
port = { required = true }
password = { required = true, secret = true }

[[trigger.http]]
route = "/front/..."
component = "front"
[[trigger.http]]
route = "/..."
component = "fetch"
[[trigger.http]]
route = { private = true }
component = "hidden"
[[trigger.http]]
route = "/program/..."
component = "program"
executor = { type = "wagi" }
[[trigger.http]]
route = "/static"
static_response = { status_code = 201, headers = { x-kind = "static" }, body = "nobody computes this" }
[[trigger.redis]]
channel = "news"
component = "listener"
[[trigger.cron]]
cron_expression = "* * * * * *"
component = "clock"

[component.front]
source = "front.wasm"
key_value_stores = ["default"]
allowed_outbound_hosts = ["http://fetch.spin.internal"]
[component.fetch]
source = "fetch.wasm"
allowed_outbound_hosts = [
    "http://self",
    "http://front.spin.internal",
    "http://hidden.spin.internal",
    "http://program.spin.internal",
    "http://absent.spin.internal",
]
[component.hidden]
source = "hidden.wasm"
[component.program]
source = "program.wasm"
environment = { KIND = "a program" }
[component.listener]
source = "listener.wasm"
environment = { ANSWER = "redis://:geheim@127.0.0.1:PORT" }
allowed_outbound_hosts = ["redis://127.0.0.1:{{ port }}"]
key_value_stores = ["default"]
[component.clock]
source = "clock.wasm"
key_value_stores = ["default"]
"""
CONFIG = """
[key_value_store.default]
type = "redis"
url = "redis://:geheim@127.0.0.1:{}"
"""
WAIT_S = 60.0


class Client:
    """A connection to Redis."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self._reader = hiredis.Reader()
        assert self.ask("AUTH", "geheim") == b"OK"

    def ask(self, *command: str) -> object:
        self._socket.sendall(hiredis.pack_command(command))
        return self.next()

    def next(self) -> object:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65536))
        return reply

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server of this app's own, which tells of every key that is written."""
    options = ("--requirepass", "geheim", "--notify-keyspace-events", "KEA")
    with redis_server(tmp_path_factory.mktemp("redis"), *options) as service:
        yield service


@pytest.fixture(scope="module")
def app(redis: Service, guest_path: GuestPath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mixed")
    for component, guest in GUESTS.items():
        shutil.copy(guest_path(guest), folder / f"{component}.wasm")
    (folder / "spin.toml").write_text(MANIFEST.replace("PORT", str(redis.port)))
    (folder / "runtime-config.toml").write_text(CONFIG.format(redis.port))
    options = ["--cache-dir", str(CACHE), "--limit", "cpu_s_max=120", "--allow-network", "loopback"]
    options += ["--runtime-config-file", str(folder / "runtime-config.toml")]
    options += ["--variable", f"port={redis.port}", "--variable", "password=geheim"]
    with edged_up(folder, *options) as server:
        yield server


@pytest.fixture
def client(redis: Service) -> Iterator[Client]:
    client = Client(redis.port)
    yield client
    client.close()


def get(app: Server, path: str) -> tuple[int, str]:
    answer = httpx.get(f"{app.url}{path}", timeout=WAIT_S)
    return answer.status_code, answer.text


# --- HTTP ---


def test_each_route_has_its_own(app: Server) -> None:
    assert get(app, "/front") == (200, "hello")
    assert get(app, "/program/env")[0] == 200
    assert "KIND=a program\n" in get(app, "/program/env")[1]
    assert get(app, "/program/args?one&two")[1].split() == ["/program/args", "one", "two"]
    static = httpx.get(f"{app.url}/static")
    assert (static.status_code, static.headers["x-kind"], static.text) == (201, "static", "nobody computes this")


def test_no_import_is_refused(app: Server) -> None:
    loaded = {event["component"]: event["refused"] for event in app.events if event["event"] == "loaded"}
    assert loaded == {component: [] for component in GUESTS}


# --- components that call each other ---


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/hidden.spin.internal/", (200, "hello")),
        ("/program.spin.internal/status", (418, "short and stout\n")),
        ("/front.spin.internal/", (200, "hello")),
        ("/self/static", (201, "nobody computes this")),
        ("//static", (201, "nobody computes this")),
        ("/self/front/", (200, "hello")),
        ("/self/hidden.spin.internal/", (200, "hello")),
        ("/fetch.spin.internal/", (502, "HTTP-request-denied")),
        ("/absent.spin.internal/", (502, "destination-not-found")),
    ],
)
def test_one_calls_another(app: Server, path: str, answer: tuple[int, str]) -> None:
    assert get(app, path) == answer


def test_the_other_way_round_and_on(app: Server) -> None:
    assert send(app, "http://fetch.spin.internal/hidden.spin.internal/") == [200, "hello"]
    assert send(app, "http://fetch.spin.internal/front.spin.internal/") == [200, "hello"]


def test_one_that_is_not_granted_is_not_called(app: Server) -> None:
    answer = httpx.post(f"{app.url}/front/send", json=["GET", "http://hidden.spin.internal/", ""])
    assert (answer.status_code, answer.text) == (403, "http-request-denied")


def test_a_circle_ends(app: Server) -> None:
    assert get(app, "/self" * (CHAIN_DEPTH_MAX + 1) + "/static") == (502, "loop-detected")
    assert get(app, "/self" * CHAIN_DEPTH_MAX + "/static") == (201, "nobody computes this")


def send(app: Server, url: str) -> list[Any]:
    """The status and body that come back to `front`."""
    answer = httpx.post(f"{app.url}/front/send", json=["GET", url, ""], timeout=WAIT_S)
    assert answer.status_code == 200, answer.text
    status, _, body = json.loads(answer.text)
    return [status, body]


# --- messages and ticks ---


def test_a_message_is_kept_where_http_finds_it(app: Server, client: Client, redis: Service) -> None:
    answers = Client(redis.port)
    answers.ask("SUBSCRIBE", "answers")
    while client.ask("PUBLISH", "news", "good news") == 0:
        pass  # the app listens for requests first
    assert answers.next() == [b"message", b"answers", b"good news"]
    answers.close()
    assert get(app, "/front/get/default/message") == (200, "good news")


def test_a_tick_is_kept_where_http_finds_it(app: Server, client: Client) -> None:
    client.ask("SUBSCRIBE", "__keyspace@0__:edged:mixed:default:last")
    assert client.next() == [b"message", b"__keyspace@0__:edged:mixed:default:last", b"set"]
    status, text = get(app, "/front/get/default/last")
    assert status == 200
    assert text.endswith("+00:00")
