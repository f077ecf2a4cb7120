"""Shared triggers in a small world: the production core and the production board on each node, a network that may be
cut in any way, nodes that die, come back and join, clocks that are set. One step is a second; all comes from a seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from edged.fleet.board import Board
from edged.fleet.report import NodeReport
from edged.fleet.scope import Heard, ScopedTrigger, Shares, order
from edged.limits import (
    REPORT_INTERVAL_S_HIGHEST,
    REPORT_INTERVAL_S_LOWEST,
    REPORT_UP_S,
    SCOPE_LATE_S_MAX,
    SCOPE_LISTEN_S,
    SCOPE_RANK_MAX,
    SCOPE_TAKEOVER_S,
)

EPOCH = 1_700_000_000 // 60 * 60
"""Unix time at the world's second 0."""

EVERY_S = 20


def every(after: int) -> int | None:
    return (after // EVERY_S + 1) * EVERY_S


TICKS = ScopedTrigger("app", "ticks", "fleet", f"*/{EVERY_S} * * * * *", every)
REGIONAL = ScopedTrigger("app", "regional", "region", f"*/{EVERY_S} * * * * *", every)
CHANNEL = ScopedTrigger("app", "channel", "fleet")


@dataclass(frozen=True)
class Call:
    """A guest was called."""

    node: str
    region: str
    trigger: str
    tick: int
    at: int


@dataclass
class Node:
    """What outlives a process: name, region, clock."""

    name: str
    region: str
    set_by: int = 0
    life: Life | None = None
    serves: bool = True


@dataclass
class Life:
    """One process."""

    shares: Shares
    board: Board
    incarnation: int
    began: int
    beat: int = 0
    next_report: float = 0.0
    orders: int = 0
    at: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Calls under way: tick, and when it ends."""
    listens: bool = False


class World:
    """A fleet.

    Args:
        run_s: the longest that a call takes.
    """

    def __init__(self, seed: int, nodes: Sequence[tuple[str, str]], run_s: int = 3) -> None:
        self.rng = random.Random(seed)
        self.nodes = {name: Node(name, region) for name, region in nodes}
        self.now = 0
        self.run_s = run_s
        self.calls: list[Call] = []
        self.heard_by: list[set[str]] = []
        """Who got the message of each second."""
        self.cut: Callable[[str, str], bool] = lambda _one, _other: False
        self.spans: list[tuple[str, int, int]] = []
        """Node, and from when to when it lived, served and had the right time."""
        self._since: dict[str, int] = {}
        for name in self.nodes:
            self.start(name)

    # --- what happens to it ---

    def start(self, name: str) -> None:
        board = Board(name, lambda _name: True, self.now)
        self.nodes[name].life = Life(Shares(name), board, self.now + 1, self.now, next_report=self.now)
        self._note(name)

    def kill(self, name: str) -> None:
        self.nodes[name].life = None
        self._note(name)

    def serve(self, name: str, serves: bool) -> None:
        self.nodes[name].serves = serves
        self._note(name)

    def set_clock(self, name: str, by: int) -> None:
        self.nodes[name].set_by = by
        self._note(name)

    def partition(self, *groups: Sequence[str]) -> None:
        where = {name: number for number, group in enumerate(groups) for name in group}
        self.cut = lambda one, other: where[one] != where[other]

    def heal(self) -> None:
        self.cut = lambda _one, _other: False

    def alive(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.life is not None]

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self._step()
            self.now += 1

    def end(self) -> None:
        for name in self.nodes:
            self._note(name, is_over=True)

    # --- what it does ---

    def _note(self, name: str, *, is_over: bool = False) -> None:
        """A span ends with each thing that happens to the node, and another may begin."""
        if name in self._since:
            self.spans.append((name, self._since.pop(name), self.now))
        node = self.nodes[name]
        if not is_over and node.life is not None and node.serves and not node.set_by:
            self._since[name] = self.now

    def _step(self) -> None:
        lives = [(node, node.life) for node in self.nodes.values() if node.life is not None]
        self.rng.shuffle(lives)
        for node, life in lives:
            self._work(node, life)
            if self.now >= life.next_report:
                life.next_report = self.now + self.rng.uniform(REPORT_INTERVAL_S_LOWEST, REPORT_INTERVAL_S_HIGHEST)
                self._gossip(node, life)
        self.heard_by.append({node.name for node, life in lives if life.listens})

    def _work(self, node: Node, life: Life) -> None:
        wall = EPOCH + self.now + node.set_by
        for id_, (tick, ends) in list(life.at.items()):
            if self.now >= ends:
                del life.at[id_]
                life.shares.ended(id_, tick)
        life.shares.set([TICKS, REGIONAL, CHANNEL] if node.serves else [], self.now, wall)
        life.shares.set_listening([("app", "channel")] if life.listens else [])
        life.shares.look(self._heard(life), node.region, self.now, wall)
        duties = life.shares.duties()
        fresh = sorted((duty.order, id_, duty.tick) for id_, duty in duties.items() if duty.order > life.orders)
        for number, id_, tick in fresh:
            life.orders = number
            if id_ not in life.at:
                life.shares.begun(id_, tick)
                life.at[id_] = tick, self.now + self.rng.randint(0, self.run_s)
                self.calls.append(Call(node.name, node.region, id_[1], tick - EPOCH, self.now))
        channel = duties.get(("app", "channel"))
        life.listens = channel is not None and channel.listen

    def _heard(self, life: Life) -> list[Heard]:
        seen = life.board.seen([name for name, node in self.nodes.items() if node.life is not life], self.now)
        return [
            Heard(each.name, each.report.region, each.report.triggers, each.state == "up")
            for each in seen
            if each.report is not None
        ]

    def _gossip(self, node: Node, life: Life) -> None:
        peers = [name for name in self.alive() if name != node.name and not self.cut(node.name, name)]
        if not peers:
            return
        peer = self.nodes[self.rng.choice(peers)]
        assert peer.life is not None
        for one in (node, peer):
            self._report(one)
        ours, theirs = life.board.all(), peer.life.board.all()
        peer.life.board.merge(ours, node.name, self.now)
        life.board.merge(theirs, peer.name, self.now)

    def _report(self, node: Node) -> None:
        life = node.life
        assert life is not None
        life.beat += 1
        report = NodeReport(
            node.name, node.region, life.incarnation, life.beat, float(self.now), triggers=life.shares.report()
        )
        life.board.put(report, self.now)

    # --- what is to be held ---

    def counts(self, trigger: str, region: str | None = None) -> Counter[int]:
        """Tick (world's second) -> how often it was called."""
        return Counter(call.tick for call in self.calls if call.trigger == trigger and region in (None, call.region))

    def witnessed(self, trigger: ScopedTrigger) -> dict[int, set[str]]:
        """Ticks in whose whole time a node could have called them, and the regions of such nodes."""
        found: dict[int, set[str]] = {}
        for name, since, until in self.spans:
            tick = every(EPOCH + since)
            while tick is not None and tick - EPOCH + SCOPE_LATE_S_MAX <= until:
                found.setdefault(tick - EPOCH, set()).add(self.nodes[name].region)
                tick = every(tick)
        return found

    def check_each_tick_was_called(self) -> None:
        """At least once, by somebody of its scope, while it was not too late."""
        late = {(call.trigger, call.tick): call.at - call.tick for call in reversed(self.calls)}
        for tick, regions in self.witnessed(TICKS).items():
            assert self.counts("ticks")[tick], f"nobody called {tick}"
            assert late["ticks", tick] <= SCOPE_LATE_S_MAX
            for region in regions:
                assert self.counts("regional", region)[tick], f"nobody of {region} called {tick}"


def fleet(count: int, regions: int = 2) -> list[tuple[str, str]]:
    return [(f"n{number}", f"r{number % regions}") for number in range(count)]


SETTLED_S = 60
"""After which all know of all."""


# --- nothing happens ---


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_without_faults_each_tick_is_called_once_and_at_once(count: int) -> None:
    world = World(count, fleet(count))
    world.run(SETTLED_S + 400)
    calls = [call for call in world.calls if SETTLED_S < call.tick <= SETTLED_S + 380]
    ticks = range(SETTLED_S + EVERY_S, SETTLED_S + 381, EVERY_S)
    assert Counter(call.tick for call in calls if call.trigger == "ticks") == dict.fromkeys(ticks, 1)
    for region in {region for _, region in fleet(count)}:
        regional = [call for call in calls if call.trigger == "regional" and call.region == region]
        assert Counter(call.tick for call in regional) == dict.fromkeys(ticks, 1)
    assert {call.at - call.tick for call in calls} == {0}
    assert all(world.heard_by[SETTLED_S:])
    if count < 10:  # of many, one may seem silent for a moment
        assert all(len(heard) == 1 for heard in world.heard_by[SETTLED_S:])


def test_calls_that_take_longer_than_a_takeover_are_not_made_twice() -> None:
    world = World(1, fleet(5), run_s=int(SCOPE_TAKEOVER_S * 4 / 3))
    world.run(600)
    assert max(call.at - call.tick for call in world.calls) > SCOPE_TAKEOVER_S
    assert set(world.counts("ticks").values()) == {1}


# --- one thing happens ---


def test_the_first_dies_and_the_next_takes_its_turn() -> None:
    world = World(2, fleet(5))
    world.run(SETTLED_S + 1)
    first, second = order(TICKS.key, world.alive())[:2]
    world.kill(first)
    world.run(200)
    after = [call for call in world.calls if call.trigger == "ticks" and call.tick > SETTLED_S]
    assert {call.node for call in after} == {second}
    assert {call.tick for call in after} >= set(range(80, 200, EVERY_S))
    assert max(call.at - call.tick for call in after) <= REPORT_UP_S + 2 * REPORT_INTERVAL_S_HIGHEST


def test_a_node_dies_at_a_call() -> None:
    """Nobody can know how far it came: it is called again."""
    world = World(3, fleet(5), run_s=0)
    world.run(SETTLED_S)
    first, second = order(TICKS.key, world.alive())[:2]
    world.run_s = 10_000
    world.run(EVERY_S)
    life = world.nodes[first].life
    assert life is not None
    tick, ends = life.at["app", "ticks"]
    assert ends > world.now
    world.run_s = 0
    world.kill(first)
    world.run(200)
    assert [call.node for call in world.calls if (call.trigger, call.tick + EPOCH) == ("ticks", tick)] == [
        first,
        second,
    ]


def test_one_that_joins_takes_its_turn_and_no_tick_is_called_twice() -> None:
    names = [name for name, _ in fleet(6)]
    first = order(TICKS.key, names)[0]
    world = World(4, [each for each in fleet(6) if each[0] != first])
    world.run(SETTLED_S)
    world.nodes[first] = Node(first, "r0")
    world.start(first)
    world.run(300)
    counts = world.counts("ticks")
    assert {counts[tick] for tick in range(SETTLED_S, 340, EVERY_S)} == {1}
    assert {call.node for call in world.calls if call.trigger == "ticks" and call.tick >= 200} == {first}
    assert all(world.heard_by[SETTLED_S:]), "a message was lost while a node joined"


def test_one_that_joins_and_is_always_at_a_call_costs_no_tick() -> None:
    """It comes right after a tick, which the other node did not call yet because it is new itself."""
    first, second = order(TICKS.key, [name for name, _ in fleet(2)])
    world = World(9, [(second, "r0")], run_s=0)
    world.kill(second)
    world.run(EVERY_S - 5)
    world.start(second)
    world.run(6)
    world.nodes[first] = Node(first, "r0")
    world.start(first)
    world.run_s = 3 * EVERY_S
    world.run(int(SCOPE_LATE_S_MAX) + 100)
    world.end()
    world.check_each_tick_was_called()
    assert [call.node for call in world.calls if (call.trigger, call.tick) == ("ticks", EVERY_S)] == [second]


def test_one_that_no_longer_has_the_app_leaves_it_to_the_next() -> None:
    world = World(5, fleet(5))
    world.run(SETTLED_S)
    first = order(TICKS.key, world.alive())[0]
    world.serve(first, False)
    world.run(400)
    world.end()
    world.check_each_tick_was_called()
    assert first not in {call.node for call in world.calls if call.tick > SETTLED_S + SCOPE_TAKEOVER_S}


def test_at_a_partition_each_side_calls_each_tick_and_afterwards_one_does() -> None:
    world = World(6, fleet(6, regions=1))
    world.run(SETTLED_S)
    world.partition(["n0", "n1", "n2"], ["n3", "n4", "n5"])
    world.run(400)
    counts = world.counts("ticks")
    assert {counts[tick] for tick in range(140, 380, EVERY_S)} == {2}
    assert all(len(heard) == 2 for heard in world.heard_by[SETTLED_S + int(REPORT_UP_S + SCOPE_LISTEN_S) + 20 : 440])
    world.heal()
    world.run(300)
    counts = world.counts("ticks")
    assert {counts[tick] for tick in range(520, 740, EVERY_S)} == {1}
    assert all(len(heard) == 1 for heard in world.heard_by[520:])
    world.end()
    world.check_each_tick_was_called()


def test_when_nobody_lives_nothing_is_called_and_not_much_later_either() -> None:
    world = World(7, fleet(3))
    world.run(SETTLED_S)
    for name in world.alive():
        world.kill(name)
    world.run(1000)
    assert max(world.counts("ticks")) < SETTLED_S
    for name in world.nodes:
        world.start(name)
    world.run(400)
    counts = world.counts("ticks")
    assert not any(counts[tick] for tick in range(80, 1060, EVERY_S))
    assert all(counts[tick] for tick in range(1080, 1440, EVERY_S))


@pytest.mark.parametrize("by", [-86_400, -90, -30, 30, 90, 86_400])
def test_a_wrong_clock_costs_no_tick(by: int) -> None:
    world = World(8, fleet(5))
    world.run(SETTLED_S)
    first = order(TICKS.key, world.alive())[0]
    world.set_clock(first, by)
    world.run(400)
    world.set_clock(first, 0)
    world.run(500)
    world.end()
    world.check_each_tick_was_called()
    counts = world.counts("ticks")
    assert {counts[tick] for tick in range(800, 940, EVERY_S)} == {1}


def test_messages_are_lost_only_until_the_next_one_listens() -> None:
    world = World(9, fleet(5))
    world.run(SETTLED_S)
    [first] = world.heard_by[-1]
    world.kill(first)
    world.run(100)
    silence = [second for second, heard in enumerate(world.heard_by) if second >= SETTLED_S and not heard]
    assert 0 < len(silence) <= REPORT_UP_S + 2 * REPORT_INTERVAL_S_HIGHEST + 2
    assert silence == list(range(silence[0], silence[0] + len(silence)))
    assert len(world.heard_by[-1]) == 1


# --- anything happens ---


def disturb(world: World) -> None:
    """One thing, of those that happen to fleets."""
    rng, names = world.rng, list(world.nodes)
    name = rng.choice(names)
    node = world.nodes[name]
    match rng.randrange(8):
        case 0:
            world.kill(name)
        case 1 | 2 if node.life is None:
            world.start(name)
        case 3:
            rng.shuffle(names)
            at = rng.randint(0, len(names))
            world.partition(names[:at], names[at:])
        case 4:
            world.heal()
        case 5:
            lonely = rng.sample(names, rng.randint(1, len(names)))
            world.cut = lambda one, other: one in lonely or other in lonely
        case 6:
            world.serve(name, not node.serves)
        case 7:
            world.set_clock(name, 0 if node.set_by else rng.choice([-86_400, -200, -20, 20, 200, 86_400]))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_each_tick_is_called_and_peace_returns(seed: int) -> None:
    rng = random.Random(seed)
    world = World(seed, fleet(rng.randint(2, 7)), run_s=rng.choice([0, 3, 15]))
    for _ in range(rng.randint(5, 30)):
        world.run(rng.randint(1, 60))
        disturb(world)
    world.heal()
    for name, node in world.nodes.items():
        world.set_clock(name, 0)
        world.serve(name, True)
        if node.life is None:
            world.start(name)
    world.run(int(SCOPE_LATE_S_MAX) + 200)
    quiet = world.now
    world.run(200)
    world.end()
    world.check_each_tick_was_called()
    ticks = [tick for tick in world.counts("ticks") if quiet - EVERY_S < tick <= world.now - 2 * EVERY_S]
    assert {world.counts("ticks")[tick] for tick in ticks} == {1}
    assert all(len(heard) == 1 for heard in world.heard_by[quiet:])
    assert max(world.counts("ticks").values()) <= len(world.nodes) * (SCOPE_RANK_MAX + 1)
