"""A fleet's records, taken out of it through any one node, and given back to it.

buckets ── keys ── records ──> FleetBackup ──> file
file ──> FleetBackup ── put_record, one after another ──> what the fleet did not have
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import trio

from edged.errors import BackupInvalid, ProtocolError, RecordStale, RemoteError
from edged.fleet.backup import FleetBackup, verified
from edged.fleet.checks import parse
from edged.fleet.record import KINDS, Head, Key, Kind, open_envelope
from edged.fleet.roster import Roster
from edged.fleet.sync import parse_heads
from edged.limits import RECORD_BYTES_MAX, RECORD_COUNT_MAX, RECORDS_PER_MESSAGE_MAX, SYNC_BUCKET_COUNT
from edged.publish.fleet import rosters
from edged.publish.signer import Signer
from edged.publish.upload import Call
from edged.status.answer import Answer
from registry.errors import RegistryError
from registry.strict import Reader


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was made.

    Attributes:
        left_out: names of records that the node has and did not give: of apps that this key may not deploy.
    """

    backup: FleetBackup
    left_out: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that the fleet did not take."""

    key: Key
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of a backup.

    Attributes:
        accepted: kind -> how many the fleet did not have.
        known: how many it has as they are, or newer.
    """

    accepted: dict[Kind, int]
    known: int
    refused: tuple[Refused, ...]


async def take(call: Call, author: Signer, now: float) -> Taken:
    """All records that the node which answers has, verified.

    Args:
        now: unix time, s.

    Raises:
        BackupInvalid: what it gives does not count by its roster, or that is not the one which this user knows.
        ProtocolError, EdgedError: as `call`.
    """
    chain = rosters(await call("roster"))
    heads = await read_heads(call)
    wanted = sorted((key for key in heads if key.kind != "roster"), key=lambda key: (KINDS.index(key.kind), key.name))
    records = await _records(call, [key for key in wanted if key.kind != "deployment" or author.may_deploy(key.name)])
    backup = await trio.to_thread.run_sync(verified, chain, list(records.values()), int(now))
    if backup.roster.digest != author.roster.digest:
        raise BackupInvalid(
            "the node's rosters do not lead to the one that you have", remedy="Run the command again: it may be newer."
        )
    return Taken(backup, tuple(key for key in wanted if key not in records))


async def give(call: Call, backup: FleetBackup) -> Restored:
    """Give a fleet what it lacks of a backup. The nodes verify each record; what they have newer stays.

    Raises:
        BackupInvalid: the backup is of another fleet.
        EdgedError: as `call`, if no node answers any more.
    """
    held = await trio.to_thread.run_sync(Roster.open, rosters(await call("roster"))[-1])
    if held.fleet != backup.fleet:
        raise BackupInvalid(f"the backup is of the fleet {backup.fleet!r}, not of {held.fleet!r}")
    accepted: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    known = 0
    refused: list[Refused] = []
    for data in (*backup.rosters, *backup.records):
        head = parse(open_envelope(data), data).head
        key = head.key
        if key.kind == "roster" and head.version <= held.record_version:
            known += 1  # the root keys that signed it may be others by now, so the node would not say that it is old
            continue
        try:
            outcome = Answer(await call("put_record", envelope=data), "put_record").get("outcome", str)
        except RemoteError as error:
            if error.code == RecordStale.code:
                known += 1
            else:
                refused.append(Refused(key, error.code, error.message))
            continue
        if outcome == "accepted":
            accepted[key.kind] += 1
        else:
            known += 1
    return Restored(accepted, known, tuple(refused))


async def read_heads(call: Call) -> dict[Key, Head]:
    """Of all records that the node which answers has.

    Raises:
        ProtocolError, EdgedError: as `call`.
    """
    found: dict[Key, Head] = {}
    left = list(range(SYNC_BUCKET_COUNT))
    while left:
        came = _parse_buckets(await call("buckets", indexes=left), left)
        if not came:
            raise ProtocolError("the node does not say what it has")
        for heads in came.values():
            found |= heads
        if len(found) > RECORD_COUNT_MAX + 1:  # and the roster
            raise ProtocolError(f"the node says that it has more than {RECORD_COUNT_MAX} records")
        left = [index for index in left if index not in came]
    return found


def _parse_buckets(answer: object, asked: Sequence[int]) -> dict[int, dict[Key, Head]]:
    came: dict[int, dict[Key, Head]] = {}
    try:
        reader = Reader(answer, "answer")
        for pair in reader.array("buckets", SYNC_BUCKET_COUNT):
            match pair:
                case [int(index), list(items)] if index in asked and index not in came:
                    came[index] = parse_heads(items, index)
                case _:
                    raise reader.refused("buckets", "has something that was not asked for")
    except RegistryError as error:
        raise ProtocolError(f"the node's answer to 'buckets': {error.message}") from None
    return came


async def _records(call: Call, keys: Sequence[Key]) -> dict[Key, bytes]:
    """Those of these that the node gives."""
    found: dict[Key, bytes] = {}
    left = list(keys)
    while left:
        asked = left[:RECORDS_PER_MESSAGE_MAX]
        answer = Answer(await call("records", keys=[list(key) for key in asked]), "records")
        came: set[Key] = set()
        for data in answer.blobs("records"):
            if len(data) > RECORD_BYTES_MAX:
                raise ProtocolError("the node gives what is no record")
            key = parse(open_envelope(data), data).head.key
            if key in asked:
                found[key] = data
                came.add(key)
        # What did not come because there was no room comes next; if nothing came, nothing will.
        gone = came or set(asked)
        left = [key for key in left if key not in gone]
    return found
