"""What a node accepts of the fleet, and nothing else: rosters, deployments, admissions, checkpoints, the newest.

    envelope ── parse ── who signed it ── is it newer ── on disk ── new View

Theory of operation. A record is looked at from all sides before anything changes; then it is written to disk, and only
when it is safe there does the view change. So a refusal changes a counter (and, where somebody signs who should not,
raises an alarm), and a crash at any moment leaves the state before or after. What was accepted is only ever replaced by
something newer: a record whose key leaves the roster still counts here, but is no longer spread (`is_orphaned`).
Admissions are the exception: one that the newest roster does not bear out is dropped; which key used its voucher stays
in the ledger.

`accept`, `begin`, `admit` and `history` block (a signature costs 0.1 ms, the disk tens of ms) and take a lock: call
them in a thread. Everything else only reads the view, at once, from any thread.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from edged.errors import (
    EdgedError,
    RecordConflict,
    RecordDamaged,
    RecordOrphaned,
    RecordStale,
    RecordsTooMany,
    RecordsUnusable,
    VoucherInvalid,
    VoucherUsed,
)
from edged.fleet.alarm import Alarm, Alarms
from edged.fleet.certificate import Identity, public_key
from edged.fleet.checks import (
    AlarmDue,
    Candidate,
    Signer,
    check_joining,
    check_order,
    check_room,
    check_signer,
    check_voucher,
    doubt,
    is_same,
    parse,
)
from edged.fleet.deployment import Deployment
from edged.fleet.ledger import Ledger
from edged.fleet.loading import load
from edged.fleet.peer import Anchors
from edged.fleet.record import Head, Key, Version, open_envelope
from edged.fleet.removed import check_known, rosters_after
from edged.fleet.roster import Node, Roster
from edged.fleet.roster_chain import steps
from edged.fleet.store import RecordStore, Stored
from edged.fleet.view import Record, View
from edged.fleet.voucher import Admission, OpenedVoucher, check_proof, open_voucher
from edged.limits import RECORD_REFUSED_COUNT_MAX, VOUCHER_S_MAX
from registry.digest import Digest
from registry.keyring import Keyring
from registry.keys import PublicKey

_logger = structlog.get_logger("edged.fleet")

Answer = Literal["accepted", "known", "stale", "refused", "equivocation"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a record.

    Attributes:
        kind: accepted: it counts from now on. known: it did already. Otherwise `error` says why it does not.
        key: which record it is; None if it could not be read.
        record: the accepted or known one.
    """

    kind: Answer
    key: Key | None
    error: EdgedError | None = None
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What became of all records so far: counts of outcomes, and of refusals by their codes."""

    outcomes: Mapping[str, int]
    codes: Mapping[str, int]
    records: int
    alarms: int


def _nobody_listens(_record: Record) -> None:
    return


class FleetState:
    """What this node knows of the fleet.

    Args:
        store: where it is kept. Read here: blocks.
        now: unix time, s.
        accepted: told of every record that was accepted, once it is on disk and in the view, in the thread that brought
            it. It must not raise, nor accept records itself.

    Raises:
        RecordsUnusable: the store's folder cannot be used. Damaged records only raise an alarm.
    """

    def __init__(self, store: RecordStore, *, now: float, accepted: Callable[[Record], None] = _nobody_listens) -> None:
        self._store = store
        self._tell = accepted
        self._lock = threading.Lock()
        self._alarms = Alarms()
        self._outcomes: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._refused: dict[Digest, None] = {}
        self._highest: dict[Key, Version] = {}
        self._ledger = Ledger()
        self._roster_chain: tuple[bytes, ...] = ()
        self._view = View({}, None)
        self._load(now)

    # --- what is known: never blocks ---

    @property
    def view(self) -> View:
        """Everything at this moment."""
        return self._view

    @property
    def roster(self) -> Roster | None:
        return self._view.roster

    def nodes(self) -> tuple[Node, ...]:
        """Of the roster, and admitted."""
        return self._view.nodes

    def keyring(self) -> Keyring:
        return self._view.keyring

    def anchors(self) -> Anchors:
        return self._view.anchors

    def deployments(self) -> Mapping[str, Deployment]:
        """By app; one without regions is an app that was removed."""
        return self._view.deployments

    def head(self, app: str) -> Record | None:
        """The newest deployment of an app."""
        return self._view.records.get(Key("deployment", app))

    def record(self, key: Key) -> Record | None:
        return self._view.records.get(key)

    def heads(self) -> tuple[Head, ...]:
        return self._view.heads

    def heads_hash(self) -> bytes:
        return self._view.heads_hash

    def roster_chain(self) -> tuple[bytes, ...]:
        """The roster's signed record, after those before it that changed the root keys, oldest first: whoever knows an
        older roster can follow."""
        return self._roster_chain

    def last_uses(self) -> dict[str, int]:
        """By key id, when this node last accepted a deployment that the key had signed: unix time, s."""
        uses = dict(self._ledger.signers)
        for record in self._view.records.values():
            if isinstance(record.value, Deployment):
                key_id = PublicKey(record.signer).id
                uses[key_id] = max(record.accepted_at, uses.get(key_id, 0))
        return uses

    def alarms(self) -> tuple[Alarm, ...]:
        return self._alarms.all

    def rosters_for(self, certificate: bytes, proof: bytes, asked: str, version: int) -> list[bytes]:
        """The rosters that whoever knows that version has to see, for a party that was removed. Takes some ms.

        Args:
            asked: fingerprint of this node.

        Raises:
            CallForbidden, IdentityInvalid: see `edged.fleet.removed.check_known`.
        """
        check_known(self._view, self._ledger, certificate, proof, asked)
        return rosters_after(self._roster_chain, version)

    def statistics(self) -> Statistics:
        return Statistics(dict(self._outcomes), dict(self._codes), len(self._view.records), len(self._alarms.all))

    def wants(self, head: Head) -> bool:
        """Whether a peer that has this should be asked for it."""
        highest = self._highest.get(head.key)
        former = self._view.records.get(head.key)
        if is_same(former, head.digest) or head.digest in self._refused:
            return False
        return highest is None or head.version >= highest

    # --- what changes it: blocks ---

    def accept(self, data: bytes, now: float) -> Outcome:
        """Take a signed record, from whomever.

        Args:
            now: unix time, s: for when it was accepted. Nothing is decided by it.
        """
        with self._lock:
            return self._accept(data, now)

    def begin(self, data: bytes, now: float, pinned: Sequence[bytes] | None = None) -> Outcome:
        """Take a roster that the operator gave (`pinned` None), or a seed (`pinned`: root keys of the voucher).

        Where there is a roster already, this is `accept`: an old file of the operator's changes nothing.
        """
        with self._lock:
            if self._view.roster is not None:
                return self._accept(data, now)
            try:
                Roster.open(data, pinned)
                candidate = parse(open_envelope(data), data)
                check_order(self._view, candidate, self._highest.get(candidate.head.key))
                return self._keep(candidate, Signer(), now)
            except RecordStale as error:  # older than one that a damaged disk, or a reseed, has taken away
                return self._counted(Outcome("stale", candidate.head.key, error))
            except EdgedError as error:
                return self._counted(Outcome("refused", None, error))

    def admit(self, voucher: bytes, certificate: bytes, proof: bytes, identity: Identity, now: float) -> bytes:
        """Let in who comes with a voucher. The signed admission; the same one for the same certificate, so that a node
        whose answer was lost may ask again.

        Args:
            voucher: the signed record.
            identity: this node's own, which is in the roster.
            now: unix time, s.

        Raises:
            RecordInvalid, IdentityInvalid: what came is not what it should be.
            VoucherInvalid, VoucherUsed
            RecordsUnusable, RecordsTooMany
        """
        with self._lock:
            opened = open_voucher(voucher)
            check_voucher(self._view, opened)
            check_proof(opened, certificate, proof)
            if opened.voucher.expires > now + VOUCHER_S_MAX:
                raise VoucherInvalid(f"the voucher is good for more than {VOUCHER_S_MAX // 86_400} days")
            try:
                former = check_joining(self._view, opened, certificate, voucher)
                self._check_unused(opened, certificate, voucher)
            except AlarmDue as due:
                self._raise(due, opened.key, now)
                raise due.error from None
            if former is not None:
                return former.envelope
            if opened.voucher.expires < now:
                raise VoucherInvalid(f"the voucher for {opened.voucher.node!r} has expired")
            admission = Admission(voucher, certificate, proof, identity.name, int(now))
            data = admission.seal(identity.key)
            if any(node.certificate == certificate for node in self._view.nodes):
                return data  # in the roster by now: nothing is left to spread
            outcome = self._accept(data, now)
            if outcome.error is not None:
                raise outcome.error
            return data

    def raise_alarm(self, error: EdgedError, subject: str, now: float) -> None:
        """Something else about records that somebody must look at."""
        with self._lock:
            self._alarms.raise_(error, subject, now)

    def clear_alarm(self, subject: str, code: str) -> None:
        """That is over, if it was."""
        with self._lock:
            self._alarms.clear(subject, code)

    def history(self, app: str) -> list[Record]:
        """The deployments of an app that are still on disk, newest first. Damaged ones are left out.

        Raises:
            RecordsUnusable
        """
        with self._lock:
            stored = self._store.history(Key("deployment", app))
        records = []
        for one in stored:
            try:
                candidate = parse(open_envelope(one.envelope), one.envelope)
            except EdgedError:
                continue
            records.append(self._record(candidate, Signer(one.signer, self._name_of(one.signer)), one.accepted_at))
        return records

    # --- inside the lock ---

    def _accept(self, data: bytes, now: float) -> Outcome:
        key: Key | None = None
        digest: Digest | None = None
        try:
            candidate = parse(open_envelope(data), data)
            key = candidate.head.key
            former = self._view.records.get(key)
            if is_same(former, candidate.head.digest):
                return self._counted(Outcome("known", key, record=former))
            signer = check_signer(self._view, candidate)
            digest = candidate.head.digest  # from here on it is the content that is refused, whoever brings it
            if isinstance(candidate.value, Admission):
                settled = self._settle_admission(candidate, candidate.value, now)
                if settled is not None:
                    return self._counted(settled)
            check_order(self._view, candidate, self._highest.get(key))
            return self._keep(candidate, signer, now)
        except AlarmDue as due:
            assert key is not None
            self._raise(due, key, now)
            return self._refuse(
                "equivocation" if isinstance(due.error, RecordConflict) else "refused", key, digest, due.error
            )
        except EdgedError as error:
            kind: Answer = "stale" if isinstance(error, RecordStale) else "refused"
            is_content = not isinstance(error, RecordsTooMany | RecordsUnusable)
            return self._refuse(kind, key, digest if is_content else None, error)

    def _settle_admission(self, candidate: Candidate, value: Admission, now: float) -> Outcome | None:
        """What becomes of an admission that changes nothing; None for one that is to be kept.

        Two nodes may admit one certificate: both admissions are good, and all keep the one with the lower digest. One
        of a node that the roster has by now is of no use.
        """
        opened = value.opened()
        former = check_joining(self._view, opened, value.certificate, candidate.data)
        self._check_unused(opened, value.certificate, candidate.data)
        self._write(self._ledger.used(opened.digest, value.certificate, opened.voucher.expires, now))
        roster = self._view.roster
        in_roster = roster is not None and any(node.certificate == value.certificate for node in roster.nodes)
        if not in_roster:
            ours = None if former is None else (former.head.version, _reversed(former.head.digest))
            if ours is None or (candidate.head.version, _reversed(candidate.head.digest)) > ours:
                return None
        self._remember_refused(candidate.head.digest)
        return Outcome("known", candidate.head.key, record=former)

    def _keep(self, candidate: Candidate, signer: Signer, now: float) -> Outcome:
        """Write it, then let it count."""
        key = candidate.head.key
        former = self._view.records.get(key)
        check_room(self._view, candidate, signer)
        if former is not None and former.head.key.kind == "deployment" and former.signer != signer.key:
            self._write(self._ledger.replaced(PublicKey(former.signer).id, former.accepted_at))
        self._store.save(Stored(key, candidate.head.version, candidate.data, signer.key, int(now)))
        record = self._record(candidate, signer, int(now))
        self._highest[key] = max(candidate.head.version, self._highest.get(key, candidate.head.version))
        records = {**self._view.records, key: record}
        self._alarms.clear(_subject(key), RecordConflict.code, RecordDamaged.code, RecordOrphaned.code)
        if isinstance(candidate.value, Roster):
            self._warn_of_fork(former, candidate, now)
            self._alarms.clear_all(VoucherUsed.code)  # whoever signed it has seen them, or can see them in the log
            with suppress(RecordsUnusable):  # then they come back with the next start
                self._write(self._ledger.settled())
            self._turn_to(candidate.value, records, now)
        else:
            is_deployment = isinstance(candidate.value, Deployment)
            view = self._view.with_deployment(record) if is_deployment else View(records, self._view.roster)
            self._view = view.prepared()
        _logger.info("record.accepted", kind=key.kind, name=key.name, version=list(candidate.head.version))
        self._tell(record)
        return self._counted(Outcome("accepted", key, record=record))

    def _turn_to(self, roster: Roster, records: Mapping[Key, Record], now: float) -> None:
        """Look at all other records by a new roster."""
        self._refused.clear()
        alone = View({}, roster)  # each record must stand by itself, not against itself
        kept: dict[Key, Record] = {}
        for key, record in records.items():
            error = None if key.kind == "roster" else doubt(alone, record)
            if isinstance(record.value, Admission):
                if error is None and not any(node.name == key.name for node in roster.nodes):
                    kept[key] = record
                else:
                    self._forget(key)
                continue
            kept[key] = replace(record, is_orphaned=error is not None)
            if error is not None and key.kind != "checkpoint":  # which says nothing any more, and harms nobody
                self._alarms.raise_(RecordOrphaned(_orphaned(key, error)), _subject(key), now)
            else:
                self._alarms.clear(_subject(key), RecordOrphaned.code)
        self._view = View(kept, roster).prepared()
        self._roster_chain = self._chain(records[roster.key])

    def _warn_of_fork(self, former: Record | None, candidate: Candidate, now: float) -> None:
        """A roster that follows on another than ours was signed by who had not seen ours. It counts all the same."""
        if former is None or not isinstance(candidate.value, Roster) or not isinstance(former.value, Roster):
            return
        follows = candidate.value.version == former.value.version + 1
        if follows and candidate.value.previous not in ("", former.head.digest):
            self._alarms.raise_(
                RecordConflict(f"roster {candidate.value.version} follows on another {former.value.version} than ours"),
                _subject(candidate.head.key),
                now,
                (former.envelope, candidate.data),
            )

    def _chain(self, newest: Record) -> tuple[bytes, ...]:
        """Without those before it where the disk cannot be read: the newest one counts by now, whatever happens."""
        held: list[bytes] = []
        with suppress(RecordsUnusable):
            stored = self._store.history(newest.head.key)
            held = [one.envelope for one in reversed(stored) if one.version < newest.head.version]
        return steps(held, newest.envelope)

    def _check_unused(self, opened: OpenedVoucher, certificate: bytes, data: bytes) -> None:
        """Demand that no other key has used the voucher, however long ago and whatever became of it.

        Raises:
            AlarmDue
        """
        if not self._ledger.allows(opened.digest, certificate):
            used = VoucherUsed(f"the voucher for {opened.voucher.node!r} was used before, with another key")
            raise AlarmDue(used, (data,))

    def _raise(self, due: AlarmDue, key: Key, now: float) -> None:
        self._alarms.raise_(due.error, _subject(key), now, due.proof)
        if isinstance(due.error, VoucherUsed):  # others come back by themselves after a restart
            with suppress(RecordsUnusable):
                self._write(self._ledger.misused(_subject(key), due.error, now))

    def _write(self, ledger: Ledger) -> None:
        """
        Raises:
            RecordsUnusable: nothing has changed.
        """
        if ledger is not self._ledger:
            self._store.save_ledger(ledger.encode())
            self._ledger = ledger

    def _forget(self, key: Key) -> None:
        # What cannot be removed from the disk is looked at again, and dropped again, at the next start.
        with suppress(RecordsUnusable):
            self._store.remove(key)
        self._highest.pop(key, None)

    def _refuse(self, kind: Answer, key: Key | None, digest: Digest | None, error: EdgedError) -> Outcome:
        if digest is not None:
            self._remember_refused(digest)
        return self._counted(Outcome(kind, key, error))

    def _remember_refused(self, digest: Digest) -> None:
        if len(self._refused) >= RECORD_REFUSED_COUNT_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[digest] = None

    def _counted(self, outcome: Outcome) -> Outcome:
        self._outcomes[outcome.kind] += 1
        if outcome.error is not None:
            self._codes[outcome.error.code] += 1
            # Anybody may send records, so this is not said louder; the alarms are.
            _logger.debug("record.refused", code=outcome.error.code, message=outcome.error.message)
        return outcome

    def _record(self, candidate: Candidate, signer: Signer, accepted_at: int) -> Record:
        return Record(candidate.head, candidate.data, candidate.value, signer.key, signer.name, accepted_at)

    def _name_of(self, signer: bytes) -> str:
        roster = self._view.roster
        for party in roster.parties if roster is not None else ():
            if public_key(party.certificate).raw == signer:
                return party.name
        return ""

    def _load(self, now: float) -> None:
        """Take up what is on disk."""
        found = load(self._store)
        self._highest = dict(found.highest)
        for key, version in found.damaged:
            self._raise_damaged(key, version, now)
        if found.ledger is None:
            self._alarms.raise_(RecordDamaged("the ledger of used vouchers is damaged"), "ledger", now)
        self._ledger = found.ledger or Ledger()
        for misuse in self._ledger.misuses:
            self._alarms.raise_(VoucherUsed(misuse.message), misuse.subject, misuse.since)
        self._view = View({}, found.roster)
        records = {
            key: self._record(candidate, Signer(stored.signer, self._name_of(stored.signer)), stored.accepted_at)
            for key, (candidate, stored) in found.records.items()
        }
        self._view = View(records, found.roster)
        if found.roster is not None:
            self._turn_to(found.roster, records, now)

    def _raise_damaged(self, key: Key, version: Version, now: float) -> None:
        error = RecordDamaged(f"version {version.epoch}.{version.sequence} of the {key.kind} {key.name!r} is damaged")
        self._alarms.raise_(error, _subject(key), now)


def _subject(key: Key) -> str:
    return f"{key.kind} {key.name}"


def _orphaned(key: Key, error: EdgedError) -> str:
    return f"the {key.kind} {key.name!r} still counts here, but no new node would take it: {error.message}"


def _reversed(digest: Digest) -> tuple[int, ...]:
    """So that the lower of two digests compares as the higher."""
    return tuple(-ord(character) for character in digest)
