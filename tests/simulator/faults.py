"""What befalls a simulated fleet: a schedule made by a seed, and hands that carry it out.

    rng, nodes ── schedule ──> Fault, Fault, ... ── Chaos ──> network, machines, disks, clocks, rosters

Each fault has a beginning and an end. After the last of them `Chaos.end` heals all that is left, and nothing of what
follows is a fault.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import trio

from edged.fleet.record import Version
from edged.fleet.roster import Node as RosterNode
from edged.limits import VOUCHER_SEED_COUNT_MAX
from tests.simulator import parties
from tests.simulator.invariants import PROBE_LATE_S, Oracle
from tests.simulator.node import STATE, Node
from tests.simulator.world import World

_DAY_S = 86_400.0
_CLOCK_DAYS_MAX = 5.0
_OPERATIONS = (1, 400)
_AWAITS = (1, 20_000)
_FAILING = (0.01, 0.3)
_NEVER = 1 << 60  # operations
_NODES_MIN = 3  # that are left of a fleet from which one is removed

Renew = Callable[[bytes], Awaitable[bool]]
"""Gives a signed roster to the fleet, as an operator's command does."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One of them.

    Attributes:
        at, lasts_s: from the start of the run, and how long.
        kind: of KINDS.
        who: names of nodes that it is about, in an order that may matter.
        draw: 0 to 1, for whatever else there is to choose.
    """

    at: float
    lasts_s: float
    kind: str
    who: tuple[str, ...]
    draw: float

    def __str__(self) -> str:
        return f"{self.at:.1f}+{self.lasts_s:.1f} {self.kind} {','.join(self.who)} {self.draw:.3f}"


def schedule(
    rng: random.Random, names: Sequence[str], count: int, within_s: float, kinds: Sequence[str]
) -> tuple[Fault, ...]:
    """Faults of these kinds, by their beginning."""
    faults = []
    for _ in range(count):
        kind = rng.choice(list(kinds))
        who = list(names)
        rng.shuffle(who)
        at = rng.uniform(0, within_s)
        lasts_s = min(rng.expovariate(1 / 15.0), within_s - at)
        faults.append(Fault(at, lasts_s, kind, tuple(who[: rng.randint(1, max(1, len(who) - 1))]), rng.random()))
    return tuple(sorted(faults, key=lambda fault: fault.at))


class Chaos:
    """Carries faults out.

    Args:
        nodes: by name.
        renew: for faults that are another roster.
        begin: starts a node that has been added, with its first roster.
        let_in: starts one that comes with a voucher.
    """

    def __init__(
        self,
        world: World,
        nodes: Mapping[str, Node],
        oracle: Oracle,
        renew: Renew,
        begin: Callable[[int, bytes], None],
        let_in: Callable[[int, bytes], None],
        rng: random.Random,
    ) -> None:
        self._world = world
        self._nodes = nodes
        self._oracle = oracle
        self._renew = renew
        self._begin_node = begin
        self._let_in = let_in
        self._added: int | None = None
        self._rng = rng

    async def run(self, faults: Sequence[Fault]) -> None:
        """All of them, to the end of the last."""
        async with trio.open_nursery() as nursery:
            for fault in faults:
                nursery.start_soon(self._one, fault)

    def end(self) -> None:
        """Nothing fails any more."""
        self._world.network.heal()
        for node in self._nodes.values():
            disk = node.machine.disk
            disk.full, disk.failing, disk.lost_writes = False, 0.0, 0.0
            node.machine.crash_at()  # a crash that has not come yet does not come
            disk.crash_after(_NEVER)
            node.machine.clock.set()
            node.set_answering(True)
            node.set_drained(False)
            node.up()

    async def _one(self, fault: Fault) -> None:
        await trio.sleep_until(fault.at)
        self._world.trace.note("fault", fault)
        await _KINDS[fault.kind](self, fault)

    # --- the network ---

    async def _partition(self, fault: Fault) -> None:
        self._world.network.partition(fault.who)
        await trio.sleep(fault.lasts_s)
        self._world.network.partition()

    async def _one_way(self, fault: Fault) -> None:
        for source in fault.who[:2]:
            target = self._other(source)
            self._world.network.asymmetric(source, target)
        await trio.sleep(fault.lasts_s)
        self._world.network.heal()

    async def _stall(self, fault: Fault) -> None:
        for one in fault.who[:3]:
            self._world.network.stall(one, self._other(one))
        await trio.sleep(fault.lasts_s)
        self._world.network.heal()

    async def _slow(self, fault: Fault) -> None:
        for source in fault.who:
            self._world.network.slow(
                source,
                self._other(source),
                latency_s=3 * fault.draw,
                jitter_s=2 * fault.draw,
                bytes_s=2_000 + 50_000 * fault.draw,
            )
        await trio.sleep(fault.lasts_s)

    async def _cut(self, fault: Fault) -> None:
        for one in fault.who:
            self._world.network.cut(one, self._other(one))

    async def _swizzle(self, fault: Fault) -> None:
        await self._world.network.swizzle(fault.who, self._rng, fault.lasts_s)

    # --- machines ---

    async def _kill(self, fault: Fault) -> None:
        await self._fall(fault, lambda node: node.machine.kill())

    async def _power(self, fault: Fault) -> None:
        await self._fall(fault, lambda node: node.machine.power_cut())

    async def _crash_at_operation(self, fault: Fault) -> None:
        low, high = _OPERATIONS
        count = low + int((high - low) * fault.draw**2)
        await self._fall(fault, lambda node: node.machine.crash_at(operations=count))

    async def _crash_at_await(self, fault: Fault) -> None:
        low, high = _AWAITS
        count = low + int((high - low) * fault.draw**2)
        kind = "killed" if count % 2 else "power cut"
        await self._fall(fault, lambda node: node.machine.crash_at(awaits=count, kind=kind))  # type: ignore[arg-type]

    async def _fall(self, fault: Fault, fell: Callable[[Node], None]) -> None:
        """One or two at a time; now and then all, as when a fleet is updated by somebody in a hurry."""
        count = len(self._nodes) if fault.draw > 0.95 else 1 + (fault.draw > 0.8)
        for name in fault.who[:count]:
            node = self._nodes[name]
            if fault.draw > 0.5:
                node.down()
            fell(node)
        await trio.sleep(fault.lasts_s)
        for name in fault.who[:count]:
            self._nodes[name].up()

    async def _away(self, fault: Fault) -> None:
        """To the end, while others go on: it comes back when faults have stopped."""
        node = self._nodes[fault.who[0]]
        node.down()
        node.machine.kill()

    async def _ill(self, fault: Fault) -> None:
        """Workers answer nothing, for long enough that the node has to leave."""
        for name in fault.who[:2]:
            self._nodes[name].set_answering(False)
        await trio.sleep(max(fault.lasts_s, 1.5 * PROBE_LATE_S))
        for name in fault.who[:2]:
            self._nodes[name].set_answering(True)

    async def _drain(self, fault: Fault) -> None:
        """No fault by itself: an operator takes nodes out of traffic."""
        for name in fault.who[:2]:
            self._nodes[name].set_drained(True)
        await trio.sleep(fault.lasts_s)
        for name in fault.who[:2]:
            self._nodes[name].set_drained(False)

    # --- disks and clocks ---

    async def _full(self, fault: Fault) -> None:
        disks = [self._nodes[name].machine.disk for name in fault.who[:2]]
        for disk in disks:
            disk.full = True
        await trio.sleep(fault.lasts_s)
        for disk in disks:
            disk.full = False

    async def _failing(self, fault: Fault) -> None:
        low, high = _FAILING
        disk = self._nodes[fault.who[0]].machine.disk
        disk.failing = low + (high - low) * fault.draw
        await trio.sleep(fault.lasts_s)
        disk.failing = 0.0

    async def _lie(self, fault: Fault) -> None:
        """Syncs do nothing, and then the power fails. Such a node may know less than before, like a new one; whatever
        is torn has to be noticed, and it must come back."""
        node = self._nodes[fault.who[0]]
        node.watch.is_disk_true = self._oracle.are_disks_true = False
        node.machine.disk.lost_writes = 0.1 + 0.9 * fault.draw
        await trio.sleep(fault.lasts_s)
        node.machine.disk.lost_writes = 0.0
        node.machine.power_cut()

    async def _rot(self, fault: Fault) -> None:
        """A bit of a chunk turns around: it is found by whoever reads it."""
        node = self._nodes[fault.who[0]]
        if node.stores is not None:
            node.machine.disk.rot(self._rng, STATE / "registry" / "chunks")

    async def _clock(self, fault: Fault) -> None:
        days = _CLOCK_DAYS_MAX * (2 * fault.draw - 1)
        for name in fault.who:
            self._nodes[name].machine.clock.jump(days * _DAY_S)

    async def _collect(self, fault: Fault) -> None:
        """No fault by itself: what nothing needs is let go, whatever else happens."""
        for name in fault.who:
            self._nodes[name].collect()

    # --- rosters ---

    async def _roster(self, fault: Fault) -> None:
        roster = self._oracle.newest_roster
        change = ("prefix", "revoke", "epoch", "floor", "remove", "add")[int(fault.draw * 5.999)]
        if change == "add":
            roster = parties.following(roster, nodes=(*roster.nodes, self._enlist()))
        elif change == "remove":
            if len(roster.nodes) <= _NODES_MIN:
                return
            roster = parties.without_node(roster, fault.who[0])
        elif change == "prefix":
            has_both = len(roster.prefixes) == len(parties.PREFIXES)
            roster = parties.following(roster, prefixes=parties.PREFIXES[:1] if has_both else parties.PREFIXES)
        elif change == "revoke":
            roster = parties.without_key(roster, "bob")
        elif change == "epoch":
            roster = parties.following(roster, epoch=roster.epoch + 1)
        else:
            roster = parties.following(roster, floors={"shop": Version(roster.epoch_of("shop"), 3)})
        self._oracle.rostered(roster)
        sealed = roster.seal([parties.root()])
        self._begin(sealed)
        await self._renew(sealed)

    async def _voucher(self, _fault: Fault) -> None:
        """No fault by itself: a node comes that no roster has. One of its seeds may lie, another be removed."""
        nodes = self._oracle.newest_roster.nodes
        seeds = self._rng.sample(nodes, min(len(nodes), VOUCHER_SEED_COUNT_MAX))
        number = len(self._world.machines)
        self._let_in(number, parties.voucher(number, seeds))

    def _enlist(self) -> RosterNode:
        """A node that was not there before."""
        self._added = len(self._world.machines)
        return parties.node(self._added)

    def _begin(self, roster: bytes) -> None:
        if self._added is not None:
            added, self._added = self._added, None
            self._begin_node(added, roster)

    # --- inside ---

    def _other(self, name: str) -> str:
        return self._rng.choice([each for each in self._nodes if each != name])


_KINDS: Mapping[str, Callable[[Chaos, Fault], Awaitable[None]]] = {
    "partition": Chaos._partition,
    "one-way": Chaos._one_way,
    "stall": Chaos._stall,
    "slow": Chaos._slow,
    "cut": Chaos._cut,
    "swizzle": Chaos._swizzle,
    "kill": Chaos._kill,
    "power": Chaos._power,
    "crash-at-operation": Chaos._crash_at_operation,
    "crash-at-await": Chaos._crash_at_await,
    "away": Chaos._away,
    "ill": Chaos._ill,
    "drain": Chaos._drain,
    "full": Chaos._full,
    "failing": Chaos._failing,
    "lie": Chaos._lie,
    "rot": Chaos._rot,
    "clock": Chaos._clock,
    "collect": Chaos._collect,
    "roster": Chaos._roster,
    "voucher": Chaos._voucher,
}

KINDS = tuple(_KINDS)
"""All that there are."""
