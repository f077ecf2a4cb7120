from __future__ import annotations

from bgp.announcement import Announcement
from bgp.peer import Peer
from bgp.prefix import AllowList, parse_prefix
from bgp.sessions import Sessions
from bgp.wire import Applied, Event, PeerChanged, Refused, SetAnnouncements
from tests.bgp.parent import announcement, config_of
from tests.bgp.test_exabgp_config import PEER

V4 = "203.0.113.0/24"


def sessions() -> tuple[Sessions, list[Event]]:
    said: list[Event] = []
    return Sessions(config_of(PEER), AllowList([parse_prefix(V4)]), said.append), said


def yes(_: Peer) -> bool:
    return True


def no(_: Peer) -> bool:
    return False


def test_a_set_is_applied_when_its_last_line_is_answered() -> None:
    desk, said = sessions()
    desk.set(SetAnnouncements(1, (announcement(V4),)))
    assert desk.busy
    assert len(list(desk.lines(yes))) == 1
    assert list(desk.lines(yes)) == []  # not twice while the answer is due
    assert said == []
    desk.answered(True)
    assert said == [Applied(1)]
    assert not desk.busy


def test_a_set_that_changes_nothing_is_applied_at_once() -> None:
    desk, said = sessions()
    desk.set(SetAnnouncements(1, ()))
    assert list(desk.lines(yes)) == []
    assert said == [Applied(1)]


def test_a_line_that_is_not_taken_is_a_set_refused() -> None:
    desk, said = sessions()
    desk.set(SetAnnouncements(1, (announcement(V4),)))
    list(desk.lines(yes))
    desk.answered(False)
    assert isinstance(said[0], Refused)
    assert (said[0].id, said[0].code) == (1, "bgp.speaker-failed")


def test_a_peer_with_a_queue_waits_and_gets_the_newest() -> None:
    desk, said = sessions()
    desk.set(SetAnnouncements(1, (announcement(V4, med=1),)))
    assert list(desk.lines(no)) == []
    desk.set(SetAnnouncements(2, (announcement(V4, med=2),)))
    assert list(desk.lines(no)) == []
    (line,) = desk.lines(yes)
    assert line.endswith(" med 2")
    desk.answered(True)
    assert said == [Applied(1), Applied(2)]


def test_a_set_that_is_refused_leaves_what_was_wanted() -> None:
    desk, said = sessions()
    desk.set(SetAnnouncements(1, (announcement(V4),)))
    list(desk.lines(yes))
    desk.answered(True)
    desk.set(SetAnnouncements(2, (announcement("203.0.113.0/25"),)))
    assert isinstance(said[1], Refused)
    assert list(desk.lines(yes)) == []


def test_a_family_without_a_next_hop_is_not_told() -> None:
    said: list[Event] = []
    desk = Sessions(config_of(PEER), AllowList([parse_prefix("2001:db8::/48")]), said.append)
    desk.set(SetAnnouncements(1, (Announcement(parse_prefix("2001:db8::/48")),)))
    assert list(desk.lines(yes)) == []


def test_a_state_is_said_when_it_changes_with_its_hold_time_or_its_reason() -> None:
    desk, said = sessions()
    desk.changed("a", "idle")
    desk.changed("a", "connect")
    desk.negotiated("a", 9)
    desk.changed("a", "established")
    desk.changed("a", "established")
    desk.failed("a", "gone\x1b")
    desk.changed("a", "idle")
    assert said == [
        PeerChanged("a", "connect"),
        PeerChanged("a", "established", 9),
        PeerChanged("a", "idle", 0, "gone?"),
    ]
