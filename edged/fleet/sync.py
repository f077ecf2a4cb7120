"""Bringing two nodes to the same records, whichever has the newer one. Sans-IO: questions out, answers in.

    this node (Round)                        a peer (Answers)
    heads {hash}            ──────────────>  equal, or a hash of each of 256 buckets
    buckets {indexes}       ──────────────>  the heads in those that differ
    records {keys}          ──────────────>  what is newer there, verified here as any record
    offer {records}         ──────────────>  what is newer here, verified there

Two nodes that know the same exchange 16 bytes. A round asks for nothing twice, so it ends whatever the peer answers;
what it did not get to is left to the next round. A peer can withhold, but neither change nor undo anything: records are
accepted by `FleetState` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edged.errors import ProtocolError
from edged.fleet.record import KINDS, Head, Key, Version
from edged.fleet.state import FleetState, Outcome
from edged.fleet.view import bucket_of, head_as_list
from edged.limits import (
    RECORD_BYTES_MAX,
    RECORD_COUNT_MAX,
    RECORDS_PER_MESSAGE_MAX,
    SYNC_BUCKET_COUNT,
    SYNC_HEAD_COUNT_MAX,
    SYNC_RECORD_BYTES_MAX,
    SYNC_ROUND_COUNT_MAX,
)
from registry.digest import parse_digest
from registry.errors import RegistryError
from registry.strict import Reader

_HASH_BYTES_MAX = 16
_NAME_BYTES_MAX = 64
_DIGEST_BYTES_MAX = 71


@dataclass(frozen=True, slots=True)
class Ask:
    """A call to make at the peer (docs/protocol.md)."""

    call: str
    args: Mapping[str, object]


class Answers:
    """What a node answers a peer's round with. Arguments are parsed already, and within the limits of messages."""

    def __init__(self, state: FleetState) -> None:
        self._state = state

    def heads(self, hash_: bytes) -> dict[str, object]:
        """`hash`, and `buckets`: 256 hashes, or none where the peer's hash is ours."""
        view = self._state.view
        same = view.heads_hash == hash_
        return {"hash": view.heads_hash, "buckets": [] if same else list(view.bucket_hashes)}

    def buckets(self, indexes: Sequence[int]) -> dict[str, object]:
        """`buckets`: pairs of index and heads, in the order asked for; fewer than asked for where they are too long."""
        found: list[object] = []
        count = 0
        for index in indexes[:SYNC_BUCKET_COUNT]:
            part = self._state.view.buckets[index % SYNC_BUCKET_COUNT]
            count += len(part)
            if count > SYNC_HEAD_COUNT_MAX and found:
                break
            found.append([index, [head_as_list(head) for head in part[:SYNC_HEAD_COUNT_MAX]]])
        return {"buckets": found}

    def records(self, keys: Sequence[Key]) -> dict[str, object]:
        """`records`: those that we have, in that order; a roster after those that lead to it. Fewer where they are too
        long together."""
        found: list[bytes] = []
        for key in keys[:RECORDS_PER_MESSAGE_MAX]:
            record = self._state.record(key)
            if record is not None and not record.is_orphaned:
                found += self._state.roster_chain() if key.kind == "roster" else [record.envelope]
        return {"records": list(_fitting(found))}

    def offer(self, records: Sequence[bytes], now: float) -> list[Outcome]:
        """What became of each record that a peer offers. Blocks, as `FleetState.accept` does."""
        return [self._state.accept(data, now) for data in records[:RECORDS_PER_MESSAGE_MAX]]


