"""Signed envelopes: DSSE v1 (github.com/secure-systems-lab/dsse, protocol.md) over the exact bytes of a payload.

A signature covers the payload's type and its bytes as they are, so nothing is parsed before it is verified, and a
payload of one type never passes for another. An envelope travels in the form of `registry.strict`:

    {"payload": bytes, "payload_type": text, "signatures": [[key id, 64 bytes], ...]}

The id of a key is a hint about which key to try. What a key may do is `registry.keyring`'s affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from registry.errors import EnvelopeInvalid, Malformed
from registry.keys import SIGNATURE_BYTES, PublicKey, SigningKey
from registry.limits import ENVELOPE_BYTES_MAX, PAYLOAD_TYPE_BYTES_MAX, SIGNATURE_COUNT_MAX
from registry.strict import Reader, decode, encode

_KEY_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature.

    Attributes:
        key_id: `PublicKey.id` of the key that claims to have made it.
        signature: 64 bytes.
    """

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload and who signed it. Nothing is verified yet: see `signers` and `registry.keyring`.

    Attributes:
        payload_type: what the payload is, printable.
        payload: its exact bytes.
        signatures: sorted by key id, one of each key; none is allowed, and verifies as nobody's.

    Raises:
        EnvelopeInvalid: a rule or limit is broken.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        if not self.payload_type.isprintable() or not 1 <= len(self.payload_type.encode()) <= PAYLOAD_TYPE_BYTES_MAX:
            raise EnvelopeInvalid(f"a payload type that is not 1 to {PAYLOAD_TYPE_BYTES_MAX} bytes of printable text")
        if len(self.signatures) > SIGNATURE_COUNT_MAX:
            raise EnvelopeInvalid(f"{len(self.signatures)} signatures, where {SIGNATURE_COUNT_MAX} are allowed")
        previous = ""
        for signature in self.signatures:
            if not _KEY_ID.fullmatch(signature.key_id) or len(signature.signature) != SIGNATURE_BYTES:
                raise EnvelopeInvalid("a signature that is not a key id of 64 hexadecimal digits and 64 bytes")
            if signature.key_id <= previous:
                raise EnvelopeInvalid("signatures that are not in the order of their keys, one of each")
            previous = signature.key_id

    def encode(self) -> bytes:
        """The one encoding of this envelope.

        Raises:
            EnvelopeInvalid: longer than ENVELOPE_BYTES_MAX.
        """
        data = encode(
            {
                "payload": self.payload,
                "payload_type": self.payload_type,
                "signatures": [[signature.key_id, signature.signature] for signature in self.signatures],
            }
        )
        if len(data) > ENVELOPE_BYTES_MAX:
            raise EnvelopeInvalid(f"an envelope of {len(data)} bytes, where {ENVELOPE_BYTES_MAX} are allowed")
        return data

    @staticmethod
    def parse(data: bytes, bytes_max: int = ENVELOPE_BYTES_MAX) -> Envelope:
        """The reverse of `encode`: for each envelope these bytes and no others.

        Raises:
            EnvelopeInvalid: no envelope, or longer than `bytes_max`.
        """
        try:
            reader = Reader(decode(data, bytes_max), "envelope")
            envelope = Envelope(
                payload_type=reader.line("payload_type", PAYLOAD_TYPE_BYTES_MAX),
                payload=reader.bytes_("payload", bytes_max),
                signatures=tuple(_signature(item) for item in reader.array("signatures", SIGNATURE_COUNT_MAX)),
            )
            reader.end()
        except Malformed as error:
            raise EnvelopeInvalid(error.message) from None
        return envelope

    def signed_by(self, key: SigningKey) -> Envelope:
        """This envelope with the signature of one more key; a former one of the same key is replaced.

        Raises:
            EnvelopeInvalid: more signatures than SIGNATURE_COUNT_MAX.
        """
        made = Signature(key.public.id, key.sign(pae(self.payload_type, self.payload)))
        others = (signature for signature in self.signatures if signature.key_id != made.key_id)
        return replace(self, signatures=tuple(sorted((*others, made), key=lambda signature: signature.key_id)))


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding of type and payload."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def sign(payload_type: str, payload: bytes, *keys: SigningKey) -> Envelope:
    """An envelope signed by each of the keys.

    Raises:
        EnvelopeInvalid: a type or number of keys that an envelope cannot have.
    """
    envelope = Envelope(payload_type, payload, ())
    for key in keys:
        envelope = envelope.signed_by(key)
    return envelope


def signers(envelope: Envelope, keys: Iterable[PublicKey]) -> frozenset[str]:
    """Which of the keys, by id, have signed. Count these for a threshold: each key counts once.

    Up to SIGNATURE_COUNT_MAX verifications, 3 ms each for a payload of 1 MiB: call it in a thread if it may be so long.
    """
    signatures = {signature.key_id: signature.signature for signature in envelope.signatures}
    signed = pae(envelope.payload_type, envelope.payload)
    candidates = {key.id: key for key in keys}
    return frozenset(
        key_id
        for key_id, signature in signatures.items()
        if key_id in candidates and candidates[key_id].verify(signature, signed)
    )


def _signature(item: object) -> Signature:
    match item:
        case [str(key_id), bytes(signature)]:
            return Signature(key_id, signature)
        case _:
            raise EnvelopeInvalid("where an array of key id and signature is due, there is something else")
