"""One call of a program that speaks CGI, without the program."""

from __future__ import annotations

import dataclasses

import pytest
import trio
import trio.testing

from edged.errors import GuestNoResponse, GuestResponseInvalid
from edged.host.http.cgi_call import CgiCall
from edged.host.interface import Err
from edged.host.streams import InputStream
from edged.http.exchange import BodyError, ClientGone
from edged.limits import BODY_WRITE_BYTES_MAX, WRITE_BUFFER_BYTES, GuestLimits
from tests.host.fakes import FakeExchange, head, settled

HEAD = b"content-type: text/plain\n\n"


def call_of(exchange: FakeExchange, **limits: int) -> CgiCall:
    return CgiCall(exchange, dataclasses.replace(GuestLimits(), **limits))


async def test_a_small_answer_leaves_in_one_send() -> None:
    exchange = FakeExchange()
    call = call_of(exchange)
    for piece in (HEAD[:5], HEAD[5:] + b"a", b"b"):
        call.write(piece)
    assert exchange.sends == []
    call.returned()
    await call.finish()
    assert (exchange.status, exchange.sends, exchange.finished) == (200, [b"ab"], True)


async def test_what_was_written_is_sent_before_the_program_waits() -> None:
    exchange = FakeExchange()
    call = call_of(exchange)
    await call.settle()
    call.write(HEAD[:-1])
    await call.settle()
    assert exchange.sends == []
    call.write(b"\n")
    await call.settle()
    assert exchange.sends == [b""], "the head alone"
    call.write(b"a")
    await call.settle()
    await call.settle()
    assert exchange.sends == [b"", b"a"]


async def test_output_waits_for_the_client() -> None:
    exchange = FakeExchange()
    call = call_of(exchange)
    assert call.ready()
    await call.wait()
    call.write(HEAD)
    call.write(bytes(WRITE_BUFFER_BYTES))
    assert (call.ready(), call.capacity()) == (False, 0)
    exchange.stall()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(call.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert not call.ready()
        exchange.resume()
    assert call.capacity() == BODY_WRITE_BYTES_MAX
    call.close()
    assert call.ready(), "a program that closed its stdout is answered all the same"
    await call.finish()
    assert len(exchange.body) == WRITE_BUFFER_BYTES


async def test_a_body_at_the_limit_and_one_over() -> None:
    call = call_of(FakeExchange(), response_body_bytes_max=10)
    call.write(HEAD + bytes(10))
    with pytest.raises(GuestResponseInvalid, match="longer than 10 bytes"):
        call.write(b"x")


@pytest.mark.parametrize(
    ("output", "error"), [(b"", GuestNoResponse), (b"hello", GuestResponseInvalid), (HEAD[:-1], GuestResponseInvalid)]
)
def test_a_program_that_ends_too_soon(output: bytes, error: type[Exception]) -> None:
    call = call_of(FakeExchange())
    if output:
        call.write(output)
    with pytest.raises(error):
        call.returned()


async def test_a_client_that_goes() -> None:
    exchange = FakeExchange()
    call = call_of(exchange)
    call.write(HEAD + b"x")
    exchange.leave()
    for _ in range(2):
        with pytest.raises(ClientGone):
            await call.settle()
    assert call.client_gone
    with pytest.raises(Err):
        call.capacity()
    with pytest.raises(ClientGone):
        await call.finish()


@pytest.mark.parametrize(
    ("broken", "gone"), [(ClientGone(), True), (BodyError(413, "too long"), False)], ids=["client", "body"]
)
def test_a_body_that_breaks_off(broken: ClientGone | BodyError, gone: bool) -> None:
    exchange = FakeExchange(ended=False)
    call = call_of(exchange)
    exchange.break_off(broken)
    with pytest.raises(Err):
        call.stdin.read(1)
    assert call.client_gone is gone


def test_the_length_of_the_body() -> None:
    assert call_of(FakeExchange()).body_length == 0
    assert call_of(FakeExchange(ended=False)).body_length is None
    assert call_of(FakeExchange(body=b"abc", ended=False)).body_length is None
    announced = head(headers=((b"content-length", b"17"),))
    assert call_of(FakeExchange(announced, ended=False)).body_length == 17


async def test_asking_for_the_length_loses_nothing() -> None:
    call = call_of(FakeExchange(body=b"abc"))
    assert call.body_length is None
    assert call.stdin.read(10) == b"abc"


async def test_stdin_may_be_dropped_and_asked_for_again() -> None:
    """A source that called itself ready after that would be waited for in a loop that never gives way."""
    exchange = FakeExchange(ended=False)
    call = call_of(exchange)
    InputStream(call.stdin).drop()
    assert not call.stdin.ready()
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            assert await settled(InputStream(call.stdin).blocking_read(10)) == b"x"

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        exchange.feed(b"x")


def test_the_limit_of_the_request_body_is_the_apps() -> None:
    exchange = FakeExchange()
    call_of(exchange, request_body_bytes_max=5)
    assert exchange.request_body_bytes_max == 5
