"""How news get around in a fleet of any size: the production cores of a thousand nodes in one process.

    heap of events ── (when, what) ──> FleetState, Round, Answers, Board, Neighbours of one node ──> more events

The world of `tests.simulator.world` runs whole nodes, and some fifty of them. Here is only what decides how records and
reports spread, without streams, tasks and threads: a call is an event at the other end after half a round trip, and its
answer one here after the other half. Records are real ones, signed and verified at every node; messages are as long as
`edged.fleet.frame` makes them. Not in it: TLS (22 bytes for each message), TCP, and what a processor takes.

A figure belongs to a `Design`: how many links a node keeps, and whether reports go to who lacks them or to everybody.
"""

from __future__ import annotations

import copy
import heapq
import math
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import msgpack

from edged.fleet.beats import encode_beats
from edged.fleet.board import Board
from edged.fleet.certificate import Identity, make_identity
from edged.fleet.deployment import Deployment
from edged.fleet.frame import encode_frame
from edged.fleet.neighbours import Neighbours
from edged.fleet.peer import Peer
from edged.fleet.record import Key as RecordKey
from edged.fleet.report import AppReport, NodeReport
from edged.fleet.roster import Key, Node, Region, Roster
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore, Stored
from edged.fleet.sync import Answers, Ask, Round
from edged.fleet.view import Record
from edged.limits import (
    BEATS_PEER_COUNT,
    LINK_CHOSEN_COUNT,
    LINK_KEPT_MAX,
    LINK_NEAR_COUNT,
    LINK_PING_INTERVAL_S,
    LINK_TURN_S,
    NODE_COUNT_MAX,
    REPORT_INTERVAL_S_HIGHEST,
    REPORT_INTERVAL_S_LOWEST,
    REPORTS_BYTES_MAX,
    SPREAD_PEER_COUNT,
    SYNC_INTERVAL_S_HIGHEST,
    SYNC_INTERVAL_S_LOWEST,
)
from registry.digest import digest_of
from registry.keys import SigningKey

NOW = 1_800_000_000.0
REGIONS = ("eu-1", "us-1", "us-2", "ap-1", "sa-1")
NEAR_S = 0.002  # there and back within a region
FAR_S = (0.080, 0.250)  # and between two
STORE_S = 0.020  # until an accepted record is safe on a disk
_FLEET = "demo"


@dataclass(frozen=True, slots=True)
class Design:
    """What is compared.

    Attributes:
        kept_max: nodes of a fleet up to which each keeps a link to all others, and tells reports to everybody.
    """

    name: str
    kept_max: int


MESH = Design("a link to each", 10**9)
CHOSEN = Design("links to some", LINK_KEPT_MAX)


class Nowhere:
    """A store of records whose disk is not simulated: what a crash leaves is another simulation's question."""

    def save(self, record: Stored) -> None: ...

    def save_ledger(self, data: bytes) -> None: ...

    def remove(self, key: RecordKey) -> None: ...

    def history(self, key: RecordKey) -> list[Stored]:
        return []


