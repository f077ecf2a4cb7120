"""What all records of the fleet have in common: a DSSE envelope around strict msgpack, and a place in an order.

roster      whom the fleet is made of            signed by root keys
deployment  which release an app has, and where  signed by a key with the role `deploy`
voucher     lets one new node in                 signed by a key with the role `admit`; travels by hand
admission   a node that came with a voucher      signed by the node that let it in
checkpoint  what there was at a moment           signed by a key with the role `checkpoint`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edged.errors import RecordForbidden, RecordInvalid
from edged.limits import RECORD_BYTES_MAX
from registry.digest import Digest
from registry.dsse import Envelope, sign, signers
from registry.errors import RegistryError
from registry.keys import PublicKey, SigningKey

Kind = Literal["roster", "admission", "deployment", "checkpoint"]
"""What is kept and spread. In this order, for each needs those before it."""

KINDS: tuple[Kind, ...] = ("roster", "admission", "deployment", "checkpoint")

VERSION = 1
"""Of the form of every record: the field `v`."""


class Version(NamedTuple):
    """A record's place among those of its name. The higher one wins."""

    epoch: int
    sequence: int


class Key(NamedTuple):
    """Which record: of a deployment the app's name, of an admission the node's, of others the fleet's."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest version of one record.

    Attributes:
        digest: of the payload: signatures may differ.
    """

    key: Key
    version: Version
    digest: Digest


@contextmanager
def refusing() -> Iterator[None]:
    """What the registry's parsers refuse, as an error of ours.

    Raises:
        RecordInvalid
    """
    try:
        yield
    except RegistryError as error:
        raise RecordInvalid(error.message) from error


def seal(payload_type: str, payload: bytes, keys: Sequence[SigningKey]) -> bytes:
    """A signed record, as it is sent and stored.

    Raises:
        RecordInvalid: longer than RECORD_BYTES_MAX.
    """
    with refusing():
        envelope = sign(payload_type, payload, *keys).encode()
    if len(envelope) > RECORD_BYTES_MAX:
        raise RecordInvalid(
            f"the record has {len(envelope)} bytes, more than {RECORD_BYTES_MAX}", remedy="Leave something out."
        )
    return envelope


def open_envelope(data: bytes) -> Envelope:
    """A signed record taken out of its form; nothing is said about the signatures yet.

    Raises:
        RecordInvalid
    """
    with refusing():
        return Envelope.parse(data, RECORD_BYTES_MAX)


def check_signed(envelope: Envelope, keys: Sequence[PublicKey], threshold: int, what: str) -> None:
    """Demand good signatures of at least `threshold` different ones of these keys.

    Raises:
        RecordForbidden
    """
    signed = len(signers(envelope, keys))
    if signed < threshold:
        raise RecordForbidden(
            f"{what} has {signed} good signatures of keys that may sign it, where {threshold} are due"
        )
