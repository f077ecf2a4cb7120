"""A guest that fetches, in the test's own process: what it costs to wait, and what is left when it goes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from edged.host.http.outbound import Outgoing
from edged.host.http_client.client import HttpClient
from edged.host.network.dialer import Dialer
from edged.host.network.gate import LOOPBACK, AddressGate
from edged.host.network.grant import Grant
from edged.host.registry import HostConfig
from edged.manifest.outbound import AllowedHosts, parse_host
from edged.wasm.engine import Engine
from tests.conftest import GuestPath
from tests.end_to_end.in_process import Ask, running_engine, serving
from tests.host.http_client.servers import OK, head, hello, listen

WAITING = 500


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine() as engine:
        yield engine


@asynccontextmanager
async def fetching(engine: Engine, guest_path: GuestPath, *allowed: str) -> AsyncIterator[tuple[Ask, HttpClient]]:
    """A guest that fetches what its path names, and the client it does so with."""
    dialer = Dialer(AddressGate(opened=LOOPBACK))
    client = HttpClient(dialer)
    async with trio.open_nursery() as nursery:
        host = HostConfig(
            grant=Grant(AllowedHosts(tuple(map(parse_host, allowed))), dialer), outgoing=Outgoing(client, nursery)
        )
        async with serving(engine, guest_path("fetch"), host) as ask:
            yield ask, client
        # Whatever the guests began has ended with them: this nursery is not cancelled.
    assert client.statistics().active == 0
    client.close()


async def test_what_comes_back_is_the_answer(engine, guest_path, nursery) -> None:
    port = await listen(nursery, hello)
    async with fetching(engine, guest_path, "http://127.0.0.1:*") as (ask, client):
        for _ in range(3):
            assert await ask(f"/127.0.0.1:{port}/a?b", b"") == (200, "hello")
        assert client.statistics().idle == 1
    nursery.cancel_scope.cancel()


async def test_or_the_name_of_what_went_wrong(engine, guest_path) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    async with fetching(engine, guest_path, "http://127.0.0.1:*", "http://10.0.0.1") as (ask, _):
        assert await ask(f"/127.0.0.1:{port}/", b"") == (502, "connection-refused")
        assert await ask("/10.0.0.1/", b"") == (502, "destination-IP-prohibited")
        assert await ask("/other.example/", b"") == (502, "HTTP-request-denied")
        assert await ask("//path", b"") == (502, "HTTP-request-denied")


async def test_guests_that_wait_for_a_slow_server_cost_no_thread(engine, guest_path, nursery) -> None:
    """All at once, on one worker."""
    waiting, everybody, go_on = 0, trio.Event(), trio.Event()

    async def slow(stream: trio.SocketStream) -> None:
        nonlocal waiting
        await head(stream)
        waiting += 1
        if waiting == WAITING:
            everybody.set()
        await go_on.wait()
        await stream.send_all(OK)

    port = await listen(nursery, slow)
    answers = []

    async with fetching(engine, guest_path, "http://127.0.0.1:*") as (ask, client):

        async def one() -> None:
            answers.append(await ask(f"/127.0.0.1:{port}/", b""))

        before = threading.active_count()
        async with trio.open_nursery() as guests:
            for _ in range(WAITING):
                guests.start_soon(one)
            await everybody.wait()
            assert client.statistics().active == WAITING
            assert threading.active_count() == before
            go_on.set()
    assert answers == [(200, "hello")] * WAITING
    nursery.cancel_scope.cancel()


async def test_a_guest_that_goes_takes_its_connection_along(engine, guest_path, nursery) -> None:
    asked, gone = trio.Event(), trio.Event()

    async def slow(stream: trio.SocketStream) -> None:
        await head(stream)
        asked.set()
        assert await stream.receive_some() == b""
        gone.set()

    port = await listen(nursery, slow)
    async with fetching(engine, guest_path, "http://127.0.0.1:*") as (ask, client):
        async with trio.open_nursery() as guests:
            guests.start_soon(ask, f"/127.0.0.1:{port}/", b"")
            await asked.wait()
            guests.cancel_scope.cancel()
        await gone.wait()
        assert client.statistics().active == 0
    nursery.cancel_scope.cancel()