class Fleet:
    """So many nodes, their network and its clock.

    Args:
        apps: that all nodes have when it begins.
        folder: where the first node's records are put while it is made.

    Attributes:
        now: s since the beginning.
        bytes: sent, by call; requests and answers.
        messages: of them, by call.
    """

    def __init__(self, count: int, design: Design, seed: int, folder: Path, *, apps: int = 20) -> None:
        self.rng = random.Random(seed)
        self.design = design
        self.now = 0.0
        self.bytes: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._report_bytes: dict[tuple[str, int, int], int] = {}
        self._far = {(one, other): self.rng.uniform(*FAR_S) for one in range(len(REGIONS)) for other in range(one)}
        self.operator = make_identity("operator", now=NOW)
        template = _state(min(count, NODE_COUNT_MAX), self.operator, folder, apps)
        peers = [
            Peer(f"node-{number}", "node", f"sha256:{number}", regions=(_region(number),)) for number in range(count)
        ]
        self.places = [Place(self, number, peers, template) for number in range(count)]

    def at(self, delay_s: float, what: Callable[[], None]) -> None:
        """Do it after so long."""
        self._number += 1
        heapq.heappush(self._events, (self.now + delay_s, self._number, what))

    def run_until(self, when: float, is_done: Callable[[], bool] = lambda: False) -> None:
        """Let happen what happens until then, or until it is done."""
        while self._events and self._events[0][0] <= when and not is_done():
            self.now, _, what = heapq.heappop(self._events)
            what()
        if not is_done():
            self.now = when

    def one_way_s(self, one: int, other: int) -> float:
        """From one node to another one."""
        here, there = one % len(REGIONS), other % len(REGIONS)
        both_s = NEAR_S if here == there else self._far[max(here, there), min(here, there)]
        return both_s / 2 * self.rng.uniform(1, 1.2)

    def call(
        self,
        here: Place,
        there: Place,
        name: str,
        sent: int,
        answer: Callable[[], tuple[Any, int]],
        then: Callable[[Any], None],
    ) -> None:
        """One call.

        Args:
            sent: bytes of the request's arguments.
            answer: at the other end, when it has come there: what is answered, and its bytes.
            then: here, with the answer.
        """

        def arrives() -> None:
            value, back = answer()
            self._count(name, _ANSWER_BYTES + back)
            self.at(self.one_way_s(there.number, here.number), lambda: then(value))

        self._count(name, _REQUEST_BYTES + len(name) + sent)
        self.at(self.one_way_s(here.number, there.number), arrives)

    def bytes_of(self, report: NodeReport) -> int:
        """Of a report in a message."""
        key = report.node, report.incarnation, report.beat
        if key not in self._report_bytes:
            if len(self._report_bytes) > 100_000:
                self._report_bytes.clear()
            self._report_bytes[key] = len(msgpack.packb(report.encode()))
        return self._report_bytes[key]

    def _count(self, name: str, size: int) -> None:
        self.bytes[name] += size
        self.messages[name] += 1


