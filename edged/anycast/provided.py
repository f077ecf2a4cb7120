"""Sessions as the provider of the machine describes them, and the routes that lead to its routers.

    metadata ── asked until it answers ──> ProviderSessions ── with the node.toml ──> SpeakerConfig
       ^                                        │ routes
       └── again, while a session is down       └── looked at for as long as the node runs, and set where that is ours

What is known stays when the provider is silent: only what it says anew changes sessions, and never one that is up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

import structlog
import trio

from bgp.errors import BgpError
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import SpeakerConfig
from bgp.static_route import RouteProblem, StaticRoute
from edged.anycast.config import BgpTable
from edged.anycast.sessions import provider_sessions
from edged.errors import EdgedError
from edged.limits import ANYCAST_METADATA_AGAIN_S, ANYCAST_METADATA_RETRY_S, ANYCAST_ROUTE_LOOK_S

log = structlog.get_logger()

Fetch = Callable[[], Awaitable[ProviderSessions]]
KeepRoutes = Callable[[Collection[StaticRoute]], Awaitable[tuple[RouteProblem, ...]]]


class Provided:
    """See the module.

    Args:
        fetch: the metadata, once; raises BgpError.
        keep_routes: looks at routes, and sets them where the node.toml says so; what is wrong still.
        changed: told whenever `failure` or `alarms` may have changed; must not wait.

    Attributes:
        failure: why nothing is known of sessions: a sentence with its code; "" if that is not so.
    """

    def __init__(self, table: BgpTable, fetch: Fetch, keep_routes: KeepRoutes, changed: Callable[[], None]) -> None:
        self._table = table
        self._fetch = fetch
        self._keep_routes = keep_routes
        self._changed = changed
        self._routes: tuple[StaticRoute, ...] = ()
        self._route_problems: tuple[RouteProblem, ...] = ()
        self._remedy = ""
        self.failure = ""

    def alarms(self) -> tuple[str, ...]:
        """Sentences."""
        own = (f"{self.failure}. {self._remedy}",) if self.failure else ()
        return (*own, *(f"{each.message}. {each.remedy}" for each in self._route_problems))

    async def find(self) -> SpeakerConfig:
        """Ask until the provider says who the routers are. Routes that are ours are set by then."""
        while True:
            try:
                config = await self._ask()
            except (BgpError, EdgedError) as error:
                failure = f"{error.message} [{error.code}]"
                if self.failure != failure:
                    log.error("anycast.no-sessions", code=error.code, message=error.message, remedy=error.remedy)
                self.failure, self._remedy = failure, error.remedy
            else:
                self.failure = ""
                log.info("anycast.sessions", asn=config.asn, peers=_described(config))
                await self._look_at_routes()
                return config
            self._changed()
            await trio.sleep(ANYCAST_METADATA_RETRY_S)

    async def keep(
        self, config: SpeakerConfig, established: Callable[[], Collection[str]], apply: Callable[[SpeakerConfig], None]
    ) -> None:
        """See that what `find` found stays so, and take what the provider corrects.

        Args:
            established: names of peers whose session is up.
            apply: another configuration. No session that is up is other in it.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_looking)
            while True:
                await trio.sleep(ANYCAST_METADATA_AGAIN_S)
                if len(established()) == len(config.peers):
                    continue
                routes = self._routes
                try:
                    found = await self._ask()
                except (BgpError, EdgedError):
                    continue  # what it said before stands, and `edged.anycast.speaking` says why a session is down
                if found == config:
                    continue
                if not _leaves_alone(established(), config, found):
                    self._routes = routes
                    continue
                log.warning("anycast.sessions-changed", asn=found.asn, peers=_described(found))
                config = found
                await self._look_at_routes()
                apply(config)

    async def _ask(self) -> SpeakerConfig:
        found = await self._fetch()
        assert self._table.metadata is not None, "there is a provider"
        if self._table.metadata.password_file is None:
            config = provider_sessions(self._table, found)
        else:
            config = await trio.to_thread.run_sync(provider_sessions, self._table, found)
        self._routes = found.routes
        return config

    async def _keep_looking(self) -> None:
        while True:
            await trio.sleep(ANYCAST_ROUTE_LOOK_S)
            await self._look_at_routes()

    async def _look_at_routes(self) -> None:
        """One that is missing keeps no session from being tried: another way may lead there."""
        problems = await self._keep_routes(self._routes)
        for each in problems:
            if each not in self._route_problems:
                log.error("anycast.route", message=each.message, remedy=each.remedy)
        if problems != self._route_problems:
            self._route_problems = problems
            self._changed()


def _leaves_alone(established: Collection[str], old: SpeakerConfig, new: SpeakerConfig) -> bool:
    """Whether sessions that are up would be the same. The speaker begins anew all the same, but they come back."""
    if not established:
        return True
    ours = (old.asn, old.router_id) == (new.asn, new.router_id)
    return ours and all(peer in new.peers for peer in old.peers if peer.name in established)


def _described(config: SpeakerConfig) -> list[str]:
    return [f"{peer.name} {peer.address} AS{peer.asn}" for peer in config.peers]
