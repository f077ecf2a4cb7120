"""The child against the ExaBGP that it was written for: what it says to a router, and what it refuses to say."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from ipaddress import ip_address

import pytest

from bgp.announcement import GRACEFUL_SHUTDOWN, NO_EXPORT, Announcement, Community, LargeCommunity
from bgp.prefix import parse_prefix
from bgp.wire import (
    Applied,
    Log,
    NotificationSeen,
    PeerChanged,
    Query,
    Ready,
    Refused,
    RestartPeer,
    Rib,
    Sent,
    SetAnnouncements,
)
from tests.bgp import sink
from tests.bgp.parent import ASN, Child, announcement, config_of, peer_of, speaking
from tests.bgp.sink import Open, Session, Update

V4, OTHER, V6 = "203.0.113.0/24", "198.51.100.0/24", "2001:db8:a::/48"
_GRACEFUL_RESTART = 64  # RFC 4724 3


async def announced(child: Child, number: int, *entries: Announcement) -> None:
    await child.say(SetAnnouncements(number, entries))
    await child.event(Applied, lambda event: event.id == number)


def updates(session: Session) -> list[Update]:
    return [one for one in session.got if isinstance(one, Update) and not one.end_of_rib]


async def test_a_session_and_a_route_are_had_and_proven() -> None:
    async with sink.listening(asn=65101) as router, speaking(config_of(peer_of(router))) as child:
        await child.event(Ready)
        up = await child.event(PeerChanged, lambda event: event.state == "established")
        assert (up.name, up.hold_s, up.error) == ("up", 9, "")
        session = await router.session()
        await announced(child, 1, announcement(V4))
        update = await session.update(announces=V4)
        assert update.next_hop == ip_address("127.0.0.2")
        assert update.as_path == (ASN,)
        assert (update.med, update.communities, update.large_communities) == (None, (), ())
        assert await child.event(Sent) == Sent("up", parse_prefix(V4), "announce")
        after = len(child.got)
        await announced(child, 2)
        await session.update(withdraws=V4)
        assert await child.event(Sent, after=after) == Sent("up", parse_prefix(V4), "withdraw")
        assert session.announced == {}


async def test_every_attribute_is_on_the_wire_byte_for_byte() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await announced(
            child,
            1,
            announcement(
                V4,
                med=7,
                prepend=3,
                communities=(Community(65200, 10), GRACEFUL_SHUTDOWN, NO_EXPORT),
                large_communities=(LargeCommunity(65200, 1, 4_294_967_295),),
            ),
        )
        update = await session.update(announces=V4)
    attributes = bytes.fromhex(
        "40 01 01 00"  # ORIGIN: IGP
        "40 02 12 02 04 0000feb0 0000feb0 0000feb0 0000feb0"  # AS_PATH: ours four times
        "40 03 04 7f000002"  # NEXT_HOP
        "80 04 04 00000007"  # MULTI_EXIT_DISC
        "c0 08 0c feb0000a ffff0000 ffffff01"  # COMMUNITIES: 65200:10, GRACEFUL_SHUTDOWN, NO_EXPORT
        "c0 20 0c 0000feb0 00000001 ffffffff"  # LARGE_COMMUNITY
    )
    body = b"\0\0" + len(attributes).to_bytes(2, "big") + attributes + bytes.fromhex("18 cb0071")
    assert update.raw == sink.message(sink.UPDATE, body)


async def test_ipv6_over_a_session_of_ipv4() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await announced(child, 1, announcement(V6, med=1, prepend=1, communities=(NO_EXPORT,)))
        update = await session.update(announces=V6)
        assert update.next_hop == ip_address("2001:db8:ffff::1")
        assert update.as_path == (ASN, ASN)
        assert (update.med, update.communities) == (1, ((65535, 65281),))
        await announced(child, 2)
        await session.update(withdraws=V6)


async def test_a_session_over_ipv6() -> None:
    async with sink.listening(host="::1") as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await announced(child, 1, announcement(V6), announcement(V4))
        assert (await session.update(announces=V6)).next_hop == ip_address("::1")
        assert set(session.announced) == {V6}  # it has no next hop for the other family


async def test_a_set_is_all_there_is_and_only_the_difference_is_said() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await announced(child, 1, announcement(V4), announcement(OTHER), announcement(V6))
        for prefix in (V4, OTHER, V6):
            await session.update(announces=prefix)
        before = len(updates(session))
        await announced(child, 2, announcement(V4), announcement(V6, prepend=4))
        await session.update(withdraws=OTHER)
        await session.table(lambda table: set(table) == {V4, V6} and table[V6].as_path == (ASN,) * 5)
        said = updates(session)[before:]
        assert [tuple(map(str, one.announced + one.withdrawn)) for one in said] in (
            [(OTHER,), (V6,)],
            [(V6,), (OTHER,)],
        )
        await announced(child, 3, announcement(V4), announcement(V6, prepend=4))
        await child.say(Query(1))
        await child.event(Rib)
        assert len(updates(session)) == before + 2  # the same set again says nothing


async def test_changes_that_follow_each_other_end_as_the_last_one() -> None:
    """ExaBGP's queue is by attributes: what is queued twice may be sent in the wrong order."""
    plain, last_resort = announcement(V4), announcement(V4, prepend=4, communities=(GRACEFUL_SHUTDOWN,))
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        for number in range(60):
            await child.say(SetAnnouncements(number, ((plain,), (last_resort,), ())[number % 3]))
        await announced(child, 60, last_resort)
        await announced(child, 61, plain)
        await announced(child, 62)
        await announced(child, 63, plain)
        await announced(child, 64, announcement(OTHER), plain)
        await session.update(announces=OTHER)
        await session.table(lambda table: set(table) == {V4, OTHER} and table[V4].as_path == (ASN,))