class Place:
    """One node: what of it takes part in spreading."""

    def __init__(self, fleet: Fleet, number: int, peers: Sequence[Peer], template: FleetState) -> None:
        self.number = number
        self.name = peers[number].name
        self.region = _region(number)
        self.state = _replica(template, self._accepted)
        self.board = Board(self.name, lambda _name: True, 0.0)
        self.is_large = len(peers) > fleet.design.kept_max
        self.heard: Callable[[Place], None] = lambda _place: None
        self._fleet = fleet
        self._rng = random.Random(fleet.rng.random())
        self._answers = Answers(self.state)
        self._neighbours = Neighbours(
            self._rng,
            kept_max=fleet.design.kept_max,
            chosen_count=LINK_CHOSEN_COUNT,
            near_count=LINK_NEAR_COUNT,
        )
        self._neighbours.set([peer for peer in peers if peer is not peers[number]], peers[number].regions)
        self._links: list[int] = []
        self._look()
        self.report = NodeReport(self.name, self.region, 1, 0, NOW, "1.0", 1, "0" * 32)

    @property
    def link_count(self) -> int:
        """That it opened."""
        return len(self._links)

    def _look(self) -> None:
        self._links = [_number(peer) for peer in self._neighbours.chosen]

    def _some(self, count: int) -> list[Place]:
        return [self._fleet.places[at] for at in self._rng.sample(self._links, min(count, len(self._links)))]

    def turn_forever(self) -> None:
        """As `edged.fleet.client.Peers` does."""

        def turn() -> None:
            chosen = self._neighbours.chosen
            self._neighbours.turn({p: 2 * self._fleet.one_way_s(self.number, _number(p)) for p in chosen})
            self._look()
            self.turn_forever()

        if not self._neighbours.is_all:
            self._fleet.at(LINK_TURN_S * self._rng.uniform(0.5, 1.5), turn)

    # --- records, as `edged.fleet.gossip` does ---

    def accept(self, data: bytes) -> str:
        """A record that came here."""
        return self.state.accept(data, NOW).kind

    def _accepted(self, record: Record) -> None:
        self._fleet.at(STORE_S, lambda: self._spread(record))

    def _spread(self, record: Record) -> None:
        self.heard(self)
        size = _bytes({"records": [record.envelope]})
        for there in self._some(SPREAD_PEER_COUNT):
            self._fleet.call(
                self,
                there,
                "offer",
                size,
                lambda there=there: _answered({"outcomes": [there.accept(record.envelope)]}),  # type: ignore[misc]
                lambda _answer: None,
            )

    def compare_forever(self) -> None:
        """From now on, every 5 to 15 s."""

        def compare() -> None:
            for there in self._some(1):
                self._compare(there)
            self.compare_forever()

        self._fleet.at(self._rng.uniform(SYNC_INTERVAL_S_LOWEST, SYNC_INTERVAL_S_HIGHEST), compare)

    def _compare(self, there: Place) -> None:
        comparison = Round(self.state)

        def ask(one: Ask | None) -> None:
            if one is not None:
                self._fleet.call(self, there, one.call, _bytes(one.args), lambda: _answered(there._answer(one)), takes)

        def takes(answer: Any) -> None:
            ask(comparison.take(answer, NOW))

        ask(comparison.start())

    def _answer(self, ask: Ask) -> Any:
        args: Mapping[str, Any] = ask.args
        if ask.call == "heads":
            return self._answers.heads(args["hash"])
        if ask.call == "buckets":
            return self._answers.buckets(args["indexes"])
        if ask.call == "records":
            return self._answers.records([RecordKey(*key) for key in args["keys"]])
        return {"outcomes": [outcome.kind for outcome in self._answers.offer(args["records"], NOW)]}

    # --- reports, likewise ---

    def beat(self) -> NodeReport:
        """Its own report as it is now. What is counted differs each time."""
        self.report = replace(self.report, beat=self.report.beat + 1, requests_s=self._rng.uniform(0, 500))
        self.board.put(self.report, self._fleet.now)
        return self.report

    def report_forever(self) -> None:
        """From now on, every 2 to 5 s."""

        def tell() -> None:
            self.beat()
            for there in self._some(BEATS_PEER_COUNT if self.is_large else 1):
                self._tell_by_need(there) if self.is_large else self._tell(there)
            self.report_forever()

        self._fleet.at(self._rng.uniform(REPORT_INTERVAL_S_LOWEST, REPORT_INTERVAL_S_HIGHEST), tell)

    def _take(self, reports: Sequence[NodeReport], sender: str) -> None:
        self.board.merge(reports, sender, self._fleet.now)
        self.heard(self)

    def _tell(self, there: Place) -> None:
        sent = self.board.fitting(REPORTS_BYTES_MAX)

        def answer() -> tuple[list[NodeReport], int]:
            there._take(sent, self.name)
            there.beat()
            back = there.board.fitting(REPORTS_BYTES_MAX)
            return back, self._bytes_of(back)

        self._fleet.call(
            self, there, "reports", self._bytes_of(sent), answer, lambda back: self._take(back, there.name)
        )

    def _tell_by_need(self, there: Place) -> None:
        news, beats = self.board.news(self._fleet.now, REPORTS_BYTES_MAX), self.board.beats()

        def answer() -> tuple[Any, int]:
            there._take(news, self.name)
            there.board.hear(beats, self._fleet.now)
            back, ours = there.board.lacking(beats, REPORTS_BYTES_MAX), there.board.beats()
            return (back, ours), _bytes({"beats": encode_beats(ours)}) + self._bytes_of(back)

        def takes(value: Any) -> None:
            self._take(value[0], there.name)
            self.board.hear(value[1], self._fleet.now)

        size = _bytes({"beats": encode_beats(beats)}) + self._bytes_of(news)
        self._fleet.call(self, there, "beats", size, answer, takes)

    def _bytes_of(self, reports: Sequence[NodeReport]) -> int:
        return _bytes({"reports": []}) + sum(map(self._fleet.bytes_of, reports))


