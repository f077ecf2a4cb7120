from __future__ import annotations

import json
from ipaddress import IPv4Address, ip_address
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.announcement import Announcement, Attributes, Community, LargeCommunity
from bgp.errors import WireInvalid
from bgp.limits import COMMUNITY_COUNT_MAX, LINE_BYTES_MAX, PEER_COUNT_MAX, PREFIX_COUNT_MAX, TEXT_CHARS_MAX
from bgp.lines import Lines, printable
from bgp.peer import BfdTimes, Peer, SpeakerConfig
from bgp.prefix import parse_prefix
from bgp.wire import (
    Applied,
    Beat,
    Cease,
    Configure,
    Event,
    Log,
    NotificationSeen,
    PeerChanged,
    Query,
    Ready,
    Refused,
    Request,
    RestartPeer,
    Rib,
    Sent,
    SetAnnouncements,
    canonical,
    encode_event,
    encode_request,
    parse_event,
    parse_request,
)

V4 = parse_prefix("203.0.113.0/24")
FULL = Announcement(V4, Attributes(7, (Community(1, 2), Community(65535, 0)), (LargeCommunity(1, 2, 3),), 4))
PEER = Peer(
    "a",
    ip_address("192.0.2.1"),
    65101,
    ip_address("192.0.2.2"),
    MappingProxyType({"ipv6": ip_address("2001:db8::1")}),
    1790,
    '"quoted" \\ password',
    True,
    1,
    "eth0.7",
    3,
    BfdTimes(50, 5),
)
REQUESTS: list[Request] = [
    Configure(SpeakerConfig(65200, IPv4Address("192.0.2.2"), (PEER,), 0.5)),
    SetAnnouncements(0, ()),
    SetAnnouncements(2**53, (FULL, Announcement(parse_prefix("2001:db8::/48")))),
    Beat(3),
    Query(4),
    RestartPeer("a"),
    Cease(),
]
EVENTS: list[Event] = [
    Ready(),
    Applied(1),
    Refused(1, "bgp.prefix-refused", "why"),
    PeerChanged("a", "established", 9),
    PeerChanged("a", "idle", 0, "gone"),
    Sent("a", V4, "withdraw"),
    NotificationSeen("a", "received", 6, 2, "text"),
    Rib(3, {"a": (FULL,), "b": ()}),
    Log("error", "text"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: type(one).__name__)
def test_a_request_comes_back_as_itself(request_: Request) -> None:
    line = encode_request(request_)
    assert line.count(b"\n") == 1
    assert parse_request(line[:-1]) == request_


@pytest.mark.parametrize("event", EVENTS, ids=lambda one: type(one).__name__)
def test_an_event_comes_back_as_itself(event: Event) -> None:
    line = encode_event(event)
    assert line.count(b"\n") == 1
    assert parse_event(line[:-1]) == event


def test_neither_side_takes_what_the_other_one_takes() -> None:
    for request in REQUESTS:
        with pytest.raises(WireInvalid):
            parse_event(encode_request(request)[:-1])
    for event in EVENTS:
        with pytest.raises(WireInvalid):
            parse_request(encode_event(event)[:-1])


def changed(event: Event | Request, **fields: object) -> bytes:
    line = encode_event(event) if type(event) in map(type, EVENTS) else encode_request(event)  # type: ignore[arg-type]
    ((key, body),) = json.loads(line).items()
    return json.dumps({key: body | fields}).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"beat":1,"query":1}',
        b'{"beat":1,"beat":1}',
        b'{"beat":NaN}',
        b'{"beat":1.0}',
        b'{"beat":true}',
        b'{"beat":-1}',
        b'{"beat":%d}' % (2**53 + 1),
        b'{"beat":' + b"9" * 5000 + b"}",
        b'{"beat":"1"}',
        b'{"cease":1}',
        b'{"cease":false}',
        b'{"announce":"203.0.113.0/24"}',
        '{"restart_peer":"ü"}'.encode(),
        b'{"restart_peer":"\\n"}',
        b'{"restart_peer":""}',
        b"[" * 100_000,
        b'{"set":' * 20_000,
        changed(REQUESTS[1], id=None),
        changed(REQUESTS[1], more=1),
        changed(REQUESTS[1], announcements={}),
        changed(REQUESTS[1], announcements=[1]),
        changed(REQUESTS[1], announcements=[{"prefix": "203.0.113.0/24"}]),
        changed(REQUESTS[0], asn=0),
        changed(REQUESTS[0], asn=2**32),
        changed(REQUESTS[0], router_id="::1"),
        changed(REQUESTS[0], router_id="192.0.2.1; md5-password x"),
        changed(REQUESTS[0], deadman_s=0),
        changed(REQUESTS[0], deadman_s=61),
        changed(REQUESTS[0], deadman_s="1"),
    ],
)
def test_a_request_that_is_none(line: bytes) -> None:
    with pytest.raises(WireInvalid):
        parse_request(line)


