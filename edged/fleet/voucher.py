"""How a new machine gets into the fleet without anybody touching the root key: a voucher, and the admission it becomes.

    operator (role `admit`) ── voucher ──> new node ── join: voucher, certificate, proof ──> a node of the roster
                                                  <── admission, roster, records ──────────

The voucher names the node and its region, and is good for one key. The new node makes its key itself, and proves that
it holds it by signing voucher and certificate together. The node of the roster that it asks signs an admission, which
spreads as all records do. `edged fleet sign` later puts admitted nodes into the roster.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from functools import lru_cache

from edged.errors import RecordInvalid, VoucherInvalid
from edged.fleet.certificate import Identity, public_key
from edged.fleet.names import check_address, check_label
from edged.fleet.record import VERSION, Key, Version, open_envelope, refusing, seal
from edged.fleet.roster import Node, certificate_of
from edged.limits import (
    RECORD_BYTES_MAX,
    ROOT_KEY_COUNT_MAX,
    VOUCHER_BYTES_MAX,
    VOUCHER_SEED_COUNT_MAX,
)
from registry import strict
from registry.digest import Digest, digest_of
from registry.dsse import Envelope, pae
from registry.keys import SigningKey

VOUCHER_TYPE = "application/vnd.edged.voucher.v1+msgpack"
ADMISSION_TYPE = "application/vnd.edged.admission.v1+msgpack"

TOKEN_PREFIX = "edged-voucher-"  # noqa: S105 - the beginning of all, not one of them

_PROOF_TYPE = "application/vnd.edged.join.v1"
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_TEXT_BYTES_MAX = 512
_OPENED_COUNT = 1_024  # vouchers of admissions, which every view of the fleet looks into: 1 ms each, 20 KiB in memory
_id = re.compile(r"[0-9a-f]{32}").fullmatch


@dataclass(frozen=True, slots=True)
class Seed:
    """A node that a new one may ask.

    Attributes:
        certificate: DER: what it has to show in TLS.
    """

    address: str
    certificate: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Voucher:
    """Lets one node in.

    Attributes:
        id: 32 random hexadecimal digits.
        node: its name to be.
        address: host:port where it will be reached.
        expires: unix time, s.
        root_keys: raw; the roster that the new node is given must be signed by one of them.
    """

    fleet: str
    id: str
    node: str
    region: str
    address: str
    expires: int
    root_keys: tuple[bytes, ...]
    seeds: tuple[Seed, ...]

    def encode(self) -> bytes:
        """The payload: the same for equal vouchers."""
        return strict.encode(
            {
                "v": VERSION,
                "fleet": self.fleet,
                "id": self.id,
                "node": self.node,
                "region": self.region,
                "address": self.address,
                "expires": self.expires,
                "root_keys": list(self.root_keys),
                "seeds": [{"address": seed.address, "certificate": seed.certificate} for seed in self.seeds],
            }
        )

    def seal(self, key: SigningKey) -> bytes:
        """The signed record: what `token_of` makes text of.

        Raises:
            RecordInvalid: it says something that no node would accept, or is too long.
        """
        with refusing():
            payload = self.encode()
        Voucher.parse(payload)
        envelope = seal(VOUCHER_TYPE, payload, [key])
        if len(envelope) > VOUCHER_BYTES_MAX:
            raise RecordInvalid("the voucher is too long", remedy="Name fewer seeds.")
        return envelope

    @staticmethod
    def parse(payload: bytes) -> Voucher:
        """The voucher of a payload.

        Raises:
            RecordInvalid
        """
        with refusing():
            reader = strict.Reader(strict.decode(payload, VOUCHER_BYTES_MAX), "voucher")
            reader.integer("v", VERSION, VERSION)
            voucher = Voucher(
                fleet=check_label(reader.line("fleet", _TEXT_BYTES_MAX), "fleet"),
                id=reader.line("id", _TEXT_BYTES_MAX),
                node=check_label(reader.line("node", _TEXT_BYTES_MAX), "node"),
                region=check_label(reader.line("region", _TEXT_BYTES_MAX), "region"),
                address=check_address(reader.line("address", _TEXT_BYTES_MAX), "address"),
                expires=reader.integer("expires"),
                root_keys=tuple(_root_keys(reader)),
                seeds=tuple(map(_seed, reader.readers("seeds", VOUCHER_SEED_COUNT_MAX))),
            )
            reader.end()
        if not _id(voucher.id):
            raise RecordInvalid("voucher.id is not 32 hexadecimal digits")
        return voucher


@dataclass(frozen=True, slots=True)
class Admission:
    """A node that a voucher let in.

    Attributes:
        voucher: the signed record.
        certificate: of the new node, DER.
        proof: of the new node's key, over voucher and certificate.
        admitted_by: name of the node of the roster that signs this.
        admitted_at: unix time, s, of that node's clock.
    """

    voucher: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    proof: bytes = field(repr=False)
    admitted_by: str
    admitted_at: int

    def encode(self) -> bytes:
        """The payload: the same for equal admissions."""
        return strict.encode(
            {
                "v": VERSION,
                "voucher": self.voucher,
                "certificate": self.certificate,
                "proof": self.proof,
                "admitted_by": self.admitted_by,
                "admitted_at": self.admitted_at,
            }
        )

    def seal(self, key: SigningKey) -> bytes:
        """The signed record."""
        with refusing():
            payload = self.encode()
        Admission.parse(payload)
        return seal(ADMISSION_TYPE, payload, [key])

    @staticmethod
    def parse(payload: bytes) -> Admission:
        """The admission of a payload. The voucher in it is still to be opened.

        Raises:
            RecordInvalid
        """
        with refusing():
            reader = strict.Reader(strict.decode(payload, RECORD_BYTES_MAX), "admission")
            reader.integer("v", VERSION, VERSION)
            admission = Admission(
                voucher=reader.bytes_("voucher", VOUCHER_BYTES_MAX),
                certificate=certificate_of(reader),
                proof=reader.bytes_("proof", _SIGNATURE_BYTES, bytes_min=_SIGNATURE_BYTES),
                admitted_by=check_label(reader.line("admitted_by", _TEXT_BYTES_MAX), "node"),
                admitted_at=reader.integer("admitted_at"),
            )
            reader.end()
        return admission

    def opened(self) -> OpenedVoucher:
        """The voucher, not verified.

        Raises:
            RecordInvalid
        """
        return _opened(self.voucher)

    @property
    def digest(self) -> Digest:
        return digest_of(self.encode())


@dataclass(frozen=True, slots=True)
class OpenedVoucher:
    """A voucher and the envelope that it came in.

    Attributes:
        digest: of the payload.
    """

    voucher: Voucher
    envelope: Envelope
    digest: Digest

    @property
    def key(self) -> Key:
        """Of the admission that it becomes."""
        return Key("admission", self.voucher.node)

    @property
    def version(self) -> Version:
        """Of the admission that it becomes: a later voucher for a name replaces who came with an earlier one."""
        return Version(1, self.voucher.expires)

    def node(self, certificate: bytes) -> Node:
        """The node that joins with it."""
        return Node(self.voucher.node, self.voucher.region, self.voucher.address, certificate)


def open_voucher(envelope: bytes) -> OpenedVoucher:
    """A voucher taken out of its envelope; nothing is said about the signature.

    Raises:
        RecordInvalid
    """
    if len(envelope) > VOUCHER_BYTES_MAX:
        raise RecordInvalid(f"the voucher has more than {VOUCHER_BYTES_MAX} bytes")
    opened = open_envelope(envelope)
    if opened.payload_type != VOUCHER_TYPE:
        raise RecordInvalid("the record is not a voucher")
    return OpenedVoucher(Voucher.parse(opened.payload), opened, digest_of(opened.payload))


_opened = lru_cache(maxsize=_OPENED_COUNT)(open_voucher)


def token_of(envelope: bytes) -> str:
    """A signed voucher as one word of text."""
    return TOKEN_PREFIX + base64.urlsafe_b64encode(envelope).decode("ascii").rstrip("=")


def parse_token(text: str) -> bytes:
    """The signed voucher of a token, with whatever space is around it.

    Raises:
        VoucherInvalid
    """
    word = text.strip()
    if len(word) > len(TOKEN_PREFIX) + 2 * VOUCHER_BYTES_MAX or not word.startswith(TOKEN_PREFIX):
        raise VoucherInvalid(f"not a voucher: one begins with {TOKEN_PREFIX}")
    body = word.removeprefix(TOKEN_PREFIX)
    try:
        envelope = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        open_voucher(envelope)
    except (binascii.Error, ValueError, RecordInvalid) as error:
        raise VoucherInvalid("the voucher is damaged: characters are missing or changed") from error
    return envelope


def prove(voucher: bytes, identity: Identity) -> bytes:
    """What a new node sends beside voucher and certificate: a signature that only the certificate's key can make.

    Raises:
        RecordInvalid
    """
    return identity.key.sign(_proven(open_voucher(voucher).digest, identity.certificate))


def check_proof(voucher: OpenedVoucher, certificate: bytes, proof: bytes) -> None:
    """Demand that `prove` made the proof.

    Raises:
        VoucherInvalid
    """
    if not public_key(certificate).verify(proof, _proven(voucher.digest, certificate)):
        raise VoucherInvalid("the voucher came with a certificate whose key did not sign it")


def _proven(voucher: Digest, certificate: bytes) -> bytes:
    return pae(_PROOF_TYPE, strict.encode({"certificate": digest_of(certificate), "voucher": voucher}))


def _root_keys(reader: strict.Reader) -> list[bytes]:
    keys = reader.array("root_keys", ROOT_KEY_COUNT_MAX)
    found = [key for key in keys if isinstance(key, bytes) and len(key) == _KEY_BYTES]
    if not found or len(found) != len(keys):
        raise RecordInvalid("voucher.root_keys is not an array of Ed25519 public keys")
    return found


def _seed(reader: strict.Reader) -> Seed:
    seed = Seed(check_address(reader.line("address", _TEXT_BYTES_MAX), "seed"), certificate_of(reader))
    reader.end()
    return seed
