"""One run: a fleet, publishers, faults; then no faults any more, and everything has to be well.

0 ......... profile.busy_s .......................... + LIVENESS_S
publishers push, faults fall      disputes settled, the same and live everywhere?    alone: nothing changes
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import trio

from edged.fleet.record import Key
from edged.fleet.rollout_event import NONE
from edged.publish.pace import ALL_AT_ONCE, IN_WAVES
from tests.simulator import parties
from tests.simulator.faults import KINDS, Chaos, schedule
from tests.simulator.invariants import Broken, Oracle
from tests.simulator.liar import WAYS, Liar
from tests.simulator.liveness import disputed, lost, still_announcing, unsettled
from tests.simulator.node import CHUNK_BYTES_MAX, Node
from tests.simulator.publisher import Publisher
from tests.simulator.trace import Trace
from tests.simulator.workers import BEHAVIOURS
from tests.simulator.world import World, run_world

LIVENESS_S = 400.0
"""After the last fault, until everything has to be well: links are tried again after up to a minute, rollouts likewise,
and prefixes that were withdrawn are held back for as long again."""

_LOOK_S = 1.0
_SETTLE_LOOK_S = 2.0
_APPS = ("shop", "blog", "mail")
_ALONE_S = 15.0
_OPERATOR_S = 20.0
_LIAR_NODES_MIN = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """How large a run is.

    Attributes:
        nodes: least and most.
        busy_s: how long publishers and faults are at work.
        faults: least and most.
        pause_s: of a publisher between two changes, on average.
        deaths: the chance that a publisher's command is killed.
        waves: the chance that a push goes region by region.
        liars: the chance that a node is a liar, where there are enough others.
        kinds: of faults.
    """

    nodes: tuple[int, int]
    busy_s: float
    faults: tuple[int, int]
    pause_s: float
    kinds: tuple[str, ...] = KINDS
    apps: tuple[str, ...] = _APPS
    deaths: float = 0.1
    waves: float = 0.3
    liars: float = 0.3
    behaviours: tuple[str, ...] = ("good",) * 6 + BEHAVIOURS


PROFILES: Mapping[str, Profile] = {
    "calm": Profile((5, 5), 30.0, (0, 0), 10.0, kinds=(), behaviours=("good",), deaths=0.0, liars=0.0),
    "small": Profile((3, 5), 30.0, (2, 7), 6.0),
    "long": Profile((4, 8), 240.0, (10, 40), 12.0),
    "large": Profile((50, 55), 45.0, (10, 30), 15.0),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a run.

    Attributes:
        broken: the first invariant that did not hold; None for none.
        digest: of the trace.
        published: changes that were acknowledged.
        converged_s: from the last fault on; 0 if it was not reached.
        virtual_s: that the run lasted.
        faults: how many of each kind began; a liar counts as one.
        counts: of logged events.
    """

    seed: int
    nodes: int
    broken: Broken | None
    digest: str
    published: int
    converged_s: float
    virtual_s: float
    bytes_sent: int
    faults: Mapping[str, int]
    counts: Mapping[str, int]


def run(seed: int, profile: Profile, *, nodes: int | None = None, trace: Trace | None = None) -> Result:
    """One run of a seed.

    Args:
        nodes: how many; None for what the seed says.
    """
    trace = Trace() if trace is None else trace

    async def main(world: World) -> Result:
        return await Scenario(world, profile, nodes).run()

    return replace(run_world(seed, main, trace=trace), digest=trace.digest())


