"""What is wrong with announcing, said in words, with what to do about it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bgp.status import AnycastStatus, DrainReport, SpeakerStatus
from edged.errors import ProtocolError
from edged.limits import ANYCAST_SETTLE_S, ANYCAST_WARMING_S_WARNED
from edged.status.diagnosis import diagnose
from edged.status.parse import parse_status
from edged.status.view import StatusView
from tests.publish.fakes import NOW, FakeFleet, status
from tests.status.anycast import FULL, V4, V6, anycast, down, peer, prefix, withdrawn

ONE = anycast(prefixes=(prefix(),))


@pytest.fixture
def view(tmp_path: Path) -> StatusView:
    """Two regions of one node each, and nothing else wrong."""
    return parse_status(status(FakeFleet(tmp_path, ("eu", "us"))))


def with_anycast(view: StatusView, *anycasts: AnycastStatus | None, **first: Any) -> StatusView:
    nodes = [replace(node, anycast=each) for node, each in zip(view.nodes, anycasts, strict=True)]
    return replace(view, nodes=(replace(nodes[0], **first), *nodes[1:]))


def said(view: StatusView, *anycasts: AnycastStatus | None, **first: Any) -> list[tuple[str, str, str]]:
    return [(each.severity, each.text, each.remedy) for each in diagnose(with_anycast(view, *anycasts, **first))]


@pytest.mark.parametrize("anycasts", [(None, None), (anycast(), anycast())])
def test_all_well(view: StatusView, anycasts: tuple[AnycastStatus | None, ...]) -> None:
    assert said(view, *anycasts) == []


def test_over_the_wire_and_back(view: StatusView) -> None:
    whole = with_anycast(view, FULL, None)
    assert parse_status(whole.as_plain()) == whole


@pytest.mark.parametrize("key", ["asn", "speaker", "prefixes", "peers", "alarms"])
def test_another_shape(view: StatusView, key: str) -> None:
    shape = with_anycast(view, FULL, None).as_plain()
    shape["nodes"][0]["anycast"][key] = None
    with pytest.raises(ProtocolError):
        parse_status(shape)


def test_a_state_of_a_newer_node_stays_what_it_is(view: StatusView) -> None:
    shape = with_anycast(view, anycast(), anycast()).as_plain()
    shape["nodes"][0]["anycast"]["prefixes"] = [
        asdict(each) | {"state": "levitating"} for each in (prefix(V4), prefix(V6))
    ]
    assert diagnose(parse_status(shape)) == ()


def test_one_session_of_two_down(view: StatusView) -> None:
    lost = down("tor2", since=NOW - 200.0, error="the passwords differ", remedy="Set the same.", flaps=1)
    text = "node a in eu: the session with tor2 (192.0.2.1, AS65101) is down for 3 min: the passwords differ"
    assert said(view, anycast(peers=(peer(), lost)), anycast()) == [("warning", text, "Set the same.")]


def test_all_sessions_down(view: StatusView) -> None:
    text = "node a in eu: the session with tor1 (192.0.2.1, AS65101) is down for 3 min: no reason is known"
    only_us = f"{V4} is announced by the region us only: when that fails, nobody answers there"
    assert said(view, anycast(prefixes=(prefix(),), peers=(down(since=NOW - 200.0),)), ONE) == [
        ("error", f"{text}, its state is active", "Look at the router's log."),
        ("warning", only_us, "Look at what is said of a."),
    ]


@pytest.mark.parametrize(
    ("since_s", "flaps", "error", "text"),
    [
        (0.0, 0, "", "is not up yet"),
        (ANYCAST_SETTLE_S - 0.5, 0, "", "is not up yet"),
        (ANYCAST_SETTLE_S, 0, "", "is down for 10 s"),
        (1.0, 1, "", "is down for 1 s"),
        (1.0, 0, "wrong AS number", "is down for 1 s: wrong AS number"),
    ],
)
def test_a_session_that_had_no_time_yet(view: StatusView, since_s: float, flaps: int, error: str, text: str) -> None:
    lost = down("tor2", since=NOW - since_s, flaps=flaps, error=error)
    [(severity, found, _)] = said(view, anycast(peers=(peer(), lost)), anycast())
    assert severity == "warning"
    assert text in found


def test_a_node_that_leaves_has_no_sessions_on_purpose(view: StatusView) -> None:
    left = anycast(speaker=SpeakerStatus("stopped", 0.0), peers=(down(),), prefixes=(withdrawn(state="draining"),))
    assert not any("session" in text for _, text, _ in said(view, left, anycast()))


@pytest.mark.parametrize(("state", "count"), [("up", 0), ("", 0), ("down", 1), ("init", 1), ("admin-down", 0)])
def test_bfd(view: StatusView, state: str, count: int) -> None:
    found = said(view, anycast(peers=(peer(bfd=state),)), anycast())
    assert len(found) == count
    if count:
        assert f"BFD with tor1 (192.0.2.1, AS65101) is {state}: a dead path is noticed only after 9 s" in found[0][1]


def test_withdrawn_and_why(view: StatusView) -> None:
    """Both prefixes for one reason are said once."""
    gone = tuple(withdrawn(each, since=NOW - 40.0, reason="no worker answers") for each in (V4, V6))
    found = said(view, anycast(prefixes=gone, peers=(peer(announced=()),)), anycast())
    text = f"node a in eu has withdrawn {V4}, {V6} for 40 s: no worker answers"
    assert found[0] == ("error", text, "It comes back by itself once that is well again.")
    assert [severity for severity, _, _ in found] == ["error", "warning", "warning"]


def test_held_down(view: StatusView) -> None:
    held = withdrawn(state="hold-down", hold_until=NOW + 40.0, flaps=3, reason="well since 5 s")
    found = said(view, anycast(prefixes=(held,)), anycast())
    text = f"node a in eu is well again, and holds {V4} withdrawn for another 40 s, after 3 failures: well since 5 s"
    assert ("warning", text, "It comes back by itself; find out why it failed.") in found


@pytest.mark.parametrize(("proven", "doubt"), [(True, ""), (False, ", and the withdrawal was not seen to be sent")])
def test_drained(view: StatusView, proven: bool, doubt: str) -> None:
    drain = DrainReport("ann", 0.0, 1.0, "drained", proven)
    gone = withdrawn(state="drained", since=NOW - 300.0, reason="drained by ann")
    found = said(view, anycast(prefixes=(gone,), peers=(peer(announced=()),), drain=drain), anycast())
    [(_, text, remedy)] = [each for each in found if "is drained of" in each[1]]
    assert text.startswith(f"node a in eu is drained of {V4} for 5 min: drained by ann{doubt}")
    assert bool(doubt) == ("not seen" in text)
    assert remedy == "Run `edged undrain a` to have it announce again."
    assert (
        "warning",
        f"{V4} is announced by the region us only: when that fails, nobody answers there",
        "Run `edged undrain a`.",
    ) in found


def test_last_resort_and_draining(view: StatusView) -> None:
    last = prefix(state="degraded", desired="last-resort", announced="last-resort", since=NOW - 5.0, reason="disk full")
    going = prefix(V6, state="draining", desired="last-resort", announced="last-resort", reason="SIGTERM")
    texts = [text for _, text, _ in said(view, anycast(prefixes=(last, going)), anycast())]
    assert texts == [
        f"node a in eu announces {V4} as the last resort for 5 s: disk full",
        f"node a in eu is being drained of {V6}: SIGTERM",
    ]


@pytest.mark.parametrize(("since_s", "count"), [(ANYCAST_WARMING_S_WARNED - 1, 0), (ANYCAST_WARMING_S_WARNED, 1)])
def test_warming_for_long(view: StatusView, since_s: float, count: int) -> None:
    cold = withdrawn(state="warming", since=NOW - since_s, reason="apps are being loaded")
    found = [text for _, text, _ in said(view, anycast(prefixes=(cold,)), anycast()) if "does not announce" in text]
    assert len(found) == count


def test_the_speaker_s_fault(view: StatusView) -> None:
    bad = anycast(speaker=SpeakerStatus("fault", 0.0, 9, "killed by signal 9"))
    [(severity, text, _)] = said(view, bad, anycast())
    assert severity == "error"
    assert text == "node a in eu: the process that speaks BGP ends again and again: killed by signal 9"


@pytest.mark.parametrize(
    ("announced", "since_s", "count"),
    [
        ("withdrawn", ANYCAST_SETTLE_S, 1),
        ("withdrawn", ANYCAST_SETTLE_S - 1, 0),
        ("", ANYCAST_SETTLE_S, 0),
        ("plain", ANYCAST_SETTLE_S, 0),
    ],
)
def test_what_is_on_the_wire_is_not_what_should_be(
    view: StatusView, announced: str, since_s: float, count: int
) -> None:
    found = said(view, anycast(prefixes=(prefix(announced=announced, since=NOW - since_s),)), ONE)
    assert [text for _, text, _ in found] == [
        f"node a in eu: {V4} is withdrawn, and should be announced as usual"
    ] * count


def test_alarms(view: StatusView) -> None:
    found = said(view, anycast(alarms=("an empty set was refused",)), anycast())
    assert found == [("error", "node a in eu: an empty set was refused", "")]


def test_nobody_announces(view: StatusView) -> None:
    gone = anycast(prefixes=(withdrawn(state="drained"),), peers=(peer(announced=()),))
    found = said(view, gone, gone)
    assert found[0] == (
        "error",
        f"no node that is heard of announces {V4}: nobody answers there",
        "Run `edged undrain a`.",
    )


def test_a_dead_node_announces_nothing(view: StatusView) -> None:
    """What it said last of its sessions does not count, and is not said again."""
    found = said(view, anycast(peers=(down(), peer("tor2"))), None, state="silent", heard_s=60.0)
    texts = [text for _, text, _ in found]
    assert f"no node that is heard of announces {V4}: nobody answers there" in texts
    assert not any("session" in text for text in texts)


def test_a_node_that_was_stopped_is_not_to_be_undrained(view: StatusView) -> None:
    """It left traffic, said so, and ended."""
    left = anycast(prefixes=(withdrawn(state="drained"),), peers=(peer(announced=()),))
    remedies = [remedy for _, _, remedy in said(view, left, anycast(), state="silent", heard_s=60.0)]
    assert "Look at what is said of a." in remedies
    assert not any("undrain" in remedy for remedy in remedies)


def test_one_region_only(view: StatusView) -> None:
    found = said(view, anycast(prefixes=(prefix(),)), None)
    text = f"{V4} is announced by the region eu only: when that fails, nobody answers there"
    assert found == [("warning", text, "Give nodes of another region a [bgp] table with this prefix.")]
    alone = replace(view, regions=view.regions[:1])
    assert said(alone, anycast(prefixes=(prefix(),)), None) == []
