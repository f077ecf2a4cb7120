"""The table of calls: who may make each, and with what arguments; docs/protocol.md lists the same."""

from __future__ import annotations

from typing import Any

import pytest

from edged.errors import CallForbidden, RequestInvalid
from edged.fleet.calls import CALLS, Dispatcher, arguments
from edged.fleet.peer import ANYONE, Peer
from edged.limits import CHUNKS_PER_MESSAGE_MAX, LOG_TAIL_LINE_COUNT, RECORD_BYTES_MAX, RECORDS_PER_MESSAGE_MAX
from registry.digest import digest_of
from registry.limits import CHUNK_BYTES_MAX
from tests.docs.tables import names, rows

DIGEST = digest_of(b"x")
DIGESTS = [DIGEST] * CHUNKS_PER_MESSAGE_MAX
NODE = Peer("n1", "node", "sha256:n")


def key(*roles: str) -> Peer:
    return Peer("someone", "key", "sha256:k", frozenset(roles), ("*",))


GOOD: dict[str, dict[str, Any]] = {
    "heads": {"hash": b"x" * 16},
    "buckets": {"indexes": [0, 255]},
    "records": {"keys": [["deployment", "shop"]]},
    "offer": {"records": [b"x"]},
    "release": {"digest": DIGEST},
    "chunk": {"digest": DIGEST},
    "reports": {"reports": []},
    "beats": {"beats": [], "reports": []},
    "missing": {"digests": [DIGEST], "lease": "l"},
    "put_chunk": {"digest": DIGEST, "size": 1, "frame": b"x"},
    "put_release": {"envelope": b"x"},
    "put_record": {"envelope": b"x"},
    "head": {"app": "shop"},
    "history": {"app": "shop"},
    "apps": {},
    "roster": {},
    "alarms": {},
    "keys": {},
    "status": {},
    "watch": {"app": "shop", "sequence": 3},
    "logs": {"app": "shop", "tail": 10, "follow": True},
    "drain": {},
    "undrain": {},
    "join": {"voucher": b"v", "certificate": b"c", "proof": b"p" * 64},
    "removed": {"certificate": b"c", "proof": b"p" * 64, "roster_version": 1},
}
PEERS = {
    "node": NODE,
    "deploy": key("deploy"),
    "read": key("read"),
    "admit": key("admit"),
    "no role": key(),
    "anyone": ANYONE,
}
NODES, PARTIES = {"node"}, {"node", "deploy", "read", "admit", "no role"}
READERS = {"node", "deploy", "read", "admit"}
ALLOWED = {
    "heads": NODES,
    "buckets": PARTIES,
    "records": PARTIES,
    "offer": NODES,
    "release": {"node", "deploy"},
    "chunk": {"node", "deploy"},
    "reports": NODES,
    "beats": NODES,
    "missing": {"node", "deploy"},
    "put_chunk": {"deploy"},
    "put_release": {"deploy"},
    "put_record": PARTIES,
    "head": {"deploy"},
    "history": {"deploy"},
    "apps": READERS,
    "roster": PARTIES,
    "alarms": READERS,
    "keys": READERS,
    "status": READERS,
    "watch": READERS,
    "logs": READERS,
    "drain": {"admit"},
    "undrain": {"admit"},
    "join": set(PEERS),
    "removed": set(PEERS),
}


def test_every_call_is_tried() -> None:
    assert CALLS.keys() == GOOD.keys() == ALLOWED.keys()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("who", PEERS)
def test_allowed_and_denied(call: str, who: str) -> None:
    if who in ALLOWED[call]:
        assert len(arguments(PEERS[who], call, GOOD[call])) <= len(GOOD[call])
    else:
        with pytest.raises(CallForbidden, match=call):
            arguments(PEERS[who], call, GOOD[call])


