"""Sets of announcements that are a mistake change nothing."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_network

import pytest
from structlog.testing import capture_logs

from bgp.announcement import Announcement, Attributes, Withdrawal
from bgp.announcer import Announcer, Entry
from bgp.errors import AnnouncementsRefused, BgpError, PrefixRefused
from bgp.limits import PREFIX_COUNT_MAX
from bgp.prefix import AllowList

V4 = ip_network("203.0.113.10/32")
V6 = ip_network("2001:db8:a::10/128")
OTHER = ip_network("203.0.113.11/32")
WIDE = ip_network("198.51.100.0/24")
ALLOWED = AllowList([V4, V6, OTHER, WIDE])


class Told:
    """A speaker that remembers."""

    def __init__(self) -> None:
        self.sets: list[list[Announcement]] = []

    def __call__(self, announcements: Collection[Announcement]) -> None:
        self.sets.append(list(announcements))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def announcer(told: Told) -> Announcer:
    return Announcer([V4, V6], ALLOWED, told)


BOTH: list[Entry] = [Announcement(V4), Announcement(V6)]


def test_a_whole_set_reaches_the_speaker(announcer: Announcer, told: Told) -> None:
    announcer.set(BOTH)
    assert told.sets == [BOTH]
    assert announcer.alarms() == ()


def test_what_is_withdrawn_is_said_and_not_announced(announcer: Announcer, told: Told) -> None:
    announcer.set([Announcement(V4, Attributes(prepend=4)), Withdrawal(V6, "no worker answers")])
    assert told.sets == [[Announcement(V4, Attributes(prepend=4))]]


def test_all_may_be_withdrawn_when_each_is_named(announcer: Announcer, told: Told) -> None:
    announcer.set(BOTH)
    announcer.set([Withdrawal(V4, "drained"), Withdrawal(V6, "drained")])
    assert told.sets[-1] == []


@pytest.mark.parametrize(
    ("entries", "error", "part"),
    [
        ([], AnnouncementsRefused, "203.0.113.10/32 left out"),
        ([Announcement(V4)], AnnouncementsRefused, "2001:db8:a::10/128 left out"),
        ([Withdrawal(V6, "")], AnnouncementsRefused, "203.0.113.10/32 left out"),
        ([*BOTH, Announcement(V4)], AnnouncementsRefused, "203.0.113.10/32 named twice"),
        ([*BOTH, Withdrawal(V4, "")], AnnouncementsRefused, "203.0.113.10/32 named twice"),
        ([*BOTH, Announcement(OTHER)], AnnouncementsRefused, "203.0.113.11/32 not configured"),
        ([*BOTH, Announcement(ip_network("192.0.2.1/32"))], PrefixRefused, "does not have it"),
        ([*BOTH, Announcement(ip_network("198.51.100.0/25"))], PrefixRefused, "longer"),
        ([*BOTH, Announcement(ip_network("198.51.0.0/16"))], PrefixRefused, "shorter"),
        ([*BOTH, Withdrawal(ip_network("198.51.0.0/16"), "")], PrefixRefused, "shorter"),
    ],
)
def test_a_set_that_is_a_mistake_changes_nothing(
    announcer: Announcer, told: Told, entries: list[Entry], error: type[BgpError], part: str
) -> None:
    announcer.set(BOTH)
    with pytest.raises(error, match=part):
        announcer.set(entries)
    assert told.sets == [BOTH]
    assert announcer.entries == tuple(BOTH)
    assert len(announcer.alarms()) == 1
    assert part in announcer.alarms()[0]
    announcer.set(BOTH)
    assert announcer.alarms() == ()


def test_a_mistake_that_is_repeated_is_logged_once_and_another_one_again(announcer: Announcer) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(AnnouncementsRefused):
                announcer.set([])
        with pytest.raises(AnnouncementsRefused):
            announcer.set([Announcement(V4)])
    assert [entry["event"] for entry in logs] == ["bgp.refused"] * 2
    assert logs[0]["subject"] == "announcements"


def test_a_prefix_that_goes_is_withdrawn_at_once_and_a_new_one_waits(announcer: Announcer, told: Told) -> None:
    announcer.set(BOTH)
    announcer.configure([V4, OTHER])
    assert told.sets[-1] == [Announcement(V4)]
    announcer.set([Announcement(V4), Announcement(OTHER)])
    assert told.sets[-1] == [Announcement(V4), Announcement(OTHER)]


@pytest.mark.parametrize("removal_allowed", [0, 1])
def test_two_prefixes_do_not_go_at_once(announcer: Announcer, told: Told, removal_allowed: int) -> None:
    announcer.configure([V4, V6, OTHER])
    with pytest.raises(AnnouncementsRefused, match="2 of 3 prefixes would go"):
        announcer.configure([OTHER], removal_allowed=removal_allowed)
    assert announcer.prefixes == {V4, V6, OTHER}
    assert len(announcer.alarms()) == 1


def test_they_do_if_so_many_may(announcer: Announcer) -> None:
    announcer.configure([V4, V6, OTHER])
    announcer.configure([OTHER], removal_allowed=2)
    assert announcer.prefixes == {OTHER}


def test_the_last_prefix_does_not_go_unless_it_may(announcer: Announcer, told: Told) -> None:
    announcer.configure([V4])
    announcer.set([Announcement(V4)])
    with pytest.raises(AnnouncementsRefused):
        announcer.configure([])
    assert told.sets[-1] == [Announcement(V4)]
    announcer.configure([], removal_allowed=1)
    assert told.sets[-1] == []
    assert announcer.alarms() == ()
    announcer.set([])  # of no prefixes, none is left out


def test_a_new_allow_list_that_has_lost_many_prefixes_is_refused_with_the_prefixes(announcer: Announcer) -> None:
    with pytest.raises(AnnouncementsRefused):
        announcer.configure([], allowed=AllowList([]))
    announcer.set(BOTH)  # by the list of before


def test_a_configuration_with_a_prefix_outside_is_refused(announcer: Announcer) -> None:
    with pytest.raises(PrefixRefused):
        announcer.configure([V4, V6, ip_network("198.51.100.128/25")])
    assert announcer.prefixes == {V4, V6}
    with pytest.raises(PrefixRefused):
        Announcer([ip_network("192.0.2.0/24")], ALLOWED, Told())


def test_as_many_prefixes_as_a_node_may_have_and_one_more(told: Told) -> None:
    many = [ip_network(f"198.51.100.{number}/32") for number in range(PREFIX_COUNT_MAX + 1)]
    Announcer(many[:-1], AllowList(many), told)
    with pytest.raises(AnnouncementsRefused):
        Announcer(many, AllowList(many), told)
