"""Whether a record may be accepted: everything that is looked at before anything changes. Pure.

Each check takes the view and the record's envelope, and returns what will be kept. The signature comes first: what
nobody in the roster has signed does not even raise an alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from edged.errors import (
    EdgedError,
    RecordConflict,
    RecordForbidden,
    RecordInvalid,
    RecordStale,
    RecordsTooMany,
    VoucherInvalid,
    VoucherUsed,
)
from edged.fleet import checkpoint, deployment, roster, voucher
from edged.fleet.certificate import public_key
from edged.fleet.checkpoint import Checkpoint
from edged.fleet.deployment import Deployment
from edged.fleet.record import Head, Key, Version, check_signed, open_envelope
from edged.fleet.roster import Roster
from edged.fleet.view import Record, View
from edged.fleet.voucher import Admission, OpenedVoucher, check_proof
from edged.limits import (
    NODE_COUNT_MAX,
    RECORD_BYTES_PER_SIGNER_MAX,
    RECORD_COUNT_MAX,
    RECORDS_PER_SIGNER_MAX,
    SEQUENCE_JUMP_MAX,
    VOUCHER_S_MAX,
)
from registry.digest import Digest, digest_of
from registry.dsse import Envelope
from registry.errors import RegistryError
from registry.keyring import TrustedKey

Value = Roster | Deployment | Admission | Checkpoint


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that was parsed, and is yet to be checked.

    Attributes:
        value: the payload.
        data: the signed record.
    """

    head: Head
    value: Value
    envelope: Envelope = field(repr=False)
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a record: raw public key and name; both empty for a roster."""

    key: bytes = b""
    name: str = ""


class AlarmDue(Exception):
    """A refusal that somebody has to hear of.

    Attributes:
        proof: the records that show what happened.
    """

    def __init__(self, error: EdgedError, proof: tuple[bytes, ...]) -> None:
        super().__init__(error.message)
        self.error = error
        self.proof = proof


def parse(envelope: Envelope, data: bytes) -> Candidate:
    """The record of an envelope.

    Raises:
        RecordInvalid: no record of a kind that is kept.
    """
    parser = _PARSERS.get(envelope.payload_type)
    if parser is None:
        raise RecordInvalid("the record is of a kind that this node does not know")
    key, version, value = parser(envelope.payload)
    return Candidate(Head(key, version, digest_of(envelope.payload)), value, envelope, data)


def check_signer(view: View, candidate: Candidate) -> Signer:
    """Demand that somebody signed who may, by the roster of this view.

    Raises:
        RecordForbidden, VoucherInvalid
    """
    held = view.roster
    if held is None:
        raise RecordForbidden("this node has no roster yet", remedy="Give it one, or a voucher, in node.toml.")
    match candidate.value:
        case Roster() as value:
            check_signed(candidate.envelope, held.root_publics(), held.threshold, "the roster")
            check_signed(candidate.envelope, value.root_publics(), value.threshold, "the roster, by its own root keys,")
            return Signer()
        case Deployment() as value:
            with _forbidding():
                key = view.keyring.verify(
                    candidate.envelope, deployment.PAYLOAD_TYPE, "deploy", app=value.app, regions=tuple(value.regions)
                )
            _check_regions_kept(view, value, key)
            _check_hosts(held, value, key)
            return Signer(key.public.raw, key.name)
        case Admission() as value:
            return _check_admission(view, held, candidate, value)
        case Checkpoint():
            with _forbidding():
                key = view.keyring.verify(candidate.envelope, checkpoint.PAYLOAD_TYPE, checkpoint.ROLE)
            return Signer(key.public.raw, key.name)


def check_voucher(view: View, opened: OpenedVoucher) -> None:
    """Demand that the voucher is of this fleet, and signed by a key that may let nodes into its region, and into that
    of whom it replaces.

    Raises:
        VoucherInvalid
    """
    held = view.roster
    if held is None or opened.voucher.fleet != held.fleet:
        raise VoucherInvalid(f"the voucher is for the fleet {opened.voucher.fleet!r}")
    if opened.voucher.region not in {region.name for region in held.regions}:
        raise VoucherInvalid(f"the voucher is for the region {opened.voucher.region!r}, which the fleet does not have")
    former = view.records.get(opened.key)
    regions = {opened.voucher.region}
    if former is not None and isinstance(former.value, Admission):
        regions.add(former.value.opened().voucher.region)
    try:
        with _forbidding():
            view.keyring.verify(opened.envelope, voucher.VOUCHER_TYPE, "admit", regions=regions)
    except RecordForbidden as error:
        raise VoucherInvalid(f"the voucher counts for nothing: {error.message}") from error


def check_joining(view: View, opened: OpenedVoucher, certificate: bytes, data: bytes) -> Record | None:
    """Demand that a voucher lets this certificate in. The admission, if it has already.

    Raises:
        VoucherInvalid
        AlarmDue: the voucher was used with another certificate, or the name is another's.
    """
    held = view.roster
    assert held is not None  # check_voucher has looked
    if public_key(certificate).id in held.revoked:
        raise VoucherInvalid("the key of the certificate is revoked", remedy="Let the node make a new key.")
    former = view.records.get(opened.key)
    if former is not None and isinstance(former.value, Admission):
        if former.value.certificate == certificate:
            return former
        if former.value.opened().digest == opened.digest:
            raise AlarmDue(
                VoucherUsed(f"the voucher for {opened.voucher.node!r} was used before, with another key"),
                (former.envelope, data),
            )
    for party in held.parties:
        if party.name == opened.voucher.node and party.certificate != certificate:
            raise AlarmDue(VoucherUsed(f"{party.name!r} is in the roster, with another key"), (data,))
        if party.name != opened.voucher.node and party.certificate == certificate:
            raise VoucherInvalid(f"the certificate is that of {party.name!r}")
    for node in view.nodes:
        if node.name != opened.voucher.node and node.certificate == certificate:
            raise VoucherInvalid(f"the certificate is that of {node.name!r}")
    return None


def check_order(view: View, candidate: Candidate, highest: Version | None) -> None:
    """Demand that the record comes after those of its name that were accepted.

    Args:
        highest: version that was ever accepted here, which a damaged disk may have lost.

    Raises:
        RecordStale
        AlarmDue: the same version with other bytes.
    """
    former = view.records.get(candidate.head.key)
    kind, name = candidate.head.key
    version = candidate.head.version
    if former is not None and version == former.head.version and not _is_again(former.value, candidate.value):
        raise AlarmDue(
            RecordConflict(f"two different records of the {kind} {name!r} have the number {_shown(version)}"),
            (former.envelope, candidate.data),
        )
    if highest is not None and version < highest:
        raise RecordStale(f"the {kind} {name!r} is at {_shown(highest)} already, not before {_shown(version)}")
    match candidate.value:
        case Roster() as value:
            _check_roster_order(view, value)
        case Deployment() as value:
            _check_deployment_order(view, value, highest)
        case Checkpoint() as value:
            _check_checkpoint_order(view, value, highest)


def check_room(view: View, candidate: Candidate, signer: Signer) -> None:
    """Demand that there is room for one more record, and that its signer leaves room for others.

    Raises:
        RecordsTooMany
    """
    key = candidate.head.key
    if key.kind == "roster":
        return
    former = view.records.get(key)
    others = [record for of, record in view.records.items() if record.signer == signer.key and of != key]
    if former is None and len(view.records) >= RECORD_COUNT_MAX:
        raise RecordsTooMany(f"the fleet has {RECORD_COUNT_MAX} records already")
    if former is None and key.kind == "admission" and len(view.nodes) >= NODE_COUNT_MAX:
        raise RecordsTooMany(f"the fleet has {NODE_COUNT_MAX} nodes already")
    if former is None and len(others) >= RECORDS_PER_SIGNER_MAX:
        raise RecordsTooMany(f"{signer.name!r} has signed {RECORDS_PER_SIGNER_MAX} records already")
    grows = len(candidate.data) - (0 if former is None else len(former.envelope))
    if grows > 0 and sum(len(record.envelope) for record in others) + len(candidate.data) > RECORD_BYTES_PER_SIGNER_MAX:
        raise RecordsTooMany(
            f"what {signer.name!r} has signed has {RECORD_BYTES_PER_SIGNER_MAX} bytes already",
            remedy="Remove apps, or some of their variables.",
        )


def _is_again(former: Value, value: Value) -> bool:
    """Whether both are admissions of one certificate, which two nodes may have signed."""
    return isinstance(former, Admission) and isinstance(value, Admission) and former.certificate == value.certificate


def _check_roster_order(view: View, value: Roster) -> None:
    held = view.roster
    if held is None:
        return
    if value.fleet != held.fleet:
        raise RecordForbidden(f"the roster is of the fleet {value.fleet!r}, not of {held.fleet!r}")
    if value.version <= held.version:
        raise RecordStale(f"the roster is at version {held.version} already, not before {value.version}")
    if value.version - held.version > SEQUENCE_JUMP_MAX:
        raise RecordForbidden(f"the roster's version {value.version} is too far from {held.version}")


def _check_deployment_order(view: View, value: Deployment, highest: Version | None) -> None:
    held = view.roster
    assert held is not None  # check_signer has looked
    if value.fleet != held.fleet:
        raise RecordForbidden(f"the deployment is for the fleet {value.fleet!r}, not for {held.fleet!r}")
    unknown = sorted(set(value.regions) - {region.name for region in held.regions})
    if unknown:
        raise RecordForbidden(f"the fleet has no region {unknown[0]!r}", remedy="See `edged status` for its regions.")
    epoch = held.epoch_of(value.app)
    if value.epoch != epoch:
        raise RecordStale(f"deployments of {value.app!r} have the epoch {epoch}, not {value.epoch}")
    floor = held.floors.get(value.app, Version(epoch, 0))
    if value.version < floor:
        raise RecordStale(f"the roster lets {value.app!r} begin at {_shown(floor)} only")
    begun = [version.sequence for version in (floor, highest) if version is not None and version.epoch == epoch]
    known = max(begun, default=0)
    if value.sequence - known > SEQUENCE_JUMP_MAX:
        raise RecordForbidden(
            f"the sequence {value.sequence} of {value.app!r} is too far from {known}",
            remedy=f"Publish it as {known + 1}.",
        )


def _check_checkpoint_order(view: View, value: Checkpoint, highest: Version | None) -> None:
    held = view.roster
    assert held is not None  # check_signer has looked
    if value.fleet != held.fleet:
        raise RecordForbidden(f"the checkpoint is of the fleet {value.fleet!r}, not of {held.fleet!r}")
    if value.epoch != held.epoch:
        raise RecordStale(f"checkpoints have the epoch {held.epoch}, not {value.epoch}")
    known = highest.sequence if highest is not None and highest.epoch == held.epoch else 0
    if value.sequence - known > SEQUENCE_JUMP_MAX:
        raise RecordForbidden(f"the checkpoint's sequence {value.sequence} is too far from {known}")


def _check_regions_kept(view: View, value: Deployment, key: TrustedKey) -> None:
    """A key for some regions must not take an app away from others, which leaving them out would do."""
    former = view.deployments.get(value.app)
    others = sorted(set(former.regions) - set(key.regions)) if former is not None and key.regions else []
    if others:
        raise RecordForbidden(f"key {key.name!r} is not for region {others[0]!r}, where {value.app!r} runs")


def _check_hosts(held: Roster, value: Deployment, key: TrustedKey) -> None:
    """Below the fleet's domain every host is that of an app: nobody takes it who may not deploy that app."""
    below = f".{held.domain}"
    for host in value.hosts if held.domain else ():
        app = host.removesuffix(below)
        if host.endswith(below) and app != value.app.lower() and not key.allows_app(app):
            raise RecordForbidden(
                f"key {key.name!r} is not for app {app!r}, whose host {host!r} is",
                remedy=f"Use a host of your own, or {value.app.lower()}{below}.",
            )