class Round:
    """One comparison with one peer, started here.

        ask = round.start()
        while ask is not None:
            ask = round.take(await call(ask), now)  # in a thread: blocks, as `FleetState.accept` does

    Attributes:
        outcomes: what became of the records that the peer gave.
        offered: how many the peer was offered.
    """

    def __init__(self, state: FleetState) -> None:
        self._state = state
        self._view = state.view
        self._asked = 0
        self._buckets: list[int] = []  # still to be asked for
        self._wanted: list[Key] = []
        self._newer_here: list[Key] = []
        self._waiting: Ask | None = None
        self.outcomes: list[Outcome] = []
        self.offered = 0

    def start(self) -> Ask:
        """The first question."""
        assert self._waiting is None  # a round is started once
        return self._ask("heads", {"hash": self._view.heads_hash})

    def take(self, answer: object, now: float) -> Ask | None:
        """Take the peer's answer to the last question. The next question; None when the round is over.

        Args:
            now: unix time, s.

        Raises:
            ProtocolError: the answer is none. What was accepted before stays.
        """
        assert self._waiting is not None  # nothing was asked
        try:
            self._TAKERS[self._waiting.call](self, answer, now)
        except RegistryError as error:
            raise ProtocolError(f"a peer's answer to {self._waiting.call!r}: {error.message}") from error
        self._waiting = None
        return self._next()

    def _next(self) -> Ask | None:
        if self._asked >= SYNC_ROUND_COUNT_MAX:
            return None
        if self._buckets:
            return self._ask("buckets", {"indexes": list(self._buckets)})
        if self._wanted:
            self._wanted.sort(key=_by_kind)  # a roster first: others may have to be looked at by it
            return self._ask("records", {"keys": [list(key) for key in self._wanted[:RECORDS_PER_MESSAGE_MAX]]})
        if self._newer_here:
            self._newer_here.sort(key=_by_kind)
            return self._offer()
        return None

    def _ask(self, call: str, args: dict[str, object]) -> Ask:
        self._asked += 1
        self._waiting = Ask(call, args)
        return self._waiting

    def _offer(self) -> Ask | None:
        records: list[bytes] = []
        while self._newer_here and len(records) < RECORDS_PER_MESSAGE_MAX:
            key = self._newer_here[0]
            record = self._state.record(key)
            more = [] if record is None else self._chain_or([record.envelope], key)
            if records and sum(map(len, records)) + sum(map(len, more)) > SYNC_RECORD_BYTES_MAX:
                break
            records += more
            del self._newer_here[0]
        self.offered += len(records)
        return self._ask("offer", {"records": list(_fitting(records))}) if records else None

    def _chain_or(self, records: list[bytes], key: Key) -> list[bytes]:
        return list(self._state.roster_chain()) if key.kind == "roster" else records

    # --- answers ---

    def _take_heads(self, answer: object, _now: float) -> None:
        reader = Reader(answer, "answer")
        reader.bytes_("hash", _HASH_BYTES_MAX)
        hashes = reader.array("buckets", SYNC_BUCKET_COUNT)
        reader.end()
        if not hashes:
            return
        if len(hashes) != SYNC_BUCKET_COUNT or not all(isinstance(one, bytes) for one in hashes):
            raise reader.refused("buckets", f"is not {SYNC_BUCKET_COUNT} hashes")
        ours = self._view.bucket_hashes
        self._buckets = [index for index, theirs in enumerate(hashes) if theirs != ours[index]]

    def _take_buckets(self, answer: object, _now: float) -> None:
        reader = Reader(answer, "answer")
        pairs = reader.array("buckets", SYNC_BUCKET_COUNT)
        reader.end()
        came: list[int] = []
        for pair in pairs:
            match pair:
                case [int(index), list(items)] if index in self._buckets and index not in came:
                    came.append(index)
                    self._compare(index, parse_heads(items, index))
                case _:
                    raise reader.refused("buckets", "has something that was not asked for")
        # A peer that gives none of what was asked for is not asked again.
        self._buckets = [index for index in self._buckets if index not in came] if came else []

    def _compare(self, index: int, theirs: dict[Key, Head]) -> None:
        ours = {head.key: head for head in self._view.buckets[index]}
        self._wanted += [key for key, head in theirs.items() if self._state.wants(head)]
        if len(self._wanted) > RECORD_COUNT_MAX:
            raise ProtocolError(f"a peer gives more than {RECORD_COUNT_MAX} heads")
        self._newer_here += [
            key for key, head in ours.items() if key not in theirs or head.version > theirs[key].version
        ]

    def _take_records(self, answer: object, now: float) -> None:
        reader = Reader(answer, "answer")
        records = reader.array("records", RECORDS_PER_MESSAGE_MAX)
        reader.end()
        asked = set(self._wanted[:RECORDS_PER_MESSAGE_MAX])
        came: set[Key | None] = set()
        for data in records:
            if not isinstance(data, bytes) or len(data) > RECORD_BYTES_MAX:
                raise reader.refused("records", "has something that is no record")
            outcome = self._state.accept(data, now)
            self.outcomes.append(outcome)
            came.add(outcome.key)
        # Whatever did not come because there was no room comes next; if nothing came, nothing will.
        gone = asked & came or asked
        self._wanted = [key for key in self._wanted if key not in gone]

    def _take_offer(self, _answer: object, _now: float) -> None:
        """The peer says what became of it; it is none of our concern."""

    _TAKERS: Mapping[str, Callable[[Round, object, float], None]] = {
        "heads": _take_heads,
        "buckets": _take_buckets,
        "records": _take_records,
        "offer": _take_offer,
    }


def parse_heads(items: list[object], index: int) -> dict[Key, Head]:
    """The heads of one bucket, as a peer says them.

    Raises:
        ProtocolError, RegistryError: they are none.
    """
    found: dict[Key, Head] = {}
    if len(items) > SYNC_HEAD_COUNT_MAX:
        raise ProtocolError(f"a peer gives more than {SYNC_HEAD_COUNT_MAX} heads at once")
    for item in items:
        if not isinstance(item, list) or len(item) != 5:
            raise ProtocolError("a peer gives a head that is none")
        names = ("kind", "name", "epoch", "sequence", "digest")
        reader = Reader(dict(zip(names, item, strict=True)), "head")
        said = reader.choice("kind", KINDS)
        key = Key(next(kind for kind in KINDS if kind == said), reader.line("name", _NAME_BYTES_MAX))
        version = Version(reader.integer("epoch"), reader.integer("sequence"))
        digest = parse_digest(reader.text("digest", _DIGEST_BYTES_MAX))
        if key in found or bucket_of(key) != index:
            raise ProtocolError("a peer gives a head twice, or in the wrong bucket")
        found[key] = Head(key, version, digest)
    return found


def _fitting(records: Iterable[bytes]) -> Iterable[bytes]:
    """As many as one message has room for, and at least one."""
    bytes_left = SYNC_RECORD_BYTES_MAX
    for index, data in enumerate(records):
        bytes_left -= len(data)
        if index >= RECORDS_PER_MESSAGE_MAX or (index > 0 and bytes_left < 0):
            return
        yield data


def _by_kind(key: Key) -> tuple[int, str]:
    return KINDS.index(key.kind), key.name
