"""What a provider says of sessions: late, wrong, corrected; and the routes that it names, as long as a node runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from bgp.errors import BgpError, MetadataInvalid, MetadataUnavailable
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer, SpeakerConfig
from bgp.static_route import RouteProblem, StaticRoute
from edged.anycast.config import BgpTable, MetadataTable
from edged.anycast.provided import Provided
from edged.limits import ANYCAST_METADATA_AGAIN_S, ANYCAST_METADATA_RETRY_S, ANYCAST_ROUTE_LOOK_S

LOCAL, GATEWAY = ip_address("10.0.0.1"), ip_address("10.0.0.2")
ONE = Peer("one", ip_address("169.254.255.1"), 65530, LOCAL, multihop=5, password="of the rack")
TWO = replace(ONE, name="two", address=ip_address("169.254.255.2"))
ROUTES = tuple(StaticRoute(peer.address, GATEWAY) for peer in (ONE, TWO))
FOUND = ProviderSessions(65000, (ONE, TWO), ROUTES)


@dataclass
class Provider:
    """What the test plays, and what it saw.

    Attributes:
        says: sessions, or why there are none.
        broken: routes that cannot be set.
    """

    says: ProviderSessions | BgpError
    table: BgpTable = field(default_factory=lambda: BgpTable(metadata=MetadataTable("equinix")))
    broken: set[StaticRoute] = field(default_factory=set)
    up: set[str] = field(default_factory=set)
    asked: int = 0
    kept: list[tuple[StaticRoute, ...]] = field(default_factory=list)
    applied: list[SpeakerConfig] = field(default_factory=list)
    news: int = 0

    def make(self) -> Provided:
        return Provided(self.table, self._fetch, self._keep_routes, self._changed)

    async def _fetch(self) -> ProviderSessions:
        self.asked += 1
        if isinstance(self.says, BgpError):
            raise self.says
        return self.says

    async def _keep_routes(self, routes: Collection[StaticRoute]) -> tuple[RouteProblem, ...]:
        self.kept.append(tuple(routes))
        return tuple(RouteProblem(route, f"no {route}", "Set it.") for route in routes if route in self.broken)

    def _changed(self) -> None:
        self.news += 1


@asynccontextmanager
async def kept(provider: Provider) -> AsyncIterator[Provided]:
    provided = provider.make()
    config = await provided.find()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(provided.keep, config, lambda: provider.up, provider.applied.append)
        yield provided
        nursery.cancel_scope.cancel()


async def test_it_is_asked_until_it_answers(autojump_clock: MockClock) -> None:
    provider = Provider(MetadataUnavailable("nobody is there"))
    provided = provider.make()
    failures = []

    async def mend() -> None:
        await trio.sleep(ANYCAST_METADATA_RETRY_S / 2)
        for says in (MetadataInvalid("no JSON"), FOUND):
            await trio.sleep(ANYCAST_METADATA_RETRY_S)
            failures.append((provided.failure, provided.alarms()[0]))
            provider.says = says

    async with trio.open_nursery() as nursery:
        nursery.start_soon(mend)
        config = await provided.find()
    assert (config.asn, config.peers[0].address, config.peers[0].password) == (65000, ONE.address, "of the rack")
    assert [failure for failure, _ in failures] == [
        "nobody is there [bgp.metadata-unavailable]",
        "no JSON [bgp.metadata-invalid]",
    ]
    assert all(alarm.startswith(f"{failure}. ") for failure, alarm in failures)
    assert (provided.failure, provided.alarms()) == ("", ())
    assert provider.asked == 4
    assert provider.kept == [ROUTES]


async def test_a_password_that_the_metadata_does_not_say_may_come_late(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    # Real seconds: a thread that reads takes none of the clock's. Where it takes longer, it is asked once more.
    autojump_clock.autojump_threshold = 0.1
    file = tmp_path / "password"
    table = BgpTable(metadata=MetadataTable("vultr", password_file=file))
    provider = Provider(ProviderSessions(65000, (replace(ONE, password=""), TWO)), table)
    provided = provider.make()

    async def write() -> None:
        while not provided.failure:  # noqa: ASYNC110 - nobody tells of it, and the clock is the test's
            await trio.sleep(ANYCAST_METADATA_RETRY_S)
        assert provided.failure == f"{file} cannot be read: No such file or directory [anycast.password-unusable]"
        file.touch(mode=0o600)
        file.write_text("of the console\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        config = await provided.find()
    assert [peer.password for peer in config.peers] == ["of the console", "of the rack"]
    assert "of the console" not in repr(config)


async def test_routes_are_looked_at_for_ever_and_told_of_once(autojump_clock: MockClock) -> None:
    provider = Provider(FOUND, broken={ROUTES[1]}, up={"one", "two"})
    async with kept(provider) as provided:
        assert provided.alarms() == (f"no {ROUTES[1]}. Set it.",)
        news = provider.news
        await trio.sleep(3.5 * ANYCAST_ROUTE_LOOK_S)
        assert (provider.kept, provider.news) == ([ROUTES] * 4, news)
        provider.broken.clear()
        await trio.sleep(ANYCAST_ROUTE_LOOK_S)
        assert (provided.alarms(), provider.news) == ((), news + 1)


async def test_nobody_is_asked_again_while_all_sessions_are_up(autojump_clock: MockClock) -> None:
    provider = Provider(FOUND, up={"one", "two"})
    async with kept(provider):
        provider.says = replace(FOUND, asn=65001)
        await trio.sleep(5.5 * ANYCAST_METADATA_AGAIN_S)
        assert (provider.asked, provider.applied) == (1, [])


@pytest.mark.parametrize("says", [FOUND, MetadataUnavailable("away"), MetadataInvalid("broken")])
async def test_what_says_nothing_new_changes_nothing(
    autojump_clock: MockClock, says: ProviderSessions | BgpError
) -> None:
    provider = Provider(FOUND)
    async with kept(provider) as provided:
        provider.says = says
        await trio.sleep(2.5 * ANYCAST_METADATA_AGAIN_S)
        assert (provider.asked, provider.applied, provided.failure) == (3, [], "")
        assert set(provider.kept) == {ROUTES}


@pytest.mark.parametrize(
    ("up", "says", "is_taken"),
    [
        (set(), replace(FOUND, asn=65001), True),
        (set(), ProviderSessions(65000, (TWO,), ROUTES[1:]), True),
        ({"one"}, ProviderSessions(65000, (ONE, replace(TWO, password="new")), ROUTES), True),
        ({"one"}, ProviderSessions(65000, (ONE,), ROUTES[:1]), True),
        ({"one"}, ProviderSessions(65000, (TWO,), ROUTES[1:]), False),
        ({"one"}, ProviderSessions(65000, (replace(ONE, password="new"), TWO), ROUTES), False),
        ({"one"}, replace(FOUND, asn=65001), False),
    ],
)
async def test_what_is_corrected_is_taken_where_no_session_is_lost_for_it(
    autojump_clock: MockClock, up: set[str], says: ProviderSessions, is_taken: bool
) -> None:
    provider = Provider(FOUND, up=up)
    async with kept(provider):
        provider.says = says
        await trio.sleep(1.2 * ANYCAST_METADATA_AGAIN_S)
        assert [(each.asn, each.peers) for each in provider.applied] == (
            [(says.asn, tuple(replace(peer, hold_s=9) for peer in says.peers))] if is_taken else []
        )
        assert provider.kept[-1] == (says.routes if is_taken else ROUTES)