def _check_admission(view: View, held: Roster, candidate: Candidate, value: Admission) -> Signer:
    seed = next((node for node in held.nodes if node.name == value.admitted_by), None)
    if seed is None:
        raise RecordForbidden(f"the admission is signed by {value.admitted_by!r}, which is no node of the roster")
    public = public_key(seed.certificate)
    check_signed(candidate.envelope, [public], 1, "the admission")
    opened = value.opened()
    check_voucher(view, opened)
    check_proof(opened, value.certificate, value.proof)
    if opened.voucher.expires - value.admitted_at > VOUCHER_S_MAX:
        raise VoucherInvalid(f"the voucher for {opened.voucher.node!r} was good for too long when it was used")
    if value.admitted_at > opened.voucher.expires:
        raise VoucherInvalid(f"the voucher for {opened.voucher.node!r} had expired when it was used")
    return Signer(public.raw, seed.name)


@contextmanager
def _forbidding() -> Iterator[None]:
    try:
        yield
    except RegistryError as error:
        raise RecordForbidden(error.message) from error


def _shown(version: Version) -> str:
    return f"{version.epoch}.{version.sequence}"


def _parse_roster(payload: bytes) -> tuple[Key, Version, Value]:
    value = Roster.parse(payload)
    return value.key, value.record_version, value


