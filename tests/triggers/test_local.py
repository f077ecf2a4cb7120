"""Service chaining without guests: a fake caller, and handlers of the test's own as the called components."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from edged import manifest
from edged.errors import GuestTrap
from edged.host.chain import Chain
from edged.host.http.error import HttpError
from edged.host.http.transport import InboundResponse, OutboundRequest, Timeouts
from edged.http.exchange import ClientGone, Exchange, Header
from edged.limits import CHAIN_CALLS_OPEN_MAX, CHAIN_DEPTH_MAX, WRITE_BUFFER_BYTES, WRITE_TIMEOUT_S
from edged.triggers.http import HttpTrigger
from edged.triggers.local import LocalTransport
from edged.triggers.target import answer

APP = manifest.parse(
    b"""
spin_manifest_version = 2
[application]
name = "test"
[[trigger.http]]
route = "/api/..."
component = "api"
[component.api]
source = "api.wasm"
""",
    Path("spin.toml"),
)
Handle = Callable[[Exchange, int], Awaitable[None]]


class Target:
    """A component that does what the test says."""

    def __init__(self, component: str, handle: Handle) -> None:
        self.component = component
        self._handle = handle

    async def handle(self, exchange: Exchange, match: Any, chain: Chain | None) -> None:
        assert chain is not None
        await self._handle(exchange, chain.depth)


class Body:
    """A request body that is there in pieces."""

    def __init__(
        self,
        *pieces: bytes,
        length: int | None = None,
        gone: bool = False,
        trailers: Sequence[Header] = ((b"x-sum", b"1"),),
    ) -> None:
        self._trailers = trailers
        self._pieces = [*pieces]
        self.length = length
        self._gone = gone

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        if self._pieces:
            return self._pieces.pop(0)
        if self._gone:
            raise ClientGone
        return b""

    async def receive(self, bytes_max: int) -> bytes:
        data = self.receive_nowait(bytes_max)
        assert data is not None
        return data

    def trailers(self) -> Sequence[Header]:
        return self._trailers

    def close(self) -> None: ...


def transport(handle: Handle) -> LocalTransport:
    local = LocalTransport()
    local.trigger = HttpTrigger(APP, [("/api/...", Target("api", handle)), (None, Target("hidden", handle))])
    return local


def request(host: str = "api.spin.internal", target: str = "/x", **changes: Any) -> OutboundRequest:
    fields = {
        "method": "GET",
        "scheme": "http",
        "authority": host or None,
        "host": host,
        "port": 80,
        "target": target,
        "headers": [(b"a", b"b")],
        "body": None,
        "timeouts": Timeouts(1, 1, 1),
        "response_body_bytes_max": 1 << 30,
    }
    return OutboundRequest(**fields | changes)  # type: ignore[arg-type]


async def whole(response: InboundResponse) -> bytes:
    data = b""
    while piece := await response.body.receive(100):
        data += piece
    return data


async def ask(handle: Handle, outbound: OutboundRequest) -> InboundResponse:
    responses: list[InboundResponse] = []
    await transport(handle).send(outbound, responses.append)
    assert len(responses) == 1
    return responses[0]


async def describe(exchange: Exchange, depth: int) -> None:
    head = exchange.request
    body = b""
    while piece := await exchange.receive(100):
        body += piece
    lines = [f"{head.method} {head.scheme}://{head.authority}{head.target} {head.client} {depth}".encode()]
    lines += [name + b": " + value for name, value in [*head.headers, *exchange.request_trailers()]]
    await answer(exchange, 200, [(b"x", b"y")], b"\n".join([*lines, body]))


@pytest.mark.parametrize("host", ["api.spin.internal", "hidden.spin.internal"])
async def test_a_component_by_its_name_whatever_its_route(host) -> None:
    response = await ask(describe, request(host, "/x?y", chain=Chain(3)))
    assert response.status == 200
    assert await whole(response) == f"GET http://{host}/x?y ('0.0.0.0', 0) 4\na: b\n".encode()
    assert (b"x", b"y") in response.headers


@pytest.mark.parametrize("host", ["", "self"])
async def test_the_apps_own_routes(host) -> None:
    response = await ask(describe, request(host, "/api/x"))
    assert await whole(response) == b"GET http://self/api/x ('0.0.0.0', 0) 1\nhost: self\na: b\n"
    assert (await ask(describe, request(host, "/elsewhere"))).status == 404
    assert (await ask(describe, request(host, "/.well-known/spin/health"))).status == 200


async def test_the_well_known_paths_are_the_apps_not_a_components() -> None:
    response = await ask(describe, request(target="/.well-known/spin/health"))
    assert (await whole(response)).startswith(b"GET http://api.spin.internal/.well-known/spin/health")


async def test_a_request_body_with_its_length_and_trailers() -> None:
    body = Body(b"one ", b"two", length=7)
    headers = [(b"content-length", b"7"), (b"a", b"b")]
    response = await ask(describe, request(method="POST", headers=headers, body=body))
    assert (await whole(response)).endswith(b"internal/x ('0.0.0.0', 0) 1\na: b\ncontent-length: 7\nx-sum: 1\none two")


async def test_a_component_that_is_not_there() -> None:
    with pytest.raises(HttpError) as failed:
        await ask(describe, request("other.spin.internal"))
    assert failed.value.code == "destination-not-found"


async def test_a_circle_ends() -> None:
    assert (await ask(describe, request(chain=Chain(CHAIN_DEPTH_MAX - 1)))).status == 200
    with pytest.raises(HttpError) as failed:
        await ask(describe, request(chain=Chain(CHAIN_DEPTH_MAX)))
    assert failed.value.code == "loop-detected"


async def test_one_request_leads_to_only_so_many_at_once_at_whatever_depth() -> None:
    go_on = trio.Event()

    async def wait(exchange: Exchange, depth: int) -> None:
        await go_on.wait()
        await answer(exchange, 200)

    local = transport(wait)
    chain = Chain()
    with chain.call() as deeper:
        async with trio.open_nursery() as nursery:
            for number in range(CHAIN_CALLS_OPEN_MAX - 1):
                outbound = request(chain=deeper if number % 2 else chain)
                nursery.start_soon(local.send, outbound, lambda _response: None)
            await trio.testing.wait_all_tasks_blocked()
            for one_more in (chain, deeper):
                with pytest.raises(HttpError) as failed:
                    await local.send(request(chain=one_more), lambda _response: None)
                assert failed.value.code == "connection-limit-reached"
            with Chain().call():  # of another request
                go_on.set()
        assert (await ask(describe, request(chain=deeper))).status == 200


async def test_a_cancelled_call_counts_no_more() -> None:
    async def wait(exchange: Exchange, depth: int) -> None:
        await trio.sleep_forever()

    chain = Chain()
    for _ in range(CHAIN_CALLS_OPEN_MAX + 1):
        with trio.move_on_after(0):
            await transport(wait).send(request(chain=chain), lambda _response: None)
    assert (await ask(describe, request(chain=chain))).status == 200


async def test_a_component_that_fails_before_it_answers() -> None:
    async def fail(exchange: Exchange, depth: int) -> None:
        exchange.respond(200, [(b"content-length", b"5")])
        raise GuestTrap("unreachable")

    response = await ask(fail, request())
    assert response.status == 500
    assert b"guest.trap" in await whole(response)


async def test_a_component_that_fails_after_it_began_to_answer() -> None:
    async def fail(exchange: Exchange, depth: int) -> None:
        exchange.respond(200, [])
        exchange.write(b"partial")
        await exchange.flush()
        raise GuestTrap("unreachable")

    response = await ask(fail, request())
    assert response.status == 200
    assert await response.body.receive(100) == b"partial"
    with pytest.raises(HttpError) as failed:
        await response.body.receive(100)
    assert failed.value.code == "HTTP-response-incomplete"


async def test_a_caller_that_dropped_its_request_body_gets_no_response() -> None:
    responses: list[InboundResponse] = []
    await transport(describe).send(request(method="POST", body=Body(b"half", gone=True)), responses.append)
    assert not responses


async def test_a_caller_that_dropped_its_request_body_reads_no_further_than_the_callee_came() -> None:
    async def echo(exchange: Exchange, depth: int) -> None:
        exchange.respond(200, [])
        while data := await exchange.receive(100):
            exchange.write(data)
            await exchange.flush()
        await exchange.finish()

    response = await ask(echo, request(method="POST", body=Body(b"half", gone=True)))
    assert await response.body.receive(100) == b"half"
    with pytest.raises(HttpError) as failed:
        await response.body.receive(100)
    assert failed.value.code == "HTTP-response-incomplete"


async def test_a_whole_response_stays_whole_when_the_caller_drops_its_request_body() -> None:
    async def early(exchange: Exchange, depth: int) -> None:
        await answer(exchange, 200, [], b"early")
        raise ClientGone

    response = await ask(early, request(method="POST", body=Body(gone=True)))
    assert await whole(response) == b"early"


@pytest.mark.parametrize("host", ["", "self", "api.spin.internal"])
async def test_only_edged_says_where_a_request_came_from(host) -> None:
    forged = [(b"spin-client-addr", b"9.9.9.9:9"), (b"a", b"b"), (b"spin_full_url", b"x"), (b"spinner", b"c")]
    trailers = [(b"spin-path-info", b"/admin"), (b"x-sum", b"1")]
    body = Body(trailers=trailers)
    response = await ask(describe, request(host, "/api/x", method="POST", headers=forged, body=body))
    lines = (await whole(response)).splitlines()
    assert [line for line in lines if line.startswith(b"spin")] == [b"spinner: c"]
    assert b"a: b" in lines
    assert b"x-sum: 1" in lines


async def stream(exchange: Exchange, depth: int) -> None:
    exchange.respond(200, [])
    for _ in range(4):
        exchange.write(b"x" * WRITE_BUFFER_BYTES)
        await exchange.flush()
    await exchange.finish([(b"x-end", b"1"), (b"content-length", b"9")])


async def test_a_large_body_waits_for_its_reader() -> None:
    responses: list[InboundResponse] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport(stream).send, request(), responses.append)
        await trio.testing.wait_all_tasks_blocked()
        body = responses[0].body
        size = 0
        while piece := body.receive_nowait(1 << 20):
            size += len(piece)
        assert size == WRITE_BUFFER_BYTES, "as much as one buffer, until somebody reads"
        assert body.receive_nowait(1) is None
        while piece := await body.receive(1 << 20):
            size += len(piece)
        assert size == 4 * WRITE_BUFFER_BYTES
        assert list(body.trailers()) == [(b"x-end", b"1")]


async def test_a_reader_that_closes_ends_the_callee() -> None:
    responses: list[InboundResponse] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport(stream).send, request(), responses.append)
        await trio.testing.wait_all_tasks_blocked()
        responses[0].body.close()


async def test_a_reader_that_takes_nothing_ends_the_callee(autojump_clock) -> None:
    responses: list[InboundResponse] = []
    await transport(stream).send(request(), responses.append)
    assert trio.current_time() >= WRITE_TIMEOUT_S
    body = responses[0].body
    assert len(await body.receive(1 << 20)) == WRITE_BUFFER_BYTES
    with pytest.raises(HttpError) as failed:
        await body.receive(1)
    assert failed.value.code == "connection-write-timeout"


async def test_head_has_no_body_and_keeps_its_length() -> None:
    async def hello(exchange: Exchange, depth: int) -> None:
        await answer(exchange, 200, [(b"content-length", b"5")], b"hello")

    response = await ask(hello, request(method="HEAD"))
    assert (b"content-length", b"5") in response.headers
    assert await whole(response) == b""


async def test_too_large_a_request_body() -> None:
    async def small(exchange: Exchange, depth: int) -> None:
        exchange.request_body_bytes_max = 3
        await describe(exchange, depth)

    assert (await ask(small, request(method="POST", body=Body(b"abc")))).status == 200
    assert (await ask(small, request(method="POST", body=Body(b"abcd")))).status == 413