@pytest.mark.parametrize("call", CALLS)
def test_no_argument_too_many_or_too_few(call: str) -> None:
    peer = next(PEERS[who] for who in ALLOWED[call])
    with pytest.raises(RequestInvalid, match="more"):
        arguments(peer, call, GOOD[call] | {"more": 1})
    for name in GOOD[call]:
        with pytest.raises(RequestInvalid, match=name):
            arguments(peer, call, {other: value for other, value in GOOD[call].items() if other != name})
        for value in (None, -1, {"a": 1}, 1.5):
            with pytest.raises(RequestInvalid):
                arguments(peer, call, GOOD[call] | {name: value})


@pytest.mark.parametrize(
    ("call", "at", "over"),
    [
        (
            "missing",
            {"digests": [DIGEST] * CHUNKS_PER_MESSAGE_MAX},
            {"digests": [DIGEST] * (CHUNKS_PER_MESSAGE_MAX + 1)},
        ),
        ("missing", {"digests": []}, {"digests": ["sha256:1"]}),
        ("put_chunk", {"size": CHUNK_BYTES_MAX}, {"size": CHUNK_BYTES_MAX + 1}),
        ("put_chunk", {"size": 1}, {"size": 0}),
        ("put_record", {"envelope": bytes(RECORD_BYTES_MAX)}, {"envelope": bytes(RECORD_BYTES_MAX + 1)}),
        ("offer", {"records": [b""] * RECORDS_PER_MESSAGE_MAX}, {"records": [b""] * (RECORDS_PER_MESSAGE_MAX + 1)}),
        ("offer", {"records": [bytes(RECORD_BYTES_MAX)]}, {"records": [bytes(RECORD_BYTES_MAX + 1)]}),
        ("logs", {"tail": LOG_TAIL_LINE_COUNT}, {"tail": LOG_TAIL_LINE_COUNT + 1}),
        ("buckets", {"indexes": [255]}, {"indexes": [256]}),
        ("records", {"keys": [["roster", "demo"]]}, {"keys": [["roster"]]}),
        ("records", {"keys": []}, {"keys": [["release", "demo"]]}),
        ("head", {"app": "a" * 63}, {"app": "../a"}),
    ],
)
def test_arguments_at_the_limit_and_over(call: str, at: dict[str, Any], over: dict[str, Any]) -> None:
    peer = next(PEERS[who] for who in ALLOWED[call])
    assert arguments(peer, call, GOOD[call] | at)
    with pytest.raises(RequestInvalid):
        arguments(peer, call, GOOD[call] | over)


async def test_what_nobody_answers_is_not_there() -> None:
    dispatch = Dispatcher({"apps": lambda _peer: ["shop"]})
    assert await dispatch(NODE, "apps", {}) == ["shop"]
    for call in ("status", "nothing"):
        with pytest.raises(RequestInvalid, match=call):
            await dispatch(NODE, call, {})


def test_a_handler_for_no_call_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        Dispatcher({"nothing": lambda: None})


def test_the_page_lists_the_same_calls() -> None:
    documented = {names(cells[0])[0]: set(names(cells[2])) for cells in rows("protocol.md", "call")}
    assert documented == {call: set(GOOD[call]) for call in CALLS}


PUBLISHER = Peer("shopkeeper", "key", "sha256:k", frozenset({"deploy"}), ("shop-*",))


@pytest.mark.parametrize("call", ["head", "history", "watch", "logs"])
def test_a_publisher_sees_what_its_own_apps_say_and_no_others(call: str) -> None:
    args = GOOD[call]
    assert arguments(PUBLISHER, call, {**args, "app": "shop-1"})["app"] == "shop-1"
    with pytest.raises(CallForbidden, match="may not deploy blog"):
        arguments(PUBLISHER, call, {**args, "app": "blog"})


@pytest.mark.parametrize(("call", "is_allowed"), [("watch", True), ("logs", True), ("head", False), ("history", False)])
def test_a_reader_sees_all_apps_but_no_variables(call: str, is_allowed: bool) -> None:
    reader = Peer("reader", "key", "sha256:k", frozenset({"read"}), ("shop",))
    if is_allowed:
        assert arguments(reader, call, GOOD[call])["app"] == "shop"
    else:
        with pytest.raises(CallForbidden):
            arguments(reader, call, GOOD[call])
