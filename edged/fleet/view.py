"""What a node knows of the fleet at one moment. Never changes: each accepted record makes a new view.

So any thread may read one without a lock, and what was computed from it stays right as long as it is held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from edged.fleet.certificate import public_key
from edged.fleet.checkpoint import Checkpoint
from edged.fleet.deployment import Deployment
from edged.fleet.peer import Anchors, Peer, fingerprint_of
from edged.fleet.record import Head, Key
from edged.fleet.roster import Node, Roster
from edged.fleet.voucher import Admission
from edged.limits import SYNC_BUCKET_COUNT
from registry import strict
from registry.keyring import Keyring, TrustedKey

_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class Record:
    """An accepted record.

    Attributes:
        envelope: the signed record, as it came.
        signer: raw public key of who signed it; empty for a roster.
        signed_by: that key's name at the time; "" for a roster.
        accepted_at: unix time of this node, s.
        is_orphaned: the newest roster would not let us accept it any more. It counts here, and is not spread.
    """

    head: Head
    envelope: bytes = field(repr=False)
    value: Roster | Deployment | Admission | Checkpoint
    signer: bytes = field(repr=False)
    signed_by: str
    accepted_at: int
    is_orphaned: bool = False


class View:
    """All accepted records, the newest version of each."""

    def __init__(self, records: Mapping[Key, Record], roster: Roster | None) -> None:
        self.records = records
        self.roster = roster

    def with_deployment(self, record: Record) -> View:
        """One with a newer deployment in it. Whose certificates are trusted is as it was, and not found out again: a
        thousand nodes take 10 ms."""
        assert isinstance(record.value, Deployment)
        view = View({**self.records, record.head.key: record}, self.roster)
        for name in ("nodes", "node_names", "keyring", "anchors"):
            if name in self.__dict__:
                view.__dict__[name] = self.__dict__[name]
        return view

    def prepared(self) -> View:
        """Itself, with what the loop will ask for computed here: tens of ms in a large fleet."""
        _ = self.anchors, self.keyring, self.heads_hash
        return self

    @cached_property
    def deployments(self) -> Mapping[str, Deployment]:
        """By app, removed ones (without regions) included."""
        return {key.name: record.value for key, record in self.records.items() if isinstance(record.value, Deployment)}

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The newest, if the roster bears it out."""
        record = None if self.roster is None else self.records.get(Key("checkpoint", self.roster.fleet))
        if record is None or record.is_orphaned or not isinstance(record.value, Checkpoint):
            return None
        return record.value

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Those of the roster and those admitted since, by name."""
        admitted = [
            record.value.opened().node(record.value.certificate)
            for record in self.records.values()
            if isinstance(record.value, Admission)
        ]
        return tuple(sorted((*(self.roster.nodes if self.roster else ()), *admitted), key=lambda node: node.name))

    @cached_property
    def node_names(self) -> frozenset[str]:
        """Theirs: asked for each node in each exchange of reports."""
        return frozenset(node.name for node in self.nodes)

    @cached_property
    def keyring(self) -> Keyring:
        """The publishers' and operators' keys of the roster, with what they may sign."""
        if self.roster is None:
            return Keyring(())
        return Keyring(
            (
                TrustedKey(public_key(key.certificate), key.name, key.roles, key.apps, key.regions)
                for key in self.roster.keys
            ),
            self.roster.revoked,
        )

    @cached_property
    def anchors(self) -> Anchors:
        """Whose certificates are trusted in TLS, and who they are."""
        parties = [
            (
                node.certificate,
                Peer(node.name, "node", fingerprint_of(node.certificate), regions=(node.region,), address=node.address),
            )
            for node in self.nodes
        ]
        parties += [
            (key.certificate, Peer(key.name, "key", fingerprint_of(key.certificate), key.roles, key.apps, key.regions))
            for key in (self.roster.keys if self.roster else ())
        ]
        return Anchors(parties)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Of all records that others should have too, in order of their keys."""
        return tuple(
            sorted((record.head for record in self.records.values() if not record.is_orphaned), key=lambda h: h.key)
        )

    @cached_property
    def buckets(self) -> tuple[tuple[Head, ...], ...]:
        """The heads in SYNC_BUCKET_COUNT parts, by what their keys hash to."""
        parts: list[list[Head]] = [[] for _ in range(SYNC_BUCKET_COUNT)]
        for head in self.heads:
            parts[bucket_of(head.key)].append(head)
        return tuple(map(tuple, parts))

    @cached_property
    def bucket_hashes(self) -> tuple[bytes, ...]:
        """One of 16 bytes for each bucket; empty for one without heads."""
        return tuple(_hash(strict.encode([head_as_list(h) for h in part])) if part else b"" for part in self.buckets)

    @cached_property
    def heads_hash(self) -> bytes:
        """Equal for two nodes that know the same."""
        return _hash(strict.encode(list(self.bucket_hashes)))


def bucket_of(key: Key) -> int:
    """Where a record's head belongs."""
    return hashlib.sha256(f"{key.kind}/{key.name}".encode()).digest()[0] % SYNC_BUCKET_COUNT


def head_as_list(head: Head) -> list[object]:
    """A head as it stands in messages: kind, name, epoch, sequence, digest."""
    return [*head.key, *head.version, head.digest]


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:_HASH_BYTES]
