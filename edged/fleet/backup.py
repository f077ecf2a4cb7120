"""The records of a fleet in one file: rosters that lead to the newest, admissions, deployments, the checkpoint.

    nodes ── edged.publish.backup ── FleetBackup ── archive ──> file ──> a fleet, or a node's folder

All of them are signed, so a backup can be kept anywhere where nobody may read it: deployments hold the values of
variables. What restores one verifies every record as if a peer had sent it, and takes none that is older than what it
has: a restore never takes a sequence back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edged.errors import BackupInvalid, EdgedError
from edged.fleet.archive import encode_archive
from edged.fleet.checks import Candidate, check_signer, parse
from edged.fleet.deployment import Deployment
from edged.fleet.record import KINDS, Kind, open_envelope
from edged.fleet.roster import Roster
from edged.fleet.view import Record, View
from edged.limits import BACKUP_ROSTER_COUNT_MAX, RECORD_BYTES_MAX, RECORD_COUNT_MAX
from registry import strict
from registry.digest import Digest
from registry.errors import RegistryError

_WHAT = "fleet"
_FORMAT = 1
_NAME_BYTES_MAX = 64


@dataclass(frozen=True, slots=True)
class FleetBackup:
    """A backup that was verified: see `verified`.

    Attributes:
        made_at: unix time, s.
        rosters: signed records, the oldest first; each is signed by the root keys of the one before.
        records: all others, in the order in which they can be accepted.
        roster: the newest.
        counts: of each kind.
        releases: digest -> app, of all that the deployments name.
    """

    fleet: str
    made_at: int
    rosters: tuple[bytes, ...] = field(repr=False)
    records: tuple[bytes, ...] = field(repr=False)
    roster: Roster = field(repr=False)
    counts: dict[Kind, int]
    releases: dict[Digest, str]

    def content(self) -> dict[str, object]:
        """For `write_archive`."""
        return {
            "format": _FORMAT,
            "what": _WHAT,
            "fleet": self.fleet,
            "made_at": self.made_at,
            "rosters": list(self.rosters),
            "records": list(self.records),
        }

    def encode(self) -> bytes:
        """The file's bytes: the same for equal backups."""
        return encode_archive(self.content())

    @staticmethod
    def parse(reader: strict.Reader) -> FleetBackup:
        """What `edged.fleet.archive.decode_archive` gave, verified.

        Raises:
            BackupInvalid
        """
        try:
            if reader.line("what", _NAME_BYTES_MAX) != _WHAT:
                raise BackupInvalid(
                    "the backup is that of a node, not of a fleet", remedy="Use it with `edged node restore`."
                )
            reader.integer("format", _FORMAT, _FORMAT)
            fleet = reader.line("fleet", _NAME_BYTES_MAX)
            made_at = reader.integer("made_at")
            rosters = _envelopes(reader, "rosters", BACKUP_ROSTER_COUNT_MAX)
            records = _envelopes(reader, "records", RECORD_COUNT_MAX)
            reader.end()
        except RegistryError as error:
            raise BackupInvalid(f"the backup is none: {error.message}") from None
        backup = verified(rosters, records, made_at)
        if backup.fleet != fleet:
            raise BackupInvalid(f"the backup says that it is of {fleet!r}, and its roster is of {backup.fleet!r}")
        return backup


def verified(rosters: Sequence[bytes], records: Sequence[bytes], made_at: int) -> FleetBackup:
    """A backup, of records that somebody gave.

    Args:
        rosters: the oldest first. Whether its root keys are the right ones is the caller's to know: whoever restores it
            has a roster to compare it with, or trusts the file.
        made_at: unix time, s.

    Raises:
        BackupInvalid: a record is none, comes twice, or is not signed by whom the newest roster lets sign it.
    """
    roster = _follow(rosters)
    view = View({}, roster)  # each record must stand by itself
    found: list[Candidate] = []
    for data in records:
        try:
            candidate = parse(open_envelope(data), data)
            if candidate.head.key.kind == "roster":
                raise BackupInvalid("the backup has a roster among its other records")
            check_signer(view, candidate)
        except EdgedError as error:
            raise BackupInvalid(f"the backup has a record that does not count: {error.message}") from None
        found.append(candidate)
    keys = [candidate.head.key for candidate in found]
    if len(set(keys)) < len(keys):
        raise BackupInvalid("the backup has a record twice")
    found.sort(key=lambda candidate: (KINDS.index(candidate.head.key.kind), candidate.head.key.name))
    counts: dict[Kind, int] = {kind: sum(key.kind == kind for key in keys) for kind in KINDS}
    return FleetBackup(
        fleet=roster.fleet,
        made_at=made_at,
        rosters=tuple(rosters),
        records=tuple(candidate.data for candidate in found),
        roster=roster,
        counts=counts | {"roster": len(rosters)},
        releases={
            digest: candidate.value.app
            for candidate in found
            if isinstance(candidate.value, Deployment)
            for digest in candidate.value.regions.values()
        },
    )


def backup_of(records: Sequence[Record], rosters: Sequence[bytes], made_at: int) -> FleetBackup:
    """Of what a node knows, without what the roster does not bear out any more.

    Args:
        rosters: `FleetState.roster_chain`.
    """
    others = [each.envelope for each in records if each.head.key.kind != "roster" and not each.is_orphaned]
    return verified(rosters, others, made_at)


def _follow(rosters: Sequence[bytes]) -> Roster:
    """The newest of a chain."""
    held: Roster | None = None
    try:
        for data in rosters:
            if held is None:
                held = Roster.open(data)
                continue
            candidate = parse(open_envelope(data), data)
            if not isinstance(candidate.value, Roster) or candidate.value.fleet != held.fleet:
                raise BackupInvalid("the backup has a roster that is none of its fleet")
            check_signer(View({}, held), candidate)
            if candidate.value.version <= held.version:
                raise BackupInvalid("the backup's rosters are not in order")
            held = candidate.value
    except EdgedError as error:
        raise BackupInvalid(f"the backup has a roster that does not count: {error.message}") from None
    if held is None:
        raise BackupInvalid("the backup has no roster")
    return held


def _envelopes(reader: strict.Reader, name: str, count_max: int) -> list[bytes]:
    items = reader.array(name, count_max)
    found = [each for each in items if isinstance(each, bytes) and len(each) <= RECORD_BYTES_MAX]
    if len(found) < len(items):
        raise reader.refused(name, f"has what is no record of up to {RECORD_BYTES_MAX} bytes")
    return found
