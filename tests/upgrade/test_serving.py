"""What a node has to serve again, and what of it is missing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from edged.errors import ProtocolError
from edged.status.answer import Answer
from edged.status.parse import parse_status
from edged.upgrade.serving import NOTHING, Expected, expected, lacking, parse_expected, serving
from tests.upgrade.views import PREFIX, view

FULL: dict[str, Any] = {
    "apps": {"shop": ("live", 7)},
    "sessions": {"ams": "established", "ams-b": "active"},
    "prefixes": {PREFIX: ("up", "plain")},
}
BEFORE = expected(serving(view(**FULL)))


def test_as_before() -> None:
    assert lacking(BEFORE, serving(view(**FULL))) == ()


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"apps": {"shop": ("live", 8)}}, ()),
        ({"apps": {"shop": ("live", 6)}}, ("the app shop runs the deployment 6, and ran 7",)),
        ({"apps": {"shop": ("compile", 7)}}, ("the app shop is not live: compile",)),
        ({"apps": {"shop": ("failed", 7)}}, ("the app shop is not live: it does not compile",)),
        ({"apps": {"shop": ("waiting", 7)}}, ()),  # with what is newer
        ({"apps": {"shop": ("held", 7)}}, ()),
        ({"apps": {"shop": ("held", 0)}}, ("the app shop is not live: eu failed",)),
        ({"apps": {}}, ()),  # removed from the fleet meanwhile
        ({"apps": {"shop": ("live", 7), "new": ("fetch", 1)}}, ()),
        ({"sessions": {"ams": "active"}}, ("the session with ams is not established",)),
        ({"sessions": {"ams": "established"}}, ()),  # the other was not there before
        ({"prefixes": {PREFIX: ("warming", "withdrawn")}}, (f"{PREFIX} is not announced as before",)),
        ({"prefixes": {PREFIX: ("up", "")}}, (f"{PREFIX} is not announced as before",)),
        ({"prefixes": {PREFIX: ("degraded", "last-resort")}}, (f"{PREFIX} is not announced as before",)),
        ({"workers": (1, 2)}, ("1 of 2 workers take connections",)),
        ({"workers": (0, 0)}, ("0 of 0 workers take connections",)),
    ],
    ids=str,
)
def test_what_is_missing(change: dict[str, Any], missing: tuple[str, ...]) -> None:
    assert lacking(BEFORE, serving(view(**FULL | change))) == missing


def test_a_last_resort_may_become_better() -> None:
    before = expected(serving(view(prefixes={PREFIX: ("degraded", "last-resort")})))
    assert lacking(before, serving(view(prefixes={PREFIX: ("up", "plain")}))) == ()
    assert lacking(before, serving(view(prefixes={PREFIX: ("warming", "withdrawn")})))


@pytest.mark.parametrize("state", ["draining", "drained"])
def test_a_drained_node_is_not_asked_to_announce(state: Any) -> None:
    before = expected(serving(view(**FULL | {"prefixes": {PREFIX: (state, "plain")}})))
    assert before.prefixes == {}
    assert before.sessions == ("ams",)


def test_of_a_node_that_did_not_answer_its_workers_are_asked() -> None:
    assert expected(None) == NOTHING
    assert lacking(NOTHING, serving(view())) == ()
    assert lacking(NOTHING, serving(view(workers=(0, 2)))) == ("0 of 2 workers take connections",)


def test_through_the_admin_api() -> None:
    plain = json.loads(json.dumps(view(**FULL).as_plain()))
    assert serving(parse_status(plain)) == serving(view(**FULL))


def test_a_node_that_says_nothing_of_itself() -> None:
    with pytest.raises(ProtocolError, match="n1 says nothing of itself"):
        serving(view(name="n2"))


def test_what_is_expected_survives_its_json() -> None:
    assert parse_expected(Answer(json.loads(json.dumps(BEFORE.as_json())), "expected")) == BEFORE


@pytest.mark.parametrize(
    "change",
    [{"apps": {}}, {"apps": [{"name": "a", "sequence": "1"}]}, {"sessions": [1]}, {"prefixes": {PREFIX: "withdrawn"}}],
    ids=str,
)
def test_what_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        parse_expected(Answer(BEFORE.as_json() | change, "expected"))


def test_nothing_is_left_out() -> None:
    assert set(asdict(BEFORE)) == set(BEFORE.as_json())
    assert Expected(**{name: getattr(BEFORE, name) for name in asdict(BEFORE)}) == BEFORE
