"""Two nodes come to know the same, in few messages, whatever a peer says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.errors import ProtocolError
from edged.fleet import sync
from edged.fleet.record import Key
from edged.fleet.state import FleetState
from edged.fleet.sync import Answers, Ask, Round
from edged.limits import SYNC_BUCKET_COUNT, SYNC_ROUND_COUNT_MAX
from registry import strict
from tests.fleet.kit import NOW, Joining, identity, root, roster, signed, state


def answer(peer: FleetState, ask: Ask) -> Any:
    """What a peer says, through the encoding of the wire."""
    args: Any = strict.decode(strict.encode(ask.args), 10_000_000)
    answers = Answers(peer)
    value: object
    if ask.call == "heads":
        value = answers.heads(args["hash"])
    elif ask.call == "buckets":
        value = answers.buckets(args["indexes"])
    elif ask.call == "records":
        value = answers.records([Key(*key) for key in args["keys"]])
    else:
        value = {"outcomes": [outcome.kind for outcome in answers.offer(args["records"], NOW)]}
    return strict.decode(strict.encode(value), 10_000_000)


def converse(here: FleetState, peer: FleetState) -> list[str]:
    """A whole round; the calls that it took."""
    calls = []
    found = Round(here)
    ask: Ask | None = found.start()
    while ask is not None:
        calls.append(ask.call)
        ask = found.take(answer(peer, ask), NOW)
    return calls


def test_equal_nodes_exchange_one_message(tmp_path: Path) -> None:
    assert converse(state(tmp_path / "a"), state(tmp_path / "b")) == ["heads"]


def test_what_is_newer_there_comes_and_what_is_newer_here_goes(tmp_path: Path) -> None:
    a, b = state(tmp_path / "a"), state(tmp_path / "b")
    a.accept(signed("blog"), NOW)
    a.accept(signed("shop"), NOW)
    b.accept(signed("shop", 2), NOW)
    assert converse(a, b) == ["heads", "buckets", "records", "offer"]
    assert a.heads_hash() == b.heads_hash()
    assert {app: one.sequence for app, one in b.deployments().items()} == {"blog": 1, "shop": 2}
    assert converse(b, a) == ["heads"]


def test_a_roster_comes_before_what_needs_it(tmp_path: Path) -> None:
    old, new = state(tmp_path / "old"), state(tmp_path / "new")
    keys = (
        *roster().keys,
        roster().keys[0].__class__("late", identity("late").certificate, frozenset({"deploy"}), ("*",)),
    )
    new.accept(roster(version=2, keys=keys).seal([root()]), NOW)
    new.accept(signed(by="late"), NOW)
    joining = Joining()
    new.admit(joining.voucher, joining.identity.certificate, joining.proof(), identity("n1"), NOW)
    converse(old, new)
    assert old.heads_hash() == new.heads_hash()
    other = state(tmp_path / "other")
    converse(new, other)
    assert other.heads_hash() == new.heads_hash()


def test_two_hundred_apps(tmp_path: Path) -> None:
    a, b = state(tmp_path / "a"), state(tmp_path / "b")
    for number in range(200):
        assert a.accept(signed(f"app-{number}"), NOW).kind == "accepted"
    calls = converse(b, a)
    assert len(calls) < 10
    assert len(b.deployments()) == 200
    assert b.heads_hash() == a.heads_hash()


def test_large_records_come_in_several_messages(tmp_path: Path) -> None:
    a, b = state(tmp_path / "a"), state(tmp_path / "b")
    for number in range(6):
        a.accept(signed(f"app-{number}", variables={"v": "x" * 200_000}), NOW)
    assert converse(b, a).count("records") == 3
    c = state(tmp_path / "c")
    assert converse(a, c).count("offer") == 3
    assert a.heads_hash() == b.heads_hash() == c.heads_hash()


def test_equivocation_is_seen_on_both_ends_and_asked_for_once(tmp_path: Path) -> None:
    a, b = state(tmp_path / "a"), state(tmp_path / "b")
    a.accept(signed(message="one"), NOW)
    b.accept(signed(message="other"), NOW)
    assert converse(a, b) == ["heads", "buckets", "records"]
    assert converse(b, a) == ["heads", "buckets", "records"]
    assert [len(fleet.alarms()) for fleet in (a, b)] == [1, 1]
    assert converse(a, b) == ["heads", "buckets"]
    newer = signed(sequence=2)
    a.accept(newer, NOW)
    converse(b, a)
    assert a.heads_hash() == b.heads_hash()
    assert [fleet.alarms() for fleet in (a, b)] == [(), ()]


def test_an_orphan_is_neither_offered_nor_asked_for(tmp_path: Path) -> None:
    a, b = state(tmp_path / "a"), state(tmp_path / "b")
    a.accept(signed("shop-1", by="shopkeeper"), NOW)
    for fleet in (a, b):
        fleet.accept(roster(version=2, keys=(roster().keys[0],)).seal([root()]), NOW)
    assert converse(a, b) == converse(b, a) == ["heads"]


RECORDS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 5)), max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS, RECORDS, st.data())
def test_any_two_nodes_converge_in_a_round(
    tmp_path_factory: pytest.TempPathFactory,
    ours: list[tuple[str, int]],
    theirs: list[tuple[str, int]],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("sync")
    a, b = state(folder / "a"), state(folder / "b")
    for fleet, records in ((a, ours), (b, theirs)):
        for app, sequence in records:
            fleet.accept(signed(app, sequence), NOW)
    first, second = (a, b) if data.draw(st.booleans()) else (b, a)
    calls = converse(first, second)
    assert len(calls) <= 4
    assert a.heads_hash() == b.heads_hash()
    newest: dict[str, int] = {}
    for app, sequence in ours + theirs:
        newest[app] = max(sequence, newest.get(app, 0))
    assert {app: one.sequence for app, one in a.deployments().items()} == newest


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.binary(max_size=20) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["hash", "buckets", "records", "x"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_hostile_answers_change_nothing(tmp_path_factory: pytest.TempPathFactory, answers: list[object]) -> None:
    fleet = state(tmp_path_factory.mktemp("sync"))
    view = fleet.view
    found = Round(fleet)
    ask: Ask | None = found.start()
    try:
        for value in answers:
            if ask is None:
                break
            ask = found.take(value, NOW)
    except ProtocolError:
        pass
    assert fleet.view is view


HEADS = {"hash": b"h" * 16, "buckets": [b"x"] * SYNC_BUCKET_COUNT}
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"hash": b"h" * 17, "buckets": []},
        {"hash": b"h", "buckets": [b"x"] * (SYNC_BUCKET_COUNT - 1)},
        {"hash": b"h", "buckets": [b"x"] * (SYNC_BUCKET_COUNT + 1)},
        {"hash": b"h", "buckets": [1] * SYNC_BUCKET_COUNT},
        {**HEADS, "more": 1},
    ],
)
def test_heads_that_are_none(tmp_path: Path, value: object) -> None:
    found = Round(state(tmp_path))
    found.start()
    with pytest.raises(ProtocolError):
        found.take(value, NOW)


@pytest.mark.parametrize(
    "pairs",
    [
        [[0]],
        [[0, None]],
        [[256, []]],
        [[-1, []]],
        [[0, []], [0, []]],
        [[0, [["deployment", "shop", 1, 1]]]],
        [[0, [["secret", "shop", 1, 1, DIGEST]]]],
        [[0, [["deployment", "shop", 1, -1, DIGEST]]]],
        [[0, [["deployment", "shop", 1, 1, "sha256:0"]]]],
        [[0, [["deployment", "shop", 1, 1, DIGEST]]]],
    ],
)
def test_buckets_that_are_none(tmp_path: Path, pairs: object) -> None:
    found = Round(state(tmp_path))
    found.start()
    ask = found.take(HEADS, NOW)
    assert ask is not None
    with pytest.raises(ProtocolError):
        found.take({"buckets": pairs}, NOW)


def test_a_peer_that_gives_nothing_ends_the_round(tmp_path: Path) -> None:
    a, b = state(tmp_path / "a"), state(tmp_path / "b")
    b.accept(signed(), NOW)
    found = Round(a)
    ask = found.start()
    ask = found.take(answer(b, ask), NOW)
    assert ask is not None
    ask = found.take(answer(b, ask), NOW)
    assert ask is not None
    assert ask.call == "records"
    assert found.take({"records": []}, NOW) is None
    again = Round(a)
    again.start()
    assert again.take(HEADS, NOW) is not None
    assert again.take({"buckets": []}, NOW) is None


def test_a_round_is_bounded(tmp_path: Path) -> None:
    """A peer that gives one bucket at a time."""
    found = Round(state(tmp_path))
    found.start()
    ask = found.take(HEADS, NOW)
    for _ in range(SYNC_ROUND_COUNT_MAX):
        if ask is None:
            break
        indexes = ask.args["indexes"]
        assert isinstance(indexes, list)
        ask = found.take({"buckets": [[indexes[0], []]]}, NOW)
    assert ask is None


@pytest.mark.parametrize(("count", "is_taken"), [(2, True), (3, False)])
def test_a_peer_that_claims_more_records_than_there_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, is_taken: bool
) -> None:
    monkeypatch.setattr(sync, "RECORD_COUNT_MAX", 2)
    peer = state(tmp_path / "peer")
    for number in range(count):
        peer.accept(signed(f"app-{number}"), NOW)
    here = state(tmp_path / "here")
    if is_taken:
        converse(here, peer)
        assert here.heads_hash() == peer.heads_hash()
    else:
        with pytest.raises(ProtocolError, match="more than 2 heads"):
            converse(here, peer)
