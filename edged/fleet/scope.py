"""Triggers of which one node takes its turn for a region, or for the whole fleet. Sans-IO.

    triggers served here ── set ──┐                        ┌──> duties: which tick to call now, where to listen
    reports of other nodes ─ look ┼─> Shares, one a trigger┤
    calls begun and ended ────────┘                        └──> report: what others are to know of it

All nodes that say in their reports that they have a trigger stand in an order for it: by a hash of trigger and node
(rendezvous hashing), so that each node can tell the order by itself, and one that comes or goes moves nothing else.

- **A tick** is called by the first of them. The next one calls a tick that is `SCOPE_TAKEOVER_S` old, if nobody got on
  with them for as long, and so on; one that is silent no longer stands in the order. What a node knows to be done is an
  interval of time in which no tick was left out, and the first `SCOPE_RANK_MAX` pass it on. So a tick that is not done
  is forgotten only with the last node that had the trigger when it came, or when it is `SCOPE_LATE_S_MAX` old.
- **A channel** is listened to by the first. Another one listens until an earlier one says that it does, since a message
  that comes twice is better than one that nobody hears.

Reports are advice from clocks and networks that may be wrong: whatever they say, the worst is that something is called
twice, or that a node which lies is believed for `SCOPE_SKEW_S_MAX` beyond its last word.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from edged.limits import (
    SCOPE_LATE_S_MAX,
    SCOPE_LISTEN_S,
    SCOPE_ORDER_S,
    SCOPE_RANK_MAX,
    SCOPE_SETTLE_S,
    SCOPE_SKEW_S_MAX,
    SCOPE_TAKEOVER_S,
    SCOPE_TRIGGER_COUNT_MAX,
)

NextTick = Callable[[int], int | None]
"""The first tick later than a moment; None if there is none. Unix time, s."""

_WEIGHTS_KEPT = 65_536
"""Of triggers and nodes: each is needed every second, and takes 1 us to compute. 10 MiB."""

TriggerId = tuple[str, str]
"""Name of the app, id of the trigger."""


@dataclass(frozen=True, slots=True)
class TriggerReport:
    """What a node says of a trigger that it shares with others. Unix time, s.

    Attributes:
        since, done: every tick after the one and up to the other was called by somebody, or given up.
        active: the tick that is being called; for a channel 1 while it is listened to; 0 for neither.
    """

    since: int = 0
    done: int = 0
    active: int = 0


@dataclass(frozen=True, slots=True)
class ScopedTrigger:
    """A trigger that is served here.

    Attributes:
        expression: of its schedule; "" for a channel.
        next_tick: of it; None for a channel.
    """

    app: str
    id: str
    scope: Literal["region", "fleet"]
    expression: str = ""
    next_tick: NextTick | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """What the nodes call it among each other: 32 hex digits. With another schedule it is another trigger: a
        release that changes the schedule must not take what the old one called for its own."""
        text = "\n".join((self.app, self.id, self.scope, self.expression))  # none of them has a line end
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Heard:
    """Another node, and what its newest report says.

    Attributes:
        is_up: heard of lately. What a silent one has done stays done.
    """

    name: str
    region: str
    triggers: Mapping[str, TriggerReport]
    is_up: bool = True


@dataclass(frozen=True, slots=True)
class Duty:
    """What this node does for a trigger now.

    Attributes:
        tick: to be called, unix s; 0 for none.
        order: number of that order; a greater one is another order, also for the same tick.
        listen: to a channel.
    """

    tick: int = 0
    order: int = 0
    listen: bool = False


def order(key: str, names: Iterable[str]) -> list[str]:
    """Who comes first, who next: rendezvous hashing."""
    return sorted(names, key=lambda name: (_weight(key, name), name))


@functools.lru_cache(_WEIGHTS_KEPT)
def _weight(key: str, name: str) -> bytes:
    return hashlib.sha256(f"{key}\n{name}".encode()).digest()


@dataclass(slots=True)
class _Share:
    """One trigger on this node. Names that end in `_at` are times of the monotonic clock."""

    trigger: ScopedTrigger
    key: str
    weight: bytes
    here_at: float
    since: int
    done: int
    said: TriggerReport
    """What others were told last of what is done."""
    gone_at: float | None = None
    duty: Duty = field(default_factory=Duty)
    ordered_at: float = -math.inf
    moved_at: float = -math.inf
    """When another node was last at a tick that is to be done, or had done one."""
    under_way: int = 0
    listening: bool = False
    unheard_at: float | None = None
    found: tuple[int, int | None] | None = None
    """A moment, and the first tick later than it: a leap day that is a Monday takes milliseconds to find."""

    def next_tick(self, after: int) -> int | None:
        """The first tick later than a moment; None if there is none."""
        known = self.found
        if known is None or after < known[0] or (known[1] is not None and after >= known[1]):
            assert self.trigger.next_tick is not None
            self.found = known = after, self.trigger.next_tick(after)
        return known[1]


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Ticks that nobody called in time: those after `since` and up to `until`, unix s."""

    trigger: ScopedTrigger
    since: int
    until: int