class Scenario:
    """See the module."""

    def __init__(self, world: World, profile: Profile, nodes: int | None) -> None:
        self._world = world
        self._profile = profile
        self._rng = world.random("scenario")
        self._oracle = oracle = Oracle()
        count = nodes or self._rng.randint(*profile.nodes)
        roster = parties.first_roster(range(count))
        oracle.rostered(roster)
        sealed = roster.seal([parties.root()])
        self._nodes = {parties.node_name(each): Node(world, each, sealed, oracle) for each in range(count)}
        self._liar: Liar | None = None
        if count >= _LIAR_NODES_MIN and self._rng.random() < profile.liars:
            name = parties.node_name(self._rng.randrange(count))
            del self._nodes[name]
            self._liar = Liar(world.machine(name), self._rng.choice(WAYS), roster, oracle)
        self._publishers = [self._publisher(name) for name in parties.PUBLISHERS]
        self._operator = self._publisher("operator")
        world.log_seen = self._log_seen
        self._converged_s = 0.0
        self._faults: Counter[str] = Counter()

    async def run(self) -> Result:
        """All of it."""
        async with trio.open_nursery() as nursery:
            self._lives = nursery
            for node in self._nodes.values():
                nursery.start_soon(node.run)
            if self._liar is not None:
                nursery.start_soon(self._liar.run)
            nursery.start_soon(self._look_forever)
            nursery.start_soon(self._stop_when_broken, nursery.cancel_scope)
            await self._be_busy()
            await self._settle()
            await self._be_alone()
            nursery.cancel_scope.cancel()
        oracle = self._oracle
        return Result(
            seed=self._world.seed,
            nodes=len(self._nodes),
            broken=oracle.broken[0] if oracle.broken else None,
            digest="",
            published=sum(each.published for each in (*self._publishers, self._operator)),
            converged_s=self._converged_s,
            virtual_s=trio.current_time(),
            bytes_sent=sum(self._world.network.bytes_sent().values()),
            faults=dict(self._faults),
            counts=dict(self._world.log_counts),
        )

    # --- its parts ---

    async def _be_busy(self) -> None:
        rng, profile = self._rng, self._profile
        faults = schedule(rng, list(self._nodes), rng.randint(*profile.faults), profile.busy_s, profile.kinds)
        self._faults.update(fault.kind for fault in faults)
        if self._liar is not None:
            self._faults[f"liar: {self._liar.way}"] += 1
        chaos = Chaos(self._world, self._nodes, self._oracle, self._operator.renew, self._begin, self._let_in, rng)
        with trio.move_on_at(profile.busy_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(chaos.run, faults)
                for publisher in self._publishers:
                    nursery.start_soon(self._publish_forever, publisher)
        chaos.end()

    async def _publish_forever(self, publisher: Publisher) -> None:
        rng, profile = self._rng, self._profile
        while True:
            await trio.sleep(rng.expovariate(1 / profile.pause_s))
            app = rng.choice(profile.apps)
            publisher.dies_s = rng.uniform(0, 5) if rng.random() < profile.deaths else None
            draw = rng.random()
            if draw < 0.75:
                interrupt_s = rng.uniform(0, 10) if rng.random() < 0.15 else None
                pace = IN_WAVES if rng.random() < profile.waves else ALL_AT_ONCE
                await publisher.push(app, rng.choice(profile.behaviours), pace=pace, interrupt_s=interrupt_s)
            elif draw < 0.9:
                await publisher.roll_back(app)
            else:
                apps = profile.apps if rng.random() < 0.3 else (app,)
                await publisher.remove(apps, rng.choice((1, len(apps))))

    async def _settle(self) -> None:
        """Until all is well, or it should be."""
        healed_at = trio.current_time()
        again_at = trio.current_time() + _OPERATOR_S
        found = ["nothing was looked at"]
        while found and trio.current_time() - healed_at < LIVENESS_S:
            await trio.sleep(_SETTLE_LOOK_S)
            found = unsettled(self._members(), self._oracle, may_wait=self._liar is not None)
            found += [f"{app} is to be published again, and was not" for app in disputed(self._members())]
            found += still_announcing(set(self._nodes.values()) - set(self._members()))
            self._world.trace.note("unsettled", *found)
            if found and trio.current_time() >= again_at:
                again_at = trio.current_time() + _OPERATOR_S
                await self._settle_disputes()
        for why in found[:5]:
            self._oracle.fail("3", why)
        for why in lost(self._members(), self._oracle) if self._oracle.are_disks_true else ():
            self._oracle.fail("9", why)
        self._converged_s = trio.current_time() - healed_at

    async def _settle_disputes(self) -> None:
        """What alarms ask for: publish again, by somebody who may; and revoke the key that was stolen."""
        newest = self._oracle.newest_roster
        if self._liar is not None and self._liar.way == "equivocate" and any(k.name == "mallory" for k in newest.keys):
            newest = parties.without_key(newest, "mallory")
            self._oracle.rostered(newest)
        if any(node.state is None or node.state.roster != newest for node in self._members()):
            await self._operator.renew(newest.seal([parties.root()]))
        for app in disputed(self._members()):
            await self._operator.push(app)

    async def _be_alone(self) -> None:
        """Without peers, and with clocks that are wrong, each goes on as it was (invariant 5)."""
        before = {node.name: (dict(node.watch.served), node.watch.prefixes) for node in self._members()}
        self._world.network.partition(*([name] for name in self._world.machines))
        for node in self._nodes.values():
            node.machine.clock.jump(self._rng.uniform(-5, 5) * 86_400)
        await trio.sleep(_ALONE_S)
        for node in self._members():
            served, prefixes = before[node.name]
            changed = {
                app: version
                for app, version in served.items()
                if node.watch.served.get(app, NONE) < version and not node.watch.took_back(app, version)
            }
            if changed or node.watch.prefixes != prefixes:
                self._oracle.fail(
                    "5",
                    f"{node.name}, alone, serves {node.watch.served} after {served}, "
                    f"announces {sorted(map(str, node.watch.prefixes))} after {sorted(map(str, prefixes))}",
                )

    # --- inside ---

    def _begin(self, number: int, roster: bytes) -> None:
        self._enter(Node(self._world, number, roster, self._oracle))

    def _let_in(self, number: int, voucher: bytes) -> None:
        self._enter(Node(self._world, number, None, self._oracle, voucher=voucher))

    def _enter(self, node: Node) -> None:
        self._nodes[node.name] = node
        self._lives.start_soon(node.run)

    def _publisher(self, name: str) -> Publisher:
        machine = self._world.machine(name)
        addresses = [node.address for node in self._nodes.values()]
        return Publisher(machine, addresses, self._oracle)

    def _members(self) -> list[Node]:
        names = {node.name for node in self._oracle.newest_roster.nodes}
        return [
            node for name, node in self._nodes.items() if name in names or (node.is_vouched and self._is_let_in(name))
        ]

    def _is_let_in(self, name: str) -> bool:
        """Whether others know of the admission of a node. Those with disks that lie may have forgotten it."""
        if self._oracle.are_disks_true:
            return True
        others = [node.state for other, node in self._nodes.items() if other != name and node.state is not None]
        return any(head.key == Key("admission", name) for state in others for head in state.heads())

    async def _look_forever(self) -> None:
        while True:
            await trio.sleep(_LOOK_S)
            for node in self._nodes.values():
                node.watch.look()
                if node.part is not None and node.stores is not None:
                    links = node.part.server.statistics().connections
                    chunk_bytes = node.machine.disk.used_bytes
                    node.watch.look_at_bounds(links, chunk_bytes, CHUNK_BYTES_MAX)

    async def _stop_when_broken(self, scope: trio.CancelScope) -> None:
        await self._oracle.stop.wait()
        scope.cancel()

    def _log_seen(self, machine: str, fields: MutableMapping[str, Any]) -> None:
        if fields.get("exc_info"):
            self._oracle.fail("0", f"{machine}: a mistake of ours is in the log: {fields['event']}: {_raised(fields)}")


def _raised(fields: Mapping[str, Any]) -> str:
    kind, error, at = sys.exc_info()
    return str(fields) if error is None else "".join(traceback.format_exception(kind, error, at)[-3:])
