"""A node of the roster that somebody else has taken over: it has a good certificate, and says what it likes.

It can be told apart from a node that is merely broken by nothing but what it says. So whatever it does must leave the
others as they are, and cost them little.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import trio

from edged.errors import EdgedError
from edged.fleet.deployment import Deployment
from edged.fleet.link import Link
from edged.fleet.peer import Anchors, Peer
from edged.fleet.record import KINDS
from edged.fleet.report import NodeReport
from edged.fleet.roster import Roster
from edged.fleet.server import Server
from edged.fleet.session import Hello
from edged.limits import SYNC_BUCKET_COUNT
from edged.version import VERSION
from registry.digest import digest_of
from registry.dsse import sign
from registry.release import RELEASE_TYPE
from tests.simulator import parties
from tests.simulator.handshake import Dialer, serving
from tests.simulator.invariants import Oracle
from tests.simulator.machine import Machine
from tests.simulator.releases import make_release

WAYS = ("garbage", "flood", "stall", "withhold", "replay", "forge", "equivocate")
"""What a liar does: bytes that are no frames; calls without end; no answer, ever; nothing that it has; old records;
records that nobody may sign; two records of one number, of apps for which it has stolen a key."""

STOLEN = "stolen"
"""The app whose key mallory has."""

_PAUSE_S = (0.2, 3.0)
_FLOOD_COUNT = 40
_FLOOD_PAUSE_S = 6.0  # at most, after one: what counts is how much comes at once, and each call costs a run its time


class Liar:
    """See the module.

    Args:
        machine: of the node whose place it has.
        way: of WAYS.
        roster: that it lets others in by.
    """

    def __init__(self, machine: Machine, way: str, roster: Roster, oracle: Oracle) -> None:
        self.name = machine.name
        self.way = way
        self.identity = parties.identity(machine.name)
        self._machine = machine
        self._roster = roster
        self._connect = Dialer(machine).connect
        self._oracle = oracle
        self._rng: random.Random = machine.world.random(f"liar {machine.name}")
        self._heard: list[bytes] = []
        self._sequence = 0

    def anchors(self) -> Anchors:
        """Whom it lets in: the nodes of the roster that it began with."""
        return Anchors.of_nodes((node.name, node.certificate) for node in self._roster.nodes)

    def hello(self) -> Hello:
        return Hello(self._roster.fleet, self._roster.epoch, self._roster.version, self.name, VERSION)

    # --- when asked ---

    async def dispatch(self, _peer: Peer, call: str, args: dict[str, Any]) -> Any:
        """Answers what it likes."""
        for record in args.get("records") or ():
            if isinstance(record, bytes):
                self._heard = [*self._heard[-50:], record]
        await trio.sleep(self._rng.uniform(0, 0.1))
        if self.way == "stall":
            await trio.sleep_forever()
        lies = _LIES.get(call)
        return None if lies is None else lies(self)

    # --- when not asked ---

    async def run(self) -> None:
        """Listen; dial nodes and tell them things; until cancelled."""
        await self._machine.live(lambda _machine: self._live())

    async def _live(self) -> None:
        server = Server(self.identity, self.anchors, self.hello, self.dispatch)
        address = parties.address_of(self.name)
        self._machine.world.network.listen(address, serving(server, self.identity, self.anchors))
        async with trio.open_nursery() as nursery:
            for node in self._roster.nodes:
                if node.name != self.name:
                    nursery.start_soon(self._bother, node.address)

    async def _bother(self, address: str) -> None:
        while True:
            await trio.sleep(self._rng.uniform(*_PAUSE_S))
            with suppress(EdgedError):
                async with self._connect(
                    address, self.identity, self.anchors(), hello=self.hello(), dispatch=self.dispatch
                ) as link:
                    while True:
                        await _WAYS[self.way](self, link)
                        await trio.sleep(self._rng.uniform(*_PAUSE_S))

    async def _garbage(self, link: Link) -> None:
        link._put(self._rng.randbytes(self._rng.randint(1, 5_000)))

    async def _flood(self, link: Link) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(_FLOOD_COUNT):
                nursery.start_soon(self._ask, link, "heads", {"hash": b"\x00" * 16})
        await trio.sleep(self._rng.uniform(0, _FLOOD_PAUSE_S))

    async def _ask(self, link: Link, call: str, args: dict[str, Any]) -> None:
        with suppress(EdgedError):
            await link.call(call, **args)

    async def _stall(self, _link: Link) -> None:
        await trio.sleep(10)

    async def _withhold(self, link: Link) -> None:
        answer = None
        with suppress(EdgedError):
            answer = await link.call("records", keys=[["roster", self._roster.fleet]])
        self._listen(answer)

    async def _replay(self, link: Link) -> None:
        with suppress(EdgedError):
            answer = await link.call("buckets", indexes=list(range(SYNC_BUCKET_COUNT)))
            keys = [head[:2] for _, heads in answer["buckets"] for head in heads if head[0] in KINDS]
            self._listen(await link.call("records", keys=keys[:100]))
            if self._heard:
                await link.call("offer", records=[self._rng.choice(self._heard)])

    async def _forge(self, link: Link) -> None:
        with suppress(EdgedError):
            await link.call("offer", records=[self._forged()])

    async def _equivocate(self, link: Link) -> None:
        """Another record for each node that it talks to, all of the same number."""
        if self._rng.random() < 0.2:
            self._sequence += 1
        with suppress(EdgedError):
            await link.call("offer", records=[self._stolen(max(1, self._sequence))])

    def _listen(self, answer: object) -> None:
        match answer:
            case {"records": list(records)}:
                self._heard = [*self._heard[-200:], *(each for each in records if isinstance(each, bytes))]

    # --- what it makes ---

    def _forged(self) -> bytes:
        """Signed by this node's key, which may sign no deployment."""
        deployment = Deployment(parties.FLEET, "shop", 1, 10_000, {"eu": digest_of(b"evil")}, issued=int(time.time()))
        return deployment.seal(self.identity.key)

    def _stolen(self, sequence: int) -> bytes:
        """Signed by a key that may: nobody can tell that it was stolen before root says so."""
        made = make_release(STOLEN, self._rng.randint(1, 1000), "good", self._rng)
        release = made.release
        self._oracle.released(release)
        deployment = Deployment(
            parties.FLEET,
            STOLEN,
            1,
            sequence,
            dict.fromkeys(parties.REGIONS, made.digest),
            message=str(release.version),
        )
        self._oracle.signed(deployment)
        return deployment.seal(parties.identity("mallory").key)

    def _lying_heads(self) -> dict[str, Any]:
        if self.way == "withhold":
            return {"hash": self._rng.randbytes(16), "buckets": [b""] * SYNC_BUCKET_COUNT}
        return {
            "hash": self._rng.randbytes(16),
            "buckets": [self._rng.randbytes(16) for _ in range(SYNC_BUCKET_COUNT)],
        }

    def _lying_buckets(self) -> dict[str, Any]:
        return {"buckets": [] if self.way == "withhold" else [[0, [["deployment", "shop", 1, 2**40, "sha256:0"]]]]}

    def _lying_records(self) -> dict[str, Any]:
        return {"records": [self._forged(), *self._heard[:5]]}

    def _lying_release(self) -> dict[str, Any]:
        made = make_release("shop", 1, "good", self._rng)
        return {"envelope": sign(RELEASE_TYPE, made.release.encode(), self.identity.key).encode()}

    def _lying_chunk(self) -> dict[str, Any]:
        return {"frame": self._rng.randbytes(200)}

    def _lying_reports(self) -> dict[str, Any]:
        """That all others run what they do not, in the far future."""
        lie = NodeReport(self.name, "eu", 2**40, 2**40, time.time())
        names = [node.name for node in self._roster.nodes]
        return {"reports": [replace(lie, node=name).encode() for name in names]}


_LIES: Mapping[str, Callable[[Liar], Any]] = {
    "heads": Liar._lying_heads,
    "buckets": Liar._lying_buckets,
    "records": Liar._lying_records,
    "release": Liar._lying_release,
    "chunk": Liar._lying_chunk,
    "reports": Liar._lying_reports,
}

_WAYS: Mapping[str, Callable[[Liar, Link], Any]] = {
    "garbage": Liar._garbage,
    "flood": Liar._flood,
    "stall": Liar._stall,
    "withhold": Liar._withhold,
    "replay": Liar._replay,
    "forge": Liar._forge,
    "equivocate": Liar._equivocate,
}
assert tuple(_WAYS) == WAYS