class Shares:
    """See the module. `now` is of one monotonic clock, `wall` unix time; both in s.

    Args:
        name: of this node.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._shares: dict[TriggerId, _Share] = {}
        self._orders = 0

    def set(self, triggers: Iterable[ScopedTrigger], now: float, wall: float) -> None:
        """These are served here, and no others. What is known of one that has gone is kept for a while: its app may be
        swapped, or its worker started again."""
        here = {(each.app, each.id): each for each in triggers}
        for id_, share in list(self._shares.items()):
            if here.get(id_) != share.trigger and share.gone_at is None:
                share.gone_at, share.duty, share.listening = now, Duty(), False
            if share.gone_at is not None and now - share.gone_at > SCOPE_LATE_S_MAX:
                del self._shares[id_]
        for id_, trigger in here.items():
            known = self._shares.get(id_)
            if known is None or known.trigger != trigger:
                key, at = trigger.key, int(wall)
                self._shares[id_] = _Share(trigger, key, _weight(key, self._name), now, at, at, TriggerReport(at, at))
            elif known.gone_at is not None:
                if now - known.gone_at > SCOPE_SETTLE_S:
                    known.here_at = now
                known.gone_at = None

    def begun(self, id_: TriggerId, tick: int) -> None:
        """A worker is about to call it."""
        share = self._shares.get(id_)
        if share is not None:
            share.under_way = tick

    def ended(self, id_: TriggerId, tick: int) -> None:
        """The call has ended, however; also with its worker. It is not made again here."""
        share = self._shares.get(id_)
        if share is not None and share.under_way == tick:
            share.under_way = 0
            share.done = max(share.done, tick)
            share.said = TriggerReport(share.since, share.done)
            share.duty = Duty()

    def set_listening(self, ids: Iterable[TriggerId]) -> None:
        """These channels are listened to at this moment."""
        listening = set(ids)
        for id_, share in self._shares.items():
            share.listening = id_ in listening

    def look(self, heard: Sequence[Heard], region: str, now: float, wall: float) -> list[GivenUp]:
        """Find out what there is to be done.

        Args:
            heard: the other nodes.
            region: of this node.
        """
        given_up: list[GivenUp] = []
        having: dict[str, list[Heard]] = {}
        for each in heard:
            for key in each.triggers:
                having.setdefault(key, []).append(each)
        for share in self._shares.values():
            if share.gone_at is not None:
                continue
            others = having.get(share.key, [])
            if share.trigger.scope == "region":
                others = [each for each in others if each.region == region]
            if share.trigger.next_tick is None:
                self._look_at_channel(share, others, now)
            else:
                found = self._look_at_ticks(share, others, now, wall)
                given_up += [found] if found is not None else []
        return given_up

    def duties(self) -> dict[TriggerId, Duty]:
        """Of each trigger that is here."""
        return {id_: share.duty for id_, share in self._shares.items() if share.gone_at is None}

    def report(self) -> dict[str, TriggerReport]:
        """What other nodes are to know, by key. A trigger that finds no room is not shared: each node calls it."""
        present = [share for share in self._shares.values() if share.gone_at is None][:SCOPE_TRIGGER_COUNT_MAX]
        return {share.key: _reported(share) for share in present}

    def wake_at(self, wall: float) -> float:
        """When a tick comes due here, if nothing changes until then; unix s, infinite for never."""
        due = (_next_due(share) for share in self._shares.values() if share.gone_at is None)
        return min((at for at in due if at > wall), default=math.inf)

    # --- ticks ---

    def _look_at_ticks(self, share: _Share, others: Sequence[Heard], now: float, wall: float) -> GivenUp | None:
        given_up = _learn(share, others, now, wall)
        rank = min(_rank(share, others), SCOPE_RANK_MAX)
        if rank < SCOPE_RANK_MAX:
            # The first few pass on what they know. If all nodes did, each tick would be news of the whole fleet.
            share.said = TriggerReport(share.since, share.done)
        if share.under_way:
            return given_up
        tick = share.next_tick(share.done)
        if tick is None or now - share.here_at < SCOPE_SETTLE_S:
            share.duty = Duty()
            return given_up
        if any(_is_at(each.triggers[share.key], tick, wall) for each in others if each.is_up):
            share.moved_at = now
        wait_s = rank * SCOPE_TAKEOVER_S
        # Others that get on, however late, are left to it: calls that take long must not be made by ever more nodes.
        if wall < tick + wait_s or now < share.moved_at + wait_s:
            share.duty = Duty()
        elif share.duty.tick != tick or now - share.ordered_at >= SCOPE_ORDER_S:
            # Told anew if nobody began: the worker that was told may have ended before it could.
            self._orders += 1
            share.duty, share.ordered_at = Duty(tick, self._orders), now
        return given_up

    # --- channels ---

    def _look_at_channel(self, share: _Share, others: Sequence[Heard], now: float) -> None:
        earlier = [each for each in others if each.is_up and _comes_before(each, share)]
        if any(each.triggers[share.key].active for each in earlier):
            share.duty, share.unheard_at = Duty(), None
            return
        if share.unheard_at is None:
            share.unheard_at = now
        wait_s = min(len(earlier), SCOPE_RANK_MAX) * SCOPE_LISTEN_S
        if share.duty.listen or now - share.unheard_at >= wait_s:
            share.duty = Duty(listen=True)


def _learn(share: _Share, others: Sequence[Heard], now: float, wall: float) -> GivenUp | None:
    """Bring what is known to be done up to what others know, and past what is too old to be done."""
    oldest, latest = int(wall - SCOPE_LATE_S_MAX), wall + SCOPE_SKEW_S_MAX
    if share.done > latest:
        share.since = share.done = oldest  # our clock was set back: what we did in its future is to be done again
    known = [each for each in (other.triggers[share.key] for other in others) if each.done <= latest]
    known.sort(key=lambda each: each.since)
    before = share.done
    share.since = min((each.since for each in known if each.since <= share.since <= each.done), default=share.since)
    share.done = max(share.done, oldest)
    for each in known:
        if each.done <= share.done:
            continue
        tick = share.next_tick(share.done)
        if tick is not None and share.done < each.since and tick <= each.since:
            break  # nobody says that this tick is done
        if tick is not None and tick <= each.done:
            share.moved_at = now
        share.done = each.done
    if before >= oldest or share.under_way or any(each.since <= oldest <= each.done for each in known):
        return None
    tick = share.next_tick(before)
    return None if tick is None or tick > oldest else GivenUp(share.trigger, before, oldest)


def _is_at(report: TriggerReport, tick: int, wall: float) -> bool:
    """Whether a node calls that tick, or a later one after it. One that came later than the tick never gets to it."""
    return report.since < tick <= report.active <= wall + SCOPE_SKEW_S_MAX


def _rank(share: _Share, others: Sequence[Heard]) -> int:
    return sum(each.is_up and _comes_before(each, share) for each in others)


def _comes_before(other: Heard, share: _Share) -> bool:
    return _weight(share.key, other.name) < share.weight


def _reported(share: _Share) -> TriggerReport:
    active = share.under_way if share.trigger.next_tick is not None else int(share.listening)
    return replace(share.said, active=active)


def _next_due(share: _Share) -> float:
    tick = None if share.trigger.next_tick is None else share.next_tick(share.done)
    return math.inf if tick is None else float(tick)