@pytest.mark.parametrize("last", [announcement(V4), announcement(V4, prepend=4)], ids=["plain", "last resort"])
async def test_changes_before_there_is_a_session_end_as_the_last_one(last: Announcement) -> None:
    async with sink.listening(answers=False) as router, speaking(config_of(peer_of(router))) as child:
        waiting = await router.connection()
        for number, entries in enumerate(((announcement(V4),), (announcement(V4, prepend=4),), (), (last,))):
            await announced(child, number, *entries)
        router.answers = True
        await waiting.send(router.open_message() + sink.message(sink.KEEPALIVE))
        session = await router.session()
        await session.until(lambda one: isinstance(one, Update) and one.end_of_rib)
        assert [one.as_path for one in updates(session)] == [(ASN,) * (last.attributes.prepend + 1)]


@pytest.mark.parametrize(
    ("prefix", "word"),
    [
        ("192.0.2.0/24", "does not have it"),
        ("203.0.113.0/25", "longer"),
        ("203.0.113.10/32", "longer"),
        ("203.0.112.0/23", "shorter"),
        ("2001:db8:a::/64", "longer"),
        ("2001:db8::/32", "shorter"),
    ],
)
async def test_a_prefix_that_is_not_allowed_is_refused_by_the_child_itself(prefix: str, word: str) -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        session = await router.session()
        await announced(child, 1, announcement(OTHER))
        await child.say(SetAnnouncements(2, (announcement(V4), announcement(prefix))))
        refused = await child.event(Refused)
        assert (refused.id, refused.code) == (2, "bgp.prefix-refused")
        assert word in refused.message
        await child.event(Log, lambda event: event.level == "error" and prefix in event.text)
        await announced(child, 3, announcement(OTHER), announcement(V6))
        await session.table(lambda table: len(table) == 2)
        # Nothing of the refused set was said, not even what was allowed in it, and what was there stayed.
        assert {str(prefix) for one in updates(session) for prefix in one.announced} == {OTHER, V6}
        assert not any(one.withdrawn for one in updates(session))


_WITHOUT_ITS_FIRST_CHECK = """
import sys
from bgp import child, sessions

class Blind(sessions.Sessions):
    def set(self, request):
        self._wanted = {one.prefix: one for one in request.announcements}

child.Sessions = Blind
sys.exit(child.main())
"""


async def test_an_update_is_checked_once_more_before_it_is_written() -> None:
    """A child whose first check is gone: still nothing reaches the wire, and it leaves."""
    program = (sys.executable, "-c", _WITHOUT_ITS_FIRST_CHECK)
    async with sink.listening() as router, speaking(config_of(peer_of(router)), program=program) as child:
        session = await router.session()
        await session.until(lambda one: isinstance(one, Update) and one.end_of_rib)
        await child.say(SetAnnouncements(1, (announcement("203.0.113.0/25"),)))
        last = await session.ended()
        assert last is not None
        assert (last.code, last.subcode) == (6, 2)
        assert updates(session) == []
        assert await child.ended() == 77
        await child.event(Log, lambda event: "at the last moment" in event.text)


async def test_an_empty_allow_list_allows_nothing() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router)), allow=[]) as child:
        session = await router.session()
        await child.say(SetAnnouncements(1, (announcement(V4),)))
        await child.event(Refused)
        await session.until(lambda one: isinstance(one, Update) and one.end_of_rib)
        assert updates(session) == []


