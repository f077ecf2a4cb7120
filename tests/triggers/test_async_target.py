"""HTTP requests into a component of WASI 0.3, whose instances are the test's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from edged.errors import EdgedError, GuestErrorResponse, GuestNoResponse, GuestTrap, Overloaded
from edged.host.guest_log import GuestLog
from edged.host.interface import Err, Ok
from edged.host.wasi3.http.types import HttpTypes
from edged.http.exchange import ClientGone
from edged.http.router import Router
from edged.limits import GuestLimits
from edged.triggers.async_target import AsyncGuestTarget
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import Entry
from tests.host.fakes import FakeExchange, head, invocation, settled
from tests.host.wasi3.guest import GuestFuture, GuestStream

TYPES = HttpTypes()
WHOLE = Ok(None)
wait = trio.testing.wait_all_tasks_blocked
Handler = Callable[["Instance", Any, Any], Awaitable[None]]


class Instance:
    """Runs a Python handler as the guest's."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def call(self, export: str, request: Any, *, returned: Any) -> None:
        assert export == "handle"
        await self.handler(self, request, returned)


class Pool:
    """Makes an instance for each call."""

    def __init__(self, handler: Handler) -> None:
        self.limits = GuestLimits(request_body_bytes_max=10)
        self.handler = handler
        self.busy = 0
        self.invocations: list[Any] = []
        self.failure: EdgedError | None = None

    async def acquire(self, call: Any) -> Instance:
        self.invocations.append(call)
        if self.failure is not None:
            raise self.failure
        self.busy += 1
        return Instance(self.handler)

    def release(self, _instance: Instance) -> None:
        self.busy -= 1


def response(*pieces: bytes, ended: bool = True, trailers: Any = WHOLE, status: int = 200) -> Any:
    fields = TYPES.fields_constructor(invocation())
    future = GuestFuture() if trailers is None else GuestFuture(trailers)
    made, _ = TYPES.response_new(invocation(), fields, GuestStream(*pieces, ended=ended), future)
    made.set_status_code(status)
    return made


class Served:
    """A route whose guest is a Python function."""

    def __init__(self, handler: Handler) -> None:
        self.pool: Any = Pool(handler)
        guest = TriggerComponent("guest", self.pool, GuestLog("test", "guest"), {"http": Entry("handle", "handler")})
        self.target = AsyncGuestTarget(guest)
        self.router = Router([("/...", self.target)])

    async def ask(self, exchange: FakeExchange | None = None) -> FakeExchange:
        exchange = exchange or FakeExchange(head())
        match = self.router.match(exchange.request.path)
        assert match is not None
        try:
            await self.target.handle(exchange, match, None)
        finally:
            assert self.pool.busy == 0
        return exchange


async def test_a_guest_answers() -> None:
    async def handler(_instance: Instance, request: Any, returned: Any) -> None:
        assert request.get_headers().has("spin-base-path")
        await returned(Ok(response(b"hello", status=201)))

    served = Served(handler)
    assert served.target.component == "guest"
    exchange = await served.ask()
    assert (exchange.status, exchange.body, exchange.finished) == (201, b"hello", True)


async def test_the_response_leaves_while_the_guest_goes_on() -> None:
    async def handler(_instance: Instance, _request: Any, returned: Any) -> None:
        answer = response(b"hello", ended=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(returned, Ok(answer))
            await wait()
            assert exchange.body == b"hello"
            assert not exchange.finished
            answer.contents.end()

    exchange = FakeExchange(head())
    await Served(handler).ask(exchange)
    assert exchange.finished


@pytest.mark.parametrize(
    ("result", "error"),
    [(None, GuestNoResponse), (Err("loop-detected"), GuestErrorResponse)],
    ids=["no-response", "error-code"],
)
async def test_a_guest_without_a_response(result, error) -> None:
    async def handler(_instance: Instance, _request: Any, returned: Any) -> None:
        if result is not None:
            await returned(result)

    served = Served(handler)
    with pytest.raises(error) as raised:
        await served.ask()
    assert raised.value.request_id == served.pool.invocations[0].request_id


async def test_a_guest_that_traps() -> None:
    async def handler(_instance: Instance, _request: Any, _returned: Any) -> None:
        raise GuestTrap("unreachable")

    served = Served(handler)
    with pytest.raises(GuestTrap) as raised:
        await served.ask()
    assert raised.value.request_id == served.pool.invocations[0].request_id


async def test_a_trap_of_a_guest_whose_client_had_gone_is_the_clients_doing() -> None:
    async def handler(_instance: Instance, request: Any, _returned: Any) -> None:
        assert await settled(request.contents.read(10)) == b""
        raise GuestTrap("unreachable")

    exchange = FakeExchange(ended=False)
    exchange.break_off(ClientGone())
    with pytest.raises(ClientGone):
        await Served(handler).ask(exchange)


async def test_a_client_that_goes_ends_the_guests_call() -> None:
    async def handler(_instance: Instance, _request: Any, returned: Any) -> None:
        await returned(Ok(response(b"hello")))
        raise AssertionError("the call goes on")

    exchange = FakeExchange(head())
    exchange.leave()
    with pytest.raises(ClientGone):
        await Served(handler).ask(exchange)


async def test_a_trailer_that_never_comes_is_cut_with_the_call() -> None:
    async def handler(_instance: Instance, _request: Any, returned: Any) -> None:
        answer = response(b"hello", trailers=None)
        answer.trailers.drop()
        await returned(Ok(answer))

    with pytest.raises(EdgedError, match="not whole"):
        await Served(handler).ask()


async def test_what_a_guest_keeps_of_its_request_is_at_an_end() -> None:
    kept = []

    async def handler(_instance: Instance, request: Any, returned: Any) -> None:
        kept.append(request)
        await returned(Ok(response()))

    await Served(handler).ask(FakeExchange(body=b"hello"))
    assert await settled(kept[0].contents.read(10)) == b""


async def test_a_body_is_held_to_the_operators_limit() -> None:
    async def handler(_instance: Instance, _request: Any, returned: Any) -> None:
        await returned(Ok(response()))

    exchange = await Served(handler).ask()
    assert exchange.request_body_bytes_max == 10


async def test_a_pool_that_is_full() -> None:
    async def handler(_instance: Instance, _request: Any, _returned: Any) -> None:
        raise AssertionError("there is no instance")

    served = Served(handler)
    served.pool.failure = Overloaded("full")
    with pytest.raises(Overloaded) as raised:
        await served.ask()
    assert raised.value.request_id == served.pool.invocations[0].request_id