# --- what is asked of it ---


@dataclass(frozen=True, slots=True)
class RecordSpread:
    """A release's record in one fleet.

    Attributes:
        half_s, most_s, all_s: until so many nodes had it on disk: 50 %, 99 %, all.
        record_bytes: of the record.
        bytes_per_node: that were sent for it: offers, and comparisons that found a difference.
        idle_bytes_s: of one node and second while nothing changes: comparisons and pings.
    """

    nodes: int
    design: str
    links: float
    half_s: float
    most_s: float
    all_s: float
    record_bytes: int
    bytes_per_node: float
    idle_bytes_s: float


def record_spread(count: int, design: Design, seed: int, folder: Path, *, apps: int = 20) -> RecordSpread:
    """One release is published at one node; how it gets to all others."""
    fleet = Fleet(count, design, seed, folder, apps=apps)
    for place in fleet.places:
        place.compare_forever()
        place.turn_forever()
    warm_s = 2 * SYNC_INTERVAL_S_HIGHEST
    fleet.run_until(warm_s)
    links = sum(place.link_count for place in fleet.places) / count
    compared = fleet.bytes.total() / warm_s / count
    idle = fleet.messages["heads"]
    assert set(fleet.bytes) <= {"heads"}, "all nodes have the same"
    idle_message = fleet.bytes["heads"] / max(1, idle)

    had: list[float] = []
    for place in fleet.places:
        place.heard = lambda _place: had.append(fleet.now - warm_s)
    fleet.bytes.clear()
    fleet.messages.clear()
    record = _deployment("app-0", 2).seal(fleet.operator.key)
    assert fleet.places[0].accept(record) == "accepted"
    fleet.run_until(warm_s + 600, lambda: len(had) == count)
    assert len(had) == count, f"{count - len(had)} nodes of {count} have not heard of it in ten minutes"
    assert all(place.state.deployments()["app-0"].sequence == 2 for place in fleet.places)
    spent = fleet.bytes.total() - fleet.messages["heads"] * idle_message
    return RecordSpread(
        count,
        design.name,
        links,
        had[math.ceil(count / 2) - 1],
        had[math.ceil(count * 0.99) - 1],
        had[-1],
        len(record),
        spent / count,
        compared + 2 * 2 * links * _PING_BYTES / LINK_PING_INTERVAL_S,
    )


@dataclass(frozen=True, slots=True)
class ReportSpread:
    """Reports in one fleet in which all nodes live.

    Attributes:
        half_s, most_s, all_s: until so many boards said that a release is live at one node; infinite: not in the time.
        bytes_s: that one node sent in a second.
        silent: share of nodes that seemed silent, of all boards and moments looked at.
        report_bytes: of one.
    """

    nodes: int
    design: str
    half_s: float
    most_s: float
    all_s: float
    bytes_s: float
    silent: float
    report_bytes: int


