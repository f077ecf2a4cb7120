"""What must not be is seen when it is there: the invariants that a run is judged by. Needs no lab."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.chaos.on_disk import OnDisk
from benchmarks.chaos.picture import to_svg
from benchmarks.chaos.publishing import Published
from benchmarks.chaos.striking import differences, is_in_conflict, stuck
from benchmarks.chaos.verdict import different, lost, mistakes, to_markdown, wrong_answers
from edged.fleet.record import Key, Version
from registry.digest import digest_of
from tests.fleets import Event

ONE, OTHER = digest_of(b"one"), digest_of(b"other")
KEY = Key("deployment", "asked")


def disk(sequence: int, release: str = ONE) -> OnDisk:
    record = digest_of(f"{sequence} {release}".encode())
    return OnDisk(
        {KEY: Version(1, sequence)},
        {KEY: record},
        {"asked": frozenset({digest_of(b"one")} if release == ONE else {OTHER})},
        {},
        {},
        (),
    )


NOTHING = OnDisk({}, {}, {}, {}, {}, ())


@pytest.mark.parametrize(
    ("found", "is_lost"),
    [(disk(2), False), (disk(3, OTHER), False), (disk(2, OTHER), True), (disk(1), True), (NOTHING, True)],
    ids=["the newest", "followed", "another of that number", "older", "nothing"],
)
def test_a_published_release_is_lost(found: OnDisk, is_lost: bool) -> None:
    published = Published("asked", 2, ONE, "0002", 0.0)
    assert bool(list(lost([published], {"a": disk(2), "b": found}))) is is_lost


def test_nodes_with_different_records() -> None:
    assert list(different({"a": disk(2), "b": disk(2), "c": disk(2)})) == []
    assert list(different({"a": disk(2), "b": disk(2), "c": disk(2, OTHER)})) == [
        "a and c have different records of deployment asked"
    ]
    assert list(different({"a": disk(2), "b": NOTHING})) == ["a and b have different records of deployment asked"]


@pytest.mark.parametrize(
    ("event", "is_one"),
    [
        ({"event": "link.handler-failed"}, True),
        ({"event": "alarm.raised", "code": "fleet.record-damaged"}, True),
        ({"text": "Traceback (most recent call last):"}, True),
        ({"event": "alarm.raised", "code": "fleet.record-conflict"}, False),
        ({"event": "link.malformed"}, False),
    ],
)
def test_mistakes(event: Event, is_one: bool) -> None:
    assert list(mistakes([event])) == ([event] if is_one else [])


@pytest.mark.parametrize(
    ("said", "is_wrong"),
    [
        ({"what": "old", "a:1": "fleet.record-stale"}, False),
        ({"what": "old", "a:1": "accepted"}, True),
        ({"what": "old", "failed": "fleet.unreachable"}, False),
        (
            {
                "what": "equivocating",
                "a:1": "accepted",
                "b:1": "fleet.record-conflict",
                "again": "fleet.record-conflict",
            },
            False,
        ),
        ({"what": "equivocating", "a:1": "accepted", "again": "accepted"}, True),
    ],
)
def test_answers_to_those_who_do_harm(said: dict[str, str], is_wrong: bool) -> None:
    assert bool(list(wrong_answers([said]))) is is_wrong


def status(**changes: object) -> Event:
    node = {"name": "a", "state": "up", "in_sync": True}
    app = {"node": "a", "stage": "live", "running": 3, "error_code": None, "error_message": None}
    liar = {"name": "liar", "state": "never", "in_sync": None}
    return {
        "nodes": [{**node, **{key: value for key, value in changes.items() if key in node}}, liar],
        "apps": [
            {
                "name": "asked",
                "sequence": 3,
                "nodes": [{**app, **{key: value for key, value in changes.items() if key in app}}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("changes", "count"),
    [({}, 0), ({"state": "silent"}, 1), ({"in_sync": False}, 1), ({"stage": "failed"}, 1), ({"running": 2}, 1)],
    ids=["at one", "silent", "other records", "failed", "older"],
)
def test_what_keeps_a_fleet_from_being_at_one(changes: dict[str, object], count: int) -> None:
    assert len(differences(status(**changes))) == count


@pytest.mark.parametrize(
    ("changes", "is_stuck"),
    [
        ({}, False),
        ({"stage": "fetch"}, False),
        ({"stage": "failed", "error_message": "why"}, True),
        ({"stage": "reverted"}, True),
        ({"stage": "waiting", "error_code": "rollout.held"}, True),
    ],
)
def test_what_only_a_publisher_can_mend(changes: dict[str, object], is_stuck: bool) -> None:
    assert [app for app, _ in stuck(status(**changes))] == (["asked"] if is_stuck else [])


def test_two_records_of_one_number() -> None:
    alarm = {"code": "fleet.record-conflict", "subject": "deployment asked"}
    raised, cleared = {**alarm, "event": "alarm.raised"}, {**alarm, "event": "alarm.cleared"}
    assert is_in_conflict([raised], "asked")
    assert not is_in_conflict([raised], "told")
    assert not is_in_conflict([raised, cleared], "asked")
    assert is_in_conflict([raised, cleared, raised], "asked")
    assert not is_in_conflict([], "asked")


def test_a_fleet_that_does_not_answer_is_not_at_one() -> None:
    assert differences({}) == ["no node answers"]


FOUND = {
    "strikes": {"cut the link": 1, "kill the supervisor": 1},
    "requests": 100,
    "failed": 2,
    "failures": {"kill the supervisor": {"refused": 1, "reset": 1}},
    "published": 7,
    "pushes_failed": {"push.failed": 1},
    "records_lost": 0,
    "converged_s": 12.5,
    "pushed_anew": {"asked": "two records"},
    "problems": [],
    "timeline": {
        "mended_s": 60.0,
        "strikes": [
            {"node": "a", "action": "cut the link", "from_s": 5.0, "to_s": 15.0},
            {"node": "b", "action": "kill the supervisor", "from_s": 20.0, "to_s": 20.0},
        ],
        "down": [{"node": "b", "why": "kill the supervisor", "from_s": 20.0, "to_s": 24.0}],
        "failed": [{"node": "b", "at_s": 20.1}, {"node": "b", "at_s": 21.0}],
    },
}


def test_the_table() -> None:
    text = to_markdown(FOUND)
    assert "| kill the supervisor | 1 refused, 1 reset |" in text
    assert "2 of 100 requests failed. 7 releases were published, 0 lost" in text
    assert "12.5 s; asked was pushed anew: two records" in text
    assert text.endswith("Nothing was that must not be.")
    assert to_markdown({**FOUND, "problems": ["what must not be"], "converged_s": None}).endswith("what must not be")


def test_the_picture() -> None:
    """Both nodes have a row, each strike a bar, each failed request a mark."""
    root = ElementTree.fromstring(to_svg(FOUND))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a", "b", "all mended"} <= set(texts)
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1:] == ["cut the link", "kill the supervisor"]
    lines = list(root.iter("{http://www.w3.org/2000/svg}line"))
    assert len(lines) == 2 + 2 + 1  # a ground for each node, two failures, and the end