def _parse_deployment(payload: bytes) -> tuple[Key, Version, Value]:
    value = Deployment.parse(payload)
    return value.key, value.version, value


def _parse_admission(payload: bytes) -> tuple[Key, Version, Value]:
    value = Admission.parse(payload)
    opened = value.opened()
    return opened.key, opened.version, value


def _parse_checkpoint(payload: bytes) -> tuple[Key, Version, Value]:
    value = Checkpoint.parse(payload)
    return value.key, value.version, value


_PARSERS: Mapping[str, Callable[[bytes], tuple[Key, Version, Value]]] = {
    roster.PAYLOAD_TYPE: _parse_roster,
    deployment.PAYLOAD_TYPE: _parse_deployment,
    voucher.ADMISSION_TYPE: _parse_admission,
    checkpoint.PAYLOAD_TYPE: _parse_checkpoint,
}


def is_same(former: Record | None, digest: Digest) -> bool:
    """Whether that very payload is what we have."""
    return former is not None and former.head.digest == digest


def doubt(alone: View, record: Record) -> EdgedError | None:
    """Why a record would not be accepted today, if so."""
    try:
        candidate = parse(open_envelope(record.envelope), record.envelope)
        check_signer(alone, candidate)
        check_order(alone, candidate, _before(candidate.head.version))
        if isinstance(candidate.value, Admission):
            check_joining(alone, candidate.value.opened(), candidate.value.certificate, candidate.data)
    except EdgedError as error:
        return error
    except AlarmDue as due:
        return due.error
    return None


def _before(version: Version) -> Version:
    return Version(version.epoch, max(version.sequence - 1, 0))
