"""Publishers of a simulated fleet: the production commands' core, over links that may be slow, cut or to a liar.

    Publisher ── push, roll back, remove ──> edged.publish ──> whichever node answers
        └─ what was signed, and what was acknowledged ──> Oracle

Several race for the same apps. Some are interrupted, and some end in the middle as a killed process does.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import trio

from edged.errors import EdgedError
from edged.fleet.certificate import Identity
from edged.fleet.deployment import Deployment
from edged.fleet.roster import Roster
from edged.fleet.session import Hello
from edged.publish.deployments import Head, Wish, again, publish, read_head, removed
from edged.publish.event import Published, PuttingBack, Show
from edged.publish.fleet import rosters
from edged.publish.interrupts import Interrupts
from edged.publish.link import Link, open_link
from edged.publish.pace import ALL_AT_ONCE, Pace
from edged.publish.push import Package, Push
from edged.publish.signer import Signer
from edged.version import VERSION
from registry.errors import RegistryError
from tests.simulator import parties
from tests.simulator.handshake import Dialer
from tests.simulator.invariants import Oracle
from tests.simulator.machine import Machine
from tests.simulator.releases import make_release

PATIENCE_S = 40.0
"""How long a publisher watches its push."""


class Author(Signer):
    """A `Signer` that lets the oracle know what it signs.

    Attributes:
        last: the deployment that it signed last.
    """

    def __init__(self, identity: Identity, roster: Roster, oracle: Oracle) -> None:
        super().__init__(identity, roster)
        self._oracle = oracle
        self.last: Deployment | None = None

    def sign_deployment(self, deployment: Deployment) -> bytes:
        self.last = deployment
        self._oracle.signed(deployment)
        return super().sign_deployment(deployment)


Change = Callable[[Link, Author], Awaitable[None]]


class Publisher:
    """One party with a key, on a machine of its own.

    Args:
        machine: named as the key is in the roster.
        addresses: of nodes that it knows; a random one of them is tried first.

    Attributes:
        dies_s: its commands are killed after that long; None for never.
        published: how many changes were acknowledged.
        refused: the last few reasons why one was not.
    """

    def __init__(self, machine: Machine, addresses: Sequence[str], oracle: Oracle) -> None:
        self.name = machine.name
        self._machine = machine
        self._addresses = list(addresses)
        self._connect = Dialer(machine).connect
        self._oracle = oracle
        self._rng = machine.world.random(f"publisher {machine.name}")
        self._turn = trio.Lock()
        self._count = 0
        self.dies_s: float | None = None
        self.published = 0
        self.refused: list[str] = []

    async def push(
        self, app: str, behaviour: str = "good", *, pace: Pace = ALL_AT_ONCE, interrupt_s: float | None = None
    ) -> bool:
        """A new release everywhere.

        Args:
            pace: in which waves.
            interrupt_s: after that long, Ctrl-C; None for never.

        Returns:
            Whether it was acknowledged, and not put back.
        """
        self._count += 1
        made = make_release(app, self._count, behaviour, self._rng)
        self._oracle.released(made.release)

        async def change(link: Link, author: Author) -> None:
            envelope = author.sign_release(made.release.encode())
            package = Package(app, made.digest, envelope, made.release.chunks(), made)
            interrupts = Interrupts()
            push = Push(
                link,
                author,
                package,
                Wish(made.digest, regions=parties.REGIONS, pace=pace),
                show=self._noting(author),
                interrupts=interrupts,
                clock=time.time,
                timeout_s=PATIENCE_S,
            )
            async with trio.open_nursery() as nursery:
                if interrupt_s is not None:
                    nursery.start_soon(_interrupt, interrupts, interrupt_s)
                await push.run()
                nursery.cancel_scope.cancel()

        return await self._attempt(change)

    async def roll_back(self, app: str) -> bool:
        """What the head of an app was made after, once more."""

        async def change(link: Link, author: Author) -> None:
            head = await read_head(link.call, author, app)
            older = [
                each
                for each in self._oracle.deployments.values()
                if each.app == app and each.regions and each.version < (author.epoch_of(app), head.sequence)
            ]
            if older:
                old = self._rng.choice(sorted(older, key=lambda each: (each.version, each.digest)))
                await self._publish(link, author, head, again(author, head, old, int(time.time()), "rolled back"))

        return await self._attempt(change)

    async def remove(self, apps: Sequence[str], count: int) -> bool:
        """Apps from all regions.

        Args:
            count: that the records say; nodes keep what is removed by too small a one.
        """

        async def change(link: Link, author: Author) -> None:
            now = int(time.time())
            for app in apps:
                head = await read_head(link.call, author, app)
                if head.live is not None:
                    await self._publish(link, author, head, removed(author, head, now, "removed", count))

        return await self._attempt(change)

    async def renew(self, roster: bytes) -> bool:
        """Give a node a roster that root has signed."""

        async def change(link: Link, _author: Author) -> None:
            await link.call("put_record", envelope=roster)

        return await self._attempt(change)

    # --- inside ---

    async def _attempt(self, change: Change) -> bool:
        """As a process of its own, one after the other."""
        before = self.published
        async with self._turn, trio.open_nursery() as nursery:
            if self.dies_s is not None:
                nursery.start_soon(self._die, self.dies_s)
            await self._machine.live(lambda _machine: self._try(change))
            nursery.cancel_scope.cancel()
        return self.published > before

    async def _try(self, change: Change) -> None:
        try:
            async with self._fleet() as (link, author):
                await change(link, author)
        except* (EdgedError, RegistryError) as group:
            self.refused = [*self.refused[-20:], *(str(error) for error in _leaves(group))]

    async def _die(self, after_s: float) -> None:
        await trio.sleep(after_s)
        self._machine.kill()

    @asynccontextmanager
    async def _fleet(self) -> AsyncIterator[tuple[Link, Author]]:
        roster = self._oracle.newest_roster
        author = Author(parties.identity(self.name), roster, self._oracle)
        hello = Hello(roster.fleet, roster.epoch, roster.version, self.name, VERSION)
        addresses = [node.address for node in roster.nodes if node.address in self._addresses] or [
            node.address for node in roster.nodes
        ]
        self._rng.shuffle(addresses)
        async with open_link(
            tuple(addresses),
            lambda address: self._connect(address, author.identity, author.anchors, hello=hello),
        ) as link:
            for envelope in rosters(await link.call("roster")):
                author.renew(envelope)
            yield link, author

    async def _publish(self, link: Link, author: Author, head: Head, deployment: Deployment) -> None:
        await publish(link.call, author, deployment, head)
        self._acknowledged(deployment)

    def _acknowledged(self, deployment: Deployment) -> None:
        self.published += 1
        self._oracle.accepted(deployment)

    def _noting(self, author: Author) -> Show:
        def show(event: object) -> None:
            if isinstance(event, Published | PuttingBack):  # told once a node has accepted what was signed last
                assert author.last is not None
                self._acknowledged(author.last)

        return show


async def _interrupt(interrupts: Interrupts, after_s: float) -> None:
    await trio.sleep(after_s)
    interrupts.add()


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
