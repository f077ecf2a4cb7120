"""Who there is in a simulated fleet: keys and certificates that are the same in every process, and rosters of them.

What a seed does must not depend on chance that nobody seeded, so keys come from names. They are worth nothing.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edged.fleet.certificate import Identity
from edged.fleet.roster import Key, Node, Region, Roster
from edged.fleet.voucher import Seed, Voucher
from registry.keys import SigningKey

START = 1_800_000_000.0
"""Wall clock at the beginning of every run, unix s."""

FLEET = "sim"
REGIONS = ("eu", "us", "ap")
PREFIXES = ("192.0.2.0/24", "198.51.100.0/24")
"""The first one stays in every roster, the second comes and goes."""

_YEARS = 20  # clocks that jump by days must not make certificates expire: that is the lab's to show


@cache
def signing_key(name: str) -> SigningKey:
    """The same one for the same name, always."""
    return SigningKey(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()))


@cache
def identity(name: str) -> Identity:
    """Likewise."""
    key = signing_key(name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime.fromtimestamp(int(START), datetime.UTC)
    days = datetime.timedelta(days=365 * _YEARS)
    certificate = (
        x509.CertificateBuilder(subject, subject, Ed25519PublicKey.from_public_bytes(key.public.raw))
        .serial_number(1 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
        .not_valid_before(begin - days)
        .not_valid_after(begin + days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key.private, algorithm=None)
    )
    return Identity(name, certificate.public_bytes(Encoding.DER), key)


def root() -> SigningKey:
    return signing_key("root")


def node_name(number: int) -> str:
    return f"n{number}"


def region_of(number: int) -> str:
    return REGIONS[number % len(REGIONS)]


def address_of(name: str) -> str:
    return f"{name}.example:7400"


def node(number: int) -> Node:
    """As the roster has it."""
    name = node_name(number)
    return Node(name, region_of(number), address_of(name), identity(name).certificate)


def key(name: str, *roles: str, apps: tuple[str, ...] = ("*",)) -> Key:
    return Key(name, identity(name).certificate, frozenset(roles), apps)


PUBLISHERS = ("alice", "bob")
"""Both may deploy everything, so that they race. `mallory` holds a key that was stolen, for apps named `stolen*`."""


def first_roster(numbers: Sequence[int]) -> Roster:
    """Of these nodes."""
    return Roster(
        fleet=FLEET,
        epoch=1,
        version=1,
        previous="",
        domain="sim.example",
        regions=tuple(Region(name) for name in REGIONS),
        nodes=tuple(map(node, numbers)),
        keys=(
            *(key(name, "deploy", "read") for name in PUBLISHERS),
            key("operator", "deploy", "read", "admit"),
            key("mallory", "deploy", apps=("stolen*",)),
        ),
        root_keys=(root().public.raw,),
        threshold=1,
        prefixes=PREFIXES,
    )


def following(roster: Roster, **changes: object) -> Roster:
    """The next one."""
    return replace(roster, version=roster.version + 1, previous=roster.digest, **changes)  # type: ignore[arg-type]


def voucher(number: int, seeds: Sequence[Node]) -> bytes:
    """Signed by the operator: lets a node in that no roster has, in its first day."""
    name = node_name(number)
    made = Voucher(
        fleet=FLEET,
        id=hashlib.sha256(f"voucher {name}".encode()).hexdigest()[:32],
        node=name,
        region=region_of(number),
        address=address_of(name),
        expires=int(START) + 86_400,
        root_keys=(root().public.raw,),
        seeds=tuple(Seed(each.address, each.certificate) for each in seeds),
    )
    return made.seal(signing_key("operator"))


def without_key(roster: Roster, name: str) -> Roster:
    """The next one, which revokes a key, if it is still there."""
    revoked = signing_key(name).public.id
    return following(
        roster,
        keys=tuple(each for each in roster.keys if each.name != name),
        revoked=roster.revoked | {revoked},
    )


def without_node(roster: Roster, name: str) -> Roster:
    """The next one, without a node, whose key is revoked."""
    return following(
        roster,
        nodes=tuple(each for each in roster.nodes if each.name != name),
        revoked=roster.revoked | {signing_key(name).public.id},
    )