async def test_a_set_that_names_a_prefix_twice_is_refused() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        await child.say(SetAnnouncements(1, (announcement(V4), announcement(V4, med=1))))
        assert (await child.event(Refused)).code == "bgp.announcements-refused"


async def test_the_rib_is_told_as_it_was_said() -> None:
    first = announcement(
        V4, med=0, prepend=2, communities=(Community(1, 2),), large_communities=(LargeCommunity(1, 2, 3),)
    )
    async with sink.listening() as router, speaking(config_of(peer_of(router))) as child:
        await announced(child, 1, announcement(V6), first)
        await child.say(Query(7))
        assert await child.event(Rib) == Rib(7, {"up": (first, announcement(V6))})
        # A session that is still being sent a set is told the next one after that.
        await (await router.session()).table(lambda table: set(table) == {V4, V6})
        await child.event(Sent, lambda event: str(event.prefix) == V4)
        await child.event(Sent, lambda event: str(event.prefix) == V6)
        await announced(child, 2)
        await child.say(Query(8))
        assert await child.event(Rib, lambda event: event.number == 8) == Rib(8, {"up": ()})


async def test_what_the_open_says() -> None:
    async with sink.listening() as router, speaking(config_of(peer_of(router, hold_s=3))):
        session = await router.session()
        said = session.got[0]
        assert isinstance(said, Open)
        assert (said.asn, said.hold_s, str(said.router_id)) == (ASN, 3, "10.9.9.9")
        # With graceful restart a router would keep the routes of a dead node.
        assert _GRACEFUL_RESTART not in said.capabilities
        assert 65 in said.capabilities


async def test_two_peers_are_told_the_same_and_do_not_hang_on_each_other() -> None:
    async with sink.listening(asn=65101) as one, sink.listening(asn=65102) as two:
        peers = peer_of(one, "one"), peer_of(two, "two", local="127.0.0.3")
        async with speaking(config_of(*peers)) as child:
            first, second = await one.session(), await two.session()
            await announced(child, 1, announcement(V4))
            await first.update(announces=V4)
            assert (await second.update(announces=V4)).next_hop == ip_address("127.0.0.3")
            await first.send(sink.notification_message(6, 4))
            down = await child.event(PeerChanged, lambda event: event.name == "one" and "Reset" in event.error)
            assert down.state == "idle"
            again = await one.session(1)
            await again.update(announces=V4)  # replayed without being told again
            assert set(second.announced) == {V4}


async def test_one_peer_is_restarted_alone() -> None:
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(sink.listening(asn=asn)) for asn in (65101, 65102)]
        peers = peer_of(one, "one"), peer_of(two, "two", local="127.0.0.3")
        async with speaking(config_of(*peers)) as child:
            first, second = await one.session(), await two.session()
            await announced(child, 1, announcement(V4))
            await first.update(announces=V4)
            await child.say(RestartPeer("one"))
            last = await first.ended()
            assert last is not None
            assert (last.code, last.subcode) == (6, 4)
            await one.session(1)
            assert not second.over
            seen = await child.event(NotificationSeen)
            assert (seen.peer, seen.direction, seen.code, seen.subcode) == ("one", "sent", 6, 4)


async def test_a_peer_that_nobody_listens_at_is_tried_until_somebody_does() -> None:
    async with sink.listening() as router:
        peer = peer_of(router)
    async with speaking(config_of(peer)) as child:
        await child.event(PeerChanged, lambda event: event.state == "connect")
        async with sink.listening(port=peer.port) as router:
            await router.session()


_WITHOUT_LATE_MODULES = """
import sys
from bgp import child

class Unreadable:
    def find_spec(self, name, path=None, target=None):
        raise PermissionError(13, "Permission denied", name)

child.give_up = lambda: sys.meta_path.insert(0, Unreadable())
sys.exit(child.main())
"""


async def test_nobody_may_not_be_able_to_read_our_files() -> None:
    """Once root is given up no module is read: where they are unpacked may be root's alone."""
    program = (sys.executable, "-c", _WITHOUT_LATE_MODULES)
    async with sink.listening() as router, speaking(config_of(peer_of(router)), program=program) as child:
        session = await router.session()
        await child.say(SetAnnouncements(1, (announcement("203.0.113.0/24", med=7), announcement("198.51.100.0/24"))))
        await child.event(Applied)
        await session.until(lambda one: isinstance(one, Update) and len(one.announced) > 0)
        await child.say(SetAnnouncements(2, (announcement("203.0.113.0/24", med=7),)))
        await session.until(lambda one: isinstance(one, Update) and len(one.withdrawn) > 0)
        await child.say(Query(0))
        assert list((await child.event(Rib)).peers) == ["up"]