def report_spread(count: int, design: Design, seed: int, folder: Path, *, apps: int = 20) -> ReportSpread:
    """All nodes have heard of all others; then one of them has news, and the rest goes on."""
    fleet = Fleet(count, design, seed, folder, apps=1)
    running = {f"app-{number}": AppReport(1, 1, digest_of(b"1"), "live") for number in range(apps)}
    for place in fleet.places:
        place.report = replace(place.report, apps=running)
    first = [place.beat() for place in fleet.places]
    for place in fleet.places:
        place.board.merge(first, "", 0.0)
        place.report_forever()
    fleet.run_until(_WARM_S)
    fleet.bytes.clear()

    teller = fleet.places[0]
    had: dict[int, float] = {}

    def heard(place: Place) -> None:
        report = place.board.get(teller.name)
        if place.number not in had and report is not None and report.apps["app-0"].running == 2:
            had[place.number] = fleet.now - _WARM_S

    for place in fleet.places:
        place.heard = heard
    changed = running | {"app-0": AppReport(2, 2, digest_of(b"2"), "live")}
    teller.report = replace(teller.report, apps=changed)
    teller.beat()
    heard(teller)
    names = [place.name for place in fleet.places]
    silent = looked = 0
    for second in range(1, _LOOKED_S + 1):
        fleet.run_until(_WARM_S + second)
        for place in fleet.places[:: max(1, count // 20)]:
            states = [seen.state for seen in place.board.seen(names, fleet.now)]
            silent += states.count("silent")
            looked += count
    sent = fleet.bytes.total() / _LOOKED_S / count
    times = sorted(had.values()) + [math.inf] * (count - len(had))
    return ReportSpread(
        count,
        design.name,
        times[math.ceil(count / 2) - 1],
        times[math.ceil(count * 0.99) - 1],
        times[-1],
        sent,
        silent / looked,
        fleet.bytes_of(teller.report),
    )


_WARM_S = 20  # longer than REPORT_UP_S: nobody lives on what he was told at the beginning
_LOOKED_S = 30


# --- how it is made ---


def _region(number: int) -> str:
    return REGIONS[number % len(REGIONS)]


def _number(peer: Peer) -> int:
    return int(peer.name.removeprefix("node-"))


def _deployment(app: str, sequence: int) -> Deployment:
    release = digest_of(f"{app} {sequence}".encode())
    return Deployment(_FLEET, app, 1, sequence, dict.fromkeys(REGIONS, release), hosts=(f"{app}.example",))


def _state(count: int, operator: Identity, folder: Path, apps: int) -> FleetState:
    """A node's that has the roster and all apps."""
    root = SigningKey.generate()
    nodes = tuple(
        Node(
            f"node-{number}",
            _region(number),
            f"node-{number}.example:7400",
            make_identity(f"node-{number}", now=NOW).certificate,
            f"https://node-{number}.example",
        )
        for number in range(count)
    )
    roster = Roster(
        fleet=_FLEET,
        epoch=1,
        version=1,
        previous="",
        domain="demo.example",
        regions=tuple(map(Region, REGIONS)),
        nodes=nodes,
        keys=(Key("operator", operator.certificate, frozenset({"deploy"}), ("*",), ()),),
        root_keys=(root.public.raw,),
        threshold=1,
    )
    state = FleetState(RecordStore(folder), now=NOW)
    outcome = state.begin(roster.seal([root]), NOW)
    assert outcome.kind == "accepted", outcome
    for number in range(apps):
        outcome = state.accept(_deployment(f"app-{number}", 1).seal(operator.key), NOW)
        assert outcome.kind == "accepted", outcome
    return state


def _replica(template: FleetState, accepted: Callable[[Record], None]) -> FleetState:
    """Another node's that knows the same, without reading, parsing and verifying it a thousand times."""
    made = copy.copy(template)
    made._store = cast("RecordStore", Nowhere())
    made._tell = accepted
    made._lock = threading.Lock()
    for name in ("_outcomes", "_codes", "_refused", "_highest", "_alarms"):
        setattr(made, name, copy.copy(getattr(template, name)))
    return made


def _bytes(args: object) -> int:
    return len(msgpack.packb(args))


def _answered(value: object) -> tuple[Any, int]:
    return value, _bytes(value)


_REQUEST_BYTES = (
    len(encode_frame({"id": 1_000, "call": "", "args": None})) - 1
)  # the name and the arguments come on top
_ANSWER_BYTES = len(encode_frame({"id": 1_000, "ok": None})) - 1
_PING_BYTES = len(encode_frame({"ping": 1_000}))
