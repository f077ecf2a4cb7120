"""Guests of Spin 1, in C, with both sets of names that their bindings gave: what they may use and what they may not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog.testing
import trio
import trio.testing

from edged.errors import ComponentUnsupported, GuestResponseInvalid, GuestReturnedError, GuestTrap, Overloaded
from edged.host.http.error import HttpError
from edged.host.http.outbound import Outgoing
from edged.host.network.grant import Grant
from edged.host.redis.pool import RedisPool
from edged.host.registry import HostConfig
from edged.host.sqlite.database import Database
from edged.http.router import Router
from edged.limits import FIELD_OVERHEAD_BYTES, FIELDS_BYTES_MAX, WHOLE_BODY_BYTES_MAX, GuestLimits
from edged.manifest.outbound import AllowedHosts, parse_host
from edged.triggers.record import RecordTarget
from edged.wasm.engine import Engine, PoolConfig
from tests.conftest import GuestPath
from tests.host.fakes import FakeExchange, head
from tests.host.http.transports import FakeTransport, grant
from tests.host.key_value.memory import MemoryKeyValue
from tests.host.redis.fakes import LOCAL
from tests.services import Service
from tests.triggers.module import Serve, Served, serving


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(PoolConfig(instances=50, core_instances=100, memories=100, tables=100))
    engine.start_ticking()
    yield engine
    engine.close()


@pytest.fixture
def serve(engine: Engine) -> Iterator[Serve]:
    with serving(engine) as serve:
        yield serve


class Guest:
    """One of the two guests, to be given what a test wants."""

    def __init__(self, serve: Serve, module: Path) -> None:
        self._serve = serve
        self._module = module.read_bytes()

    def given(self, **config: object) -> Served:
        return self._serve(self._module, HostConfig(**config), "http", "redis")  # type: ignore[arg-type]


@pytest.fixture(params=["spin1", "spin02"])
def guest(request: pytest.FixtureRequest, serve: Serve, guest_path: GuestPath) -> Guest:
    return Guest(serve, guest_path(request.param))


# --- the request and the response ---


async def test_a_body_comes_back(guest: Guest) -> None:
    served = guest.given()
    for body in (b"", b"a", bytes(range(256)) * 1_000):
        exchange = await served.ask("/", body, method="POST")
        assert (exchange.status, exchange.body, exchange.finished) == (200, body, True)


async def test_what_it_is_told_of_the_request(guest: Guest) -> None:
    exchange = await guest.given().ask(
        "/headers", method="OPTIONS", headers=((b"host", b"a.test"), (b"n", b"\xc3\xa4"))
    )
    first, *headers = exchange.body.decode().split("\n")
    assert first == "6 0", "the method by its number, and no params"
    assert {
        "host: a.test",
        "n: ä",
        "spin-path-info: ",
        "spin-full-url: http://example.com/headers",
        "spin-matched-route: /:first/...",
        "spin-raw-component-route: /:first/...",
        "spin-component-route: /:first",
        "spin-base-path: /",
        "spin-client-addr: 192.0.2.1:40000",
        "spin-path-match-first: headers",
    } == set(headers)
    assert list(exchange.headers) == [(b"content-type", b"text/plain"), (b"x-who", b"spin1")]


async def test_the_host_of_a_request_that_has_it_elsewhere(guest: Guest) -> None:
    exchange = await guest.given().ask("/headers", authority="b.test", http_version="2", headers=())
    assert "host: b.test" in exchange.body.decode().split("\n")


async def test_a_header_that_is_no_text(guest: Guest) -> None:
    exchange = await guest.given().ask("/headers", headers=((b"n", b"\xff"),))
    assert "n: �" in exchange.body.decode().split("\n")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PURGE"])
async def test_a_method_that_it_has_no_word_for(guest: Guest, method: str) -> None:
    exchange = await guest.given().ask("/", method=method)
    assert (exchange.status, exchange.body, exchange.finished) == (405, b"", True)


@pytest.mark.parametrize("status", [200, 204, 404, 600])
async def test_a_status(guest: Guest, status: int) -> None:
    assert (await guest.given().ask(f"/status/{status}")).status == status


@pytest.mark.parametrize("status", [0, 99, 199, 601, 65_535])
async def test_a_status_that_is_none(guest: Guest, status: int) -> None:
    with pytest.raises(GuestResponseInvalid, match=f"{status} is not the status") as caught:
        await guest.given().ask(f"/status/{status}")
    assert caught.value.request_id


async def test_a_trap(guest: Guest) -> None:
    with pytest.raises(GuestTrap) as caught:
        await guest.given().ask("/trap")
    assert caught.value.request_id


async def test_no_instance_waits_for_a_body(guest: Guest) -> None:
    served = guest.given()
    exchange = FakeExchange(head(method="POST"), ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        assert served.component.pool.statistics().alive == 0
        exchange.feed(b"late")
        exchange.end()
    assert exchange.body == b"late"


@pytest.mark.parametrize(("own", "expected"), [(1000, 1000), (WHOLE_BODY_BYTES_MAX + 1, WHOLE_BODY_BYTES_MAX)])
async def test_how_large_a_request_body_may_be(guest: Guest, own: int, expected: int) -> None:
    served = guest.given(limits=dataclasses.replace(GuestLimits(), request_body_bytes_max=own))
    assert (await served.ask("/", b"x")).request_body_bytes_max == expected


async def test_how_large_a_response_body_may_be(guest: Guest) -> None:
    served = guest.given(limits=dataclasses.replace(GuestLimits(), response_body_bytes_max=10))
    assert (await served.ask("/", b"x" * 10, method="POST")).body == b"x" * 10
    with pytest.raises(GuestResponseInvalid, match="11 bytes"):
        await served.ask("/", b"x" * 11, method="POST")


@pytest.mark.parametrize(
    ("length", "fits"), [(FIELDS_BYTES_MAX - 1 - FIELD_OVERHEAD_BYTES, True), (FIELDS_BYTES_MAX, False)]
)
async def test_how_large_response_headers_may_be(guest: Guest, length: int, fits: bool) -> None:
    served = guest.given()
    if fits:
        exchange = await served.ask(f"/header/{length}")
        assert [len(value) for _, value in exchange.headers] == [length]
    else:
        with pytest.raises(GuestResponseInvalid, match="headers have more"):
            await served.ask(f"/header/{length}")


async def test_how_much_of_request_bodies_is_held(guest: Guest) -> None:
    target = RecordTarget(guest.given().component, held_bytes_max=10)
    match = Router([("/...", target)]).match("/")
    assert match is not None
    first, second, third = (FakeExchange(head(method="POST", target="/"), ended=False) for _ in range(3))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(target.handle, first, match, None)
        first.feed(b"x" * 6)
        await trio.testing.wait_all_tasks_blocked()
        assert target.held_bytes == 6
        second.feed(b"y" * 5)
        with pytest.raises(Overloaded):
            await target.handle(second, match, None)
        nursery.start_soon(target.handle, third, match, None)
        third.feed(b"z" * 4)
        third.end()
        await trio.testing.wait_all_tasks_blocked()
        assert (third.body, target.held_bytes) == (b"zzzz", 6)
        first.end()
    assert (first.body, target.held_bytes) == (b"x" * 6, 0)


async def test_each_request_has_a_fresh_instance(guest: Guest) -> None:
    served = guest.given()
    assert [(await served.ask("/", b"a")).body, (await served.ask("/", b"b")).body] == [b"a", b"b"]


# --- preview 1 ---


async def test_files(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    served = guest.given(files={"/folder/a.txt": tmp_path / "a"})
    assert (await served.ask("/file/folder/a.txt")).body == b"content"
    assert (await served.ask("/file/folder/b.txt")).status == 404
    assert (await guest.given().ask("/file/folder/a.txt")).status == 404


async def test_environment(guest: Guest) -> None:
    served = guest.given(environment={"OWN": "mine"})
    assert (await served.ask("/env/OWN")).body == b"mine"
    assert (await served.ask("/env/PATH")).body == b"none"


async def test_its_output_is_logged(guest: Guest) -> None:
    with structlog.testing.capture_logs() as logs:
        await guest.given().ask("/log/a-line")
    assert [(line["event"], line["text"]) for line in logs] == [("guest.stdout", "a-line")]


# --- key-value stores ---


async def test_key_value(guest: Guest) -> None:
    served = guest.given(key_value={"default": MemoryKeyValue()})
    assert (await served.ask("/kv/default/a", b"\0one", method="PUT")).status == 200
    assert (await served.ask("/kv/default/b", b"", method="PUT")).status == 200
    assert (await served.ask("/kv/default/a")).body == b"\0one"
    assert (await served.ask("/kv/default/b")).body == b""
    assert (await served.ask("/kv/default")).body == b"a\nb\n"
    assert (await served.ask("/kv/default/a", method="HEAD")).status == 200
    assert (await served.ask("/kv/default/a", method="POST")).body == b"1"
    assert (await served.ask("/kv/default/a", method="DELETE")).status == 200
    assert (await served.ask("/kv/default/a", method="POST")).body == b"0"
    assert (await served.ask("/kv/default/a")).body == b"error 4"


@pytest.mark.parametrize(("label", "case"), [("unbacked", 1), ("foreign", 2)])
async def test_a_store_that_it_may_not_open(guest: Guest, label: str, case: int) -> None:
    served = guest.given(key_value={"default": MemoryKeyValue(), "unbacked": None})
    exchange = await served.ask(f"/kv/{label}/a")
    assert (exchange.status, exchange.body) == (500, b"error %d" % case)


async def test_a_store_that_was_closed(guest: Guest) -> None:
    served = guest.given(key_value={"default": MemoryKeyValue()})
    assert (await served.ask("/stale")).body == b"error 3"


# --- SQLite ---


async def test_sqlite(guest: Guest, tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    served = guest.given(databases={"default": database})
    try:
        assert (await served.ask("/sql/default", b"CREATE TABLE t (a, b)")).body == b""
        assert (await served.ask("/sql/default", b"INSERT INTO t VALUES (?, ?), (NULL, 1.5)")).body == b""
        rows = await served.ask("/sql/default", b"SELECT a, b, x'6162' AS c FROM t")
        assert rows.body == b"a|b|c|\n7|seven|ab|\nnull|1.5|ab|"
        wrong = await served.ask("/sql/default", b"SELECT nothing")
        assert wrong.body.startswith(b"error 4 ")
    finally:
        database.close()


@pytest.mark.parametrize(("name", "case"), [("unbacked", 0), ("foreign", 1)])
async def test_a_database_that_it_may_not_open(guest: Guest, name: str, case: int) -> None:
    exchange = await guest.given(databases={"unbacked": None}).ask(f"/sql/{name}", b"SELECT 1")
    assert exchange.body == b"error %d" % case


# --- variables ---


async def test_config(guest: Guest) -> None:
    served = guest.given(variables={"own": "a value"})
    assert (await served.ask("/config/own")).body == b"a value"
    assert (await served.ask("/config/other")).body.startswith(b"error 0 ")
    assert (await served.ask("/config/NO-NAME")).body.startswith(b"error 1 ")


# --- outbound HTTP ---


class Outbound:
    """A guest that may send to example.com, and whoever carries it."""

    def __init__(self, guest: Guest, nursery: trio.Nursery, *allowed: str) -> None:
        self.network, self.local = FakeTransport(), FakeTransport()
        self.network.answer.set()
        self.local.answer.set()
        self.served = guest.given(
            grant=grant(*(allowed or ("http://example.com",))),
            outgoing=Outgoing(self.network, nursery, self.local),
        )

    async def ask(self, url: str, body: bytes = b"", **changes: object) -> FakeExchange:
        return await self.served.ask("/fetch", body, headers=((b"url", url.encode()),), **changes)


async def test_a_request_leaves(guest: Guest, nursery: trio.Nursery) -> None:
    outbound = Outbound(guest, nursery)
    exchange = await outbound.ask("http://example.com/p%20q/ä?x=y z#part", b"sent", method="POST")
    assert (exchange.status, exchange.body) == (200, b"hello")
    assert list(exchange.headers) == [(b"x", b"y")], "nothing of the connection"
    (request,) = outbound.network.requests
    assert (request.method, request.scheme, request.authority) == ("POST", "http", "example.com")
    assert request.target == "/p%20q/%C3%A4?x=y%20z"
    assert (b"url", b"http://example.com/p%20q/\xc3\xa4?x=y z#part") in request.headers
    assert b"host" not in {name for name, _ in request.headers}
    assert request.body.length == 4
    assert outbound.network.body.closed == 1
    assert request.response_body_bytes_max == WHOLE_BODY_BYTES_MAX


async def test_a_request_without_a_body(guest: Guest, nursery: trio.Nursery) -> None:
    outbound = Outbound(guest, nursery)
    await outbound.ask("http://example.com")
    assert outbound.network.requests[0].body is None
    assert outbound.network.requests[0].target == "/"


async def test_a_request_to_the_app_itself(guest: Guest, nursery: trio.Nursery) -> None:
    outbound = Outbound(guest, nursery, "http://self", "https://self")
    assert (await outbound.ask("/own")).body == b"hello"
    assert [request.target for request in outbound.local.requests] == ["/own"]


@pytest.mark.parametrize(
    ("url", "case"),
    [
        ("http://other.test/", 1),
        ("https://example.com/", 1),
        ("/own", 1),
        ("", 2),
        ("example.com", 2),
        ("http:///path", 2),
        ("http://user@example.com/", 2),
        ("http://[::1/", 2),
        ("ftp://example.com/", 4),
    ],
)
async def test_a_request_that_may_not_leave(guest: Guest, nursery: trio.Nursery, url: str, case: int) -> None:
    outbound = Outbound(guest, nursery)
    assert (await outbound.ask(url)).body == b"error %d" % case
    assert outbound.network.requests == outbound.local.requests == []


async def test_a_request_that_fails(guest: Guest, nursery: trio.Nursery) -> None:
    outbound = Outbound(guest, nursery)
    outbound.network.failure = HttpError("connection-refused")
    assert (await outbound.ask("http://example.com/")).body == b"error 4"


async def test_a_response_that_is_made_while_it_is_read(guest: Guest, nursery: trio.Nursery) -> None:
    outbound = Outbound(guest, nursery)
    outbound.network.goes_on = trio.Event()
    assert (await outbound.ask("http://example.com/")).body == b"hello"
    assert outbound.network.cancelled == 1, "whoever sends is not waited for"


# --- Redis, PostgreSQL, MySQL ---


def _redis(guest: Guest, *allowed: str) -> tuple[Served, RedisPool]:
    pool = RedisPool(LOCAL)
    return guest.given(grant=Grant(AllowedHosts(tuple(map(parse_host, allowed))), LOCAL), redis=pool), pool


async def test_redis(guest: Guest, redis: Service) -> None:
    address = f"redis://127.0.0.1:{redis.port}"
    served, pool = _redis(guest, address)
    assert (await served.ask("/redis", address.encode(), method="POST")).body == b"42 42 said"
    pool.close()


async def test_redis_that_is_not_allowed(guest: Guest) -> None:
    served, pool = _redis(guest)
    for address in (b"redis://127.0.0.1:6379", b"nonsense"):
        assert (await served.ask("/redis", address, method="POST")).body == b"error 1"
    pool.close()


@pytest.mark.parametrize(("path", "address"), [("/pg", b"host=127.0.0.1 user=a"), ("/mysql", b"mysql://a@127.0.0.1/b")])
async def test_a_database_server_that_is_not_allowed(guest: Guest, path: str, address: bytes) -> None:
    exchange = await guest.given().ask(path, address, method="POST")
    assert exchange.body.startswith(b"error 1 ")
    assert b"allowed_outbound_hosts" in exchange.body


# --- the redis trigger ---


async def test_a_message(guest: Guest) -> None:
    store = MemoryKeyValue()
    served = guest.given(key_value={"default": store})
    await served.message(b"hello\0")
    assert (await served.ask("/kv/default/message")).body == b"hello\0"


async def test_a_message_that_it_fails_on(guest: Guest) -> None:
    served = guest.given(key_value={"default": MemoryKeyValue()})
    with pytest.raises(GuestReturnedError):
        await served.message(b"fail")
    with pytest.raises(GuestReturnedError):
        await guest.given().message(b"x")


async def test_a_trigger_that_it_is_not_for(serve: Serve, guest_path: GuestPath) -> None:
    with pytest.raises(ComponentUnsupported, match="exports no handle-cron-event"):
        serve(guest_path("spin1").read_bytes(), HostConfig(), "cron")
