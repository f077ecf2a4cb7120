"""What a node finds on its disk when it starts.

Records were checked when they were accepted, so they are only asked to be what they were: what the file's name says,
signed by whom the file says. Whether the newest roster still bears them out is looked at by `FleetState`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.errors import EdgedError, RecordInvalid
from edged.fleet.checks import Candidate, parse
from edged.fleet.ledger import Ledger
from edged.fleet.record import Key, Version, check_signed, open_envelope
from edged.fleet.roster import Roster
from edged.fleet.store import RecordStore, Stored
from registry.dsse import signers
from registry.errors import RegistryError
from registry.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Found:
    """What counts.

    Attributes:
        records: of each name the newest that is whole, with what the store says about it; of rosters only the newest.
        roster: the newest one, if any.
        highest: of each name the newest version that there ever was, damaged ones included.
        damaged: versions that are not what was written, if nothing newer is there.
        ledger: None if it is damaged.
    """

    records: Mapping[Key, tuple[Candidate, Stored]]
    roster: Roster | None
    highest: Mapping[Key, Version]
    damaged: Sequence[tuple[Key, Version]]
    ledger: Ledger | None


def load(store: RecordStore) -> Found:
    """Blocks.

    Raises:
        RecordsUnusable: the folder cannot be used.
    """
    loaded = store.load()
    damaged = [(key, version) for key, version in loaded.damaged if version == loaded.versions[key]]
    records: dict[Key, tuple[Candidate, Stored]] = {}
    for stored in loaded.records:
        try:
            records[stored.key] = _candidate(stored), stored
        except (EdgedError, RegistryError):
            damaged.append((stored.key, stored.version))
    rosters = [candidate for candidate, _ in records.values() if isinstance(candidate.value, Roster)]
    newest = max(rosters, key=lambda candidate: candidate.head.version, default=None)
    for candidate in rosters:
        if candidate is not newest:
            del records[candidate.head.key]
    roster = newest.value if newest is not None and isinstance(newest.value, Roster) else None
    return Found(records, roster, loaded.versions, damaged, _ledger(store))


def _candidate(stored: Stored) -> Candidate:
    """
    Raises:
        EdgedError, RegistryError: it is not what was accepted.
    """
    candidate = parse(open_envelope(stored.envelope), stored.envelope)
    if (candidate.head.key, candidate.head.version) != (stored.key, stored.version):
        raise RecordInvalid("another record than the file's name says")
    if isinstance(candidate.value, Roster):
        check_signed(candidate.envelope, candidate.value.root_publics(), candidate.value.threshold, "the roster")
    elif not signers(candidate.envelope, [PublicKey(stored.signer)]):
        raise RecordInvalid("the record is not signed by whom the file says")
    return candidate


def _ledger(store: RecordStore) -> Ledger | None:
    data = store.load_ledger()
    try:
        return Ledger() if data is None else Ledger.parse(data)
    except RecordInvalid:
        return None
