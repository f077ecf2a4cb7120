"""A session against another one, byte by byte, and against a peer that breaks each rule."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from edged.errors import ProtocolError, RemoteError
from edged.fleet.frame import encode_frame
from edged.fleet.session import Session
from edged.fleet.session_event import (
    AnswerReceived,
    CancelReceived,
    EndReceived,
    ErrorReceived,
    Hello,
    HelloReceived,
    ItemReceived,
    MoreReceived,
    PingReceived,
    PongReceived,
    RequestReceived,
)
from edged.limits import (
    FRAME_ANYONE_BYTES_MAX,
    FRAME_ANYONE_ITEM_COUNT_MAX,
    LINK_ANYONE_BYTES_MAX,
    LINK_REQUESTS_OPEN_MAX,
    REMOTE_TEXT_CHARS_MAX,
    STREAM_ITEM_BYTES_MAX,
    STREAM_WINDOW,
)

HELLO = Hello("fleet", 1, 2, "name", "0.1")


def pair() -> tuple[Session, Session]:
    """Two that have said hello."""
    one, other = Session(HELLO), Session(HELLO)
    assert one.receive(other.say_hello()) == [HelloReceived(HELLO)]
    assert other.receive(one.say_hello()) == [HelloReceived(HELLO)]
    return one, other


def greeted() -> Session:
    return pair()[0]


def said(**message: Any) -> bytes:
    return encode_frame(message)


def test_a_call_and_its_answer_byte_by_byte() -> None:
    asker, answerer = pair()
    number, data = asker.ask("add", {"a": 1})
    events = [event for byte in data for event in answerer.receive(bytes([byte]))]
    assert events == [RequestReceived(number, "add", {"a": 1})]
    assert asker.receive(answerer.answer(number, [2])) == [AnswerReceived(number, [2])]
    assert asker.open_count == answerer.open_count == 0


def test_both_ends_ask_with_numbers_of_their_own() -> None:
    one, other = pair()
    first, data = one.ask("a", {})
    second, reply = other.ask("b", {})
    assert first == second == 1
    assert other.receive(data) == [RequestReceived(1, "a", {})]
    assert one.receive(reply) == [RequestReceived(1, "b", {})]
    assert other.receive(one.answer(1, "for b")) == [AnswerReceived(1, "for b")]
    assert one.receive(other.answer(1, "for a")) == [AnswerReceived(1, "for a")]


def test_a_stream_goes_as_far_as_it_is_taken() -> None:
    asker, answerer = pair()
    number, data = asker.ask("count", {}, is_stream=True)
    answerer.receive(data)
    for item in range(STREAM_WINDOW):
        assert answerer.may_send_item(number)
        assert asker.receive(answerer.item(number, item)) == [ItemReceived(number, item)]
    assert not answerer.may_send_item(number)
    assert answerer.receive(asker.took(number, 3)) == [MoreReceived(number)]
    assert answerer.may_send_item(number)
    assert asker.receive(answerer.end(number)) == [EndReceived(number)]
    assert asker.took(number, 1) == b""


def test_an_error_ends_a_call_or_stream_and_is_safe_to_show() -> None:
    asker, answerer = pair()
    for is_stream in (False, True):
        number, data = asker.ask("x", {}, is_stream=is_stream)
        answerer.receive(data)
        failure = answerer.fail(number, "fleet.forbidden", "no\x1b[2J\n" + "x" * 9999, "\ud800 try")
        [event] = asker.receive(failure)
        assert isinstance(event, ErrorReceived)
        assert event.error.code == "fleet.forbidden"
        assert event.error.exit_status == 77
        assert event.error.message.startswith("no\\x1b[2J\\n")
        assert event.error.remedy == "? try"


def test_the_code_of_an_error_that_we_do_not_know_stays() -> None:
    error = RemoteError("m", remedy="r", code="registry.store-full")
    assert (error.code, error.exit_status, error.as_json()["code"]) == (
        "registry.store-full",
        70,
        "registry.store-full",
    )
    assert RemoteError("m").code == RemoteError.code


def test_what_was_cancelled_ends_all_the_same() -> None:
    asker, answerer = pair()
    number, data = asker.ask("x", {})
    answerer.receive(data)
    cancel = asker.cancel(number)
    assert asker.cancel(number) == b""
    assert answerer.receive(cancel) == [CancelReceived(number)]
    assert asker.open_count == 1
    assert asker.receive(answerer.fail(number, "c", "m", "r")) == []
    assert asker.open_count == 0
    assert asker.cancel(number) == b""


def test_an_answer_and_a_cancel_may_pass_each_other() -> None:
    asker, answerer = pair()
    number, data = asker.ask("x", {}, is_stream=True)
    answerer.receive(data)
    late = answerer.item(number, 1) + answerer.end(number)
    cancel = asker.cancel(number)
    assert asker.receive(late) == []
    assert answerer.receive(cancel) == []
    assert asker.open_count == answerer.open_count == 0


def test_requests_at_the_limit_and_over() -> None:
    asker, answerer = pair()
    for _ in range(LINK_REQUESTS_OPEN_MAX):
        assert asker.may_ask
        answerer.receive(asker.ask("x", {})[1])
    assert not asker.may_ask
    with pytest.raises(ProtocolError, match="open at once"):
        answerer.receive(said(id=LINK_REQUESTS_OPEN_MAX + 1, call="x", args={}))


def test_an_item_over_the_limit_is_not_sent() -> None:
    asker, answerer = pair()
    number, data = asker.ask("x", {}, is_stream=True)
    answerer.receive(data)
    with pytest.raises(ProtocolError, match="an item of"):
        answerer.item(number, bytes(STREAM_ITEM_BYTES_MAX))
    assert asker.receive(answerer.fail(number, "c", "m", "r"))


def test_an_answer_over_the_limit_is_not_sent() -> None:
    asker, answerer = pair()
    number, data = asker.ask("x", {})
    answerer.receive(data)
    with pytest.raises(ProtocolError):
        answerer.answer(number, bytes(2**21))
    assert asker.receive(answerer.fail(number, "c", "m", "r"))


def test_ping_and_pong() -> None:
    one, other = pair()
    number, data = one.ping()
    [ping] = other.receive(data)
    assert isinstance(ping, PingReceived)
    assert one.receive(ping.data) == [PongReceived(number)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fleet": "other"}, "is of the fleet 'other'"),
        ({"protocol": 2}, "speaks version 2"),
        ({"protocol": True}, "no number"),
        ({"epoch": -1}, "no number"),
        ({"name": 1}, "no text"),
        ({"name": "x" * 256}, "no text"),
        ({"more": 1}, "keys"),
    ],
)
def test_a_hello_that_is_none(change: dict[str, Any], why: str) -> None:
    hello = {"protocol": 1, "fleet": "fleet", "epoch": 0, "roster_version": 0, "name": "", "edged": ""}
    assert Session(HELLO).receive(encode_frame(hello))
    assert Session(HELLO).receive(encode_frame(hello | {"epoch": 7})), "nodes of two epochs talk"
    with pytest.raises(ProtocolError, match=why):
        Session(HELLO).receive(encode_frame(hello | change))


def test_no_word_before_hello_and_none_after() -> None:
    with pytest.raises(ProtocolError):
        Session(HELLO).receive(said(ping=1))
    with pytest.raises(ProtocolError):
        greeted().receive(Session(HELLO).say_hello())


def test_a_hello_is_small_and_what_anyone_says_too() -> None:
    over = (FRAME_ANYONE_BYTES_MAX + 1).to_bytes(4, "big")
    with pytest.raises(ProtocolError):
        Session(HELLO).receive(over)
    anyone, party = Session(HELLO, anyone=True), Session(HELLO)
    for session in (anyone, party):
        session.receive(Session(HELLO).say_hello())
    assert party.receive(over) == []
    with pytest.raises(ProtocolError):
        anyone.receive(over)


ASKED_CALL, ASKED_STREAM, HEARD = 1, 2, 1


def busy() -> Session:
    """One that asked a call (1) and a stream (2), and was asked one thing (1)."""
    session = greeted()
    session.ask("call", {})
    session.ask("stream", {}, is_stream=True)
    session.receive(said(id=HEARD, call="x", args={}))
    return session


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"id": 2},
        {"id": 2, "call": "x"},
        {"id": 2, "call": "x", "args": {}, "more": 1},
        {"id": HEARD, "call": "x", "args": {}},
        {"id": 0, "call": "x", "args": {}},
        {"id": True, "call": "x", "args": {}},
        {"id": 2**60, "call": "x", "args": {}},
        {"id": 2, "call": "x" * 256, "args": {}},
        {"id": 2, "call": b"x", "args": {}},
        {"id": 2, "call": "x", "args": []},
        {"id": 3, "ok": 1},
        {"id": ASKED_STREAM, "ok": 1},
        {"id": ASKED_CALL, "item": 1},
        {"id": ASKED_CALL, "end": True},
        {"id": ASKED_STREAM, "end": False},
        {"id": 3, "error": {"code": "c", "message": "m", "remedy": "r"}},
        {"id": ASKED_CALL, "error": "no"},
        {"id": ASKED_CALL, "error": {"code": "c", "message": "m"}},
        {"id": ASKED_CALL, "error": {"code": "c", "message": "m", "remedy": 1}},
        {"id": ASKED_CALL, "error": {"code": "c", "message": "x" * (REMOTE_TEXT_CHARS_MAX + 1), "remedy": ""}},
        {"id": 2, "cancel": True},
        {"id": HEARD, "cancel": 1},
        {"id": HEARD, "more": 0},
        {"id": HEARD, "more": 1},
        {"id": 2, "more": 1},
        {"ping": -1},
        {"ping": "1"},
        {"pong": 1},
    ],
    ids=str,
)
def test_a_peer_that_breaks_a_rule(message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        busy().receive(encode_frame(message))


def test_items_over_the_window() -> None:
    session = greeted()
    number, _ = session.ask("x", {}, is_stream=True)
    for _ in range(STREAM_WINDOW):
        session.receive(said(id=number, item=1))
    with pytest.raises(ProtocolError, match="more items"):
        session.receive(said(id=number, item=1))


@given(some.lists(some.binary(max_size=60), max_size=8))
def test_rubbish_never_raises_anything_else(pieces: list[bytes]) -> None:
    session = busy()
    with suppress(ProtocolError):
        for piece in pieces:
            session.receive(piece)


KEYS = some.sampled_from(["id", "call", "args", "ok", "item", "end", "error", "cancel", "more", "ping", "pong"])
VALUES = some.integers(-1, 4) | some.booleans() | some.none() | some.text(max_size=3) | some.just({})


@given(some.lists(some.dictionaries(KEYS, VALUES, max_size=3), max_size=12))
def test_any_messages_leave_it_in_order_or_end_it(said_: list[dict[str, Any]]) -> None:
    session = busy()
    with suppress(ProtocolError):
        for message in said_:
            session.receive(encode_frame(message))
            assert session.open_count <= 2 * LINK_REQUESTS_OPEN_MAX


# --- somebody without a certificate ---


def stranger() -> Session:
    """What a node talks to one with."""
    session = Session(HELLO, anyone=True)
    session.receive(Session(HELLO).say_hello())
    return session


def test_a_stranger_has_one_request_open() -> None:
    session = stranger()
    session.receive(said(id=1, call="join", args={}))
    session.answer(1, None)
    session.receive(said(id=2, call="join", args={}))
    with pytest.raises(ProtocolError, match="more than 1 request"):
        session.receive(said(id=3, call="join", args={}))


@pytest.mark.parametrize("over", [0, 1])
def test_a_stranger_says_only_so_much(over: int) -> None:
    session = stranger()
    left = LINK_ANYONE_BYTES_MAX - len(Session(HELLO).say_hello())
    ping = said(ping=1)
    for _ in range(left // len(ping)):
        session.receive(ping)
    rest = ping[: left % len(ping) + over]
    if over:
        with pytest.raises(ProtocolError, match="no certificate"):
            session.receive(rest)
    else:
        session.receive(rest)


@pytest.mark.parametrize("over", [0, 1])
def test_a_strangers_frame_has_few_values(over: int) -> None:
    """64 KiB of empty arrays take 30 ms to read."""
    inner = FRAME_ANYONE_ITEM_COUNT_MAX - 6 - 2  # three pairs, and one within args
    data = said(id=1, call="join", args={"voucher": [[]] * (inner + over)})
    session = stranger()
    if over:
        with pytest.raises(ProtocolError, match="values"):
            session.receive(data)
    else:
        [event] = session.receive(data)
        assert isinstance(event, RequestReceived)