@pytest.mark.parametrize(
    "fields",
    [
        {"prefix": "203.0.113.1/24"},
        {"prefix": "0.0.0.0/0"},
        {"prefix": "203.0.113.0/24 next-hop self"},
        {"med": -1},
        {"med": 2**32},
        {"prepend": 11},
        {"prepend": True},
        {"communities": ["65536:1"]},
        {"communities": ["1:2 ] med 3"]},
        {"communities": ["1:2"] * (COMMUNITY_COUNT_MAX + 1)},
        {"large_communities": ["1:2"]},
    ],
)
def test_an_announcement_that_is_none(fields: dict[str, object]) -> None:
    line = json.loads(encode_request(SetAnnouncements(1, (FULL,))))
    line["set"]["announcements"][0].update(fields)
    with pytest.raises(WireInvalid):
        parse_request(json.dumps(line).encode())


@pytest.mark.parametrize(
    "event",
    [
        changed(EVENTS[3], state="up"),
        changed(EVENTS[3], hold_s=65536),
        changed(EVENTS[3], error="\x1b[2J"),
        changed(EVENTS[3], error="a" * (TEXT_CHARS_MAX + 1)),
        changed(EVENTS[5], kind="announced"),
        changed(EVENTS[6], code=256),
        changed(EVENTS[7], peers={"a": None}),
        changed(EVENTS[7], peers={str(number): [] for number in range(PEER_COUNT_MAX + 1)}),
    ],
)
def test_an_event_that_is_none(event: bytes) -> None:
    with pytest.raises(WireInvalid):
        parse_event(event)


def test_limits_are_taken() -> None:
    at = changed(EVENTS[3], error="a" * TEXT_CHARS_MAX)
    assert parse_event(at) == PeerChanged("a", "established", 9, "a" * TEXT_CHARS_MAX)
    parse_event(changed(EVENTS[7], peers={str(number): [] for number in range(PEER_COUNT_MAX)}))


def test_as_many_prefixes_as_a_node_may_announce_and_not_one_more() -> None:
    entries = [Announcement(parse_prefix(f"10.0.{number}.0/24")) for number in range(PREFIX_COUNT_MAX + 1)]
    most = SetAnnouncements(1, tuple(entries[:-1]))
    assert parse_request(encode_request(most)[:-1]) == most
    with pytest.raises(WireInvalid):
        parse_request(encode_request(SetAnnouncements(1, tuple(entries)))[:-1])


def test_everything_at_its_limit_fits_a_line() -> None:
    worst = Attributes(
        2**32 - 1,
        (Community(65535, 65535),) * COMMUNITY_COUNT_MAX,
        (LargeCommunity(2**32 - 1, 2**32 - 1, 2**32 - 1),) * COMMUNITY_COUNT_MAX,
        10,
    )
    entries = tuple(Announcement(parse_prefix(f"2001:db8:{number}::/48"), worst) for number in range(PREFIX_COUNT_MAX))
    rib = Rib(1, {f"{number:0100}": entries for number in range(PEER_COUNT_MAX)})
    assert parse_event(encode_event(rib)[:-1]) == rib


def test_an_error_does_not_repeat_a_password() -> None:
    line = json.loads(encode_request(REQUESTS[0]))
    line["configure"]["peers"][0]["password"] = "s3cret\n" * 20
    with pytest.raises(WireInvalid) as caught:
        parse_request(json.dumps(line).encode())
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__context__)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_are_a_line_or_an_error(data: bytes) -> None:
    for parse, encode in ((parse_request, encode_request), (parse_event, encode_event)):
        try:
            parsed = parse(data)
        except WireInvalid:
            continue
        assert parse(encode(parsed)[:-1]) == parsed  # type: ignore[operator]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_of_any_kind_is_a_line_or_an_error(value: object) -> None:
    for key in ("configure", "set", "beat", "query", "restart_peer", "cease"):
        try:
            parsed = parse_request(json.dumps({key: value}).encode())
        except WireInvalid:
            continue
        assert json.loads(encode_request(parsed)) == {key: value}


@given(st.text())
def test_any_text_is_made_printable(text: str) -> None:
    made = printable(text)
    assert parse_event(encode_event(Log("error", made))[:-1]) == Log("error", made)


def test_canonical_is_in_order_and_without_doubles() -> None:
    twice = Attributes(1, (Community(2, 1), Community(1, 1), Community(2, 1)), (LargeCommunity(2, 0, 0),) * 2, 1)
    once = Attributes(1, (Community(1, 1), Community(2, 1)), (LargeCommunity(2, 0, 0),), 1)
    assert canonical(Announcement(V4, twice)) == Announcement(V4, once)


def test_lines_come_whole_or_byte_by_byte() -> None:
    data = b"".join(map(encode_request, REQUESTS))
    wanted = data.split(b"\n")[:-1]
    whole, single = Lines(), Lines()
    assert whole.feed(data) == wanted
    assert [line for at in range(len(data)) for line in single.feed(data[at : at + 1])] == wanted


def test_a_line_at_the_limit_and_one_over() -> None:
    assert Lines().feed(b"a" * LINE_BYTES_MAX + b"\n") == [b"a" * LINE_BYTES_MAX]
    assert Lines().feed(b"a" * LINE_BYTES_MAX) == []
    for data in (b"a" * (LINE_BYTES_MAX + 1), b"a" * (LINE_BYTES_MAX + 1) + b"\n"):
        with pytest.raises(WireInvalid):
            Lines().feed(data)
