"""A small fleet to test with: two regions, a root key, an operator, a publisher, and what they sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509

from edged.fleet.certificate import Identity, make_identity
from edged.fleet.deployment import Deployment
from edged.fleet.record import Key as RecordKey
from edged.fleet.roster import Key, Node, Region, Roster
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.fleet.voucher import Seed, Voucher, prove
from registry.digest import Digest, digest_of
from registry.disk import Disk
from registry.keys import SigningKey

NOW = 1_800_000_000.0
RELEASE = digest_of(b"a release")
OTHER_RELEASE = digest_of(b"another release")
ROSTER = RecordKey("roster", "demo")


@cache
def identity(name: str) -> Identity:
    """The same one for the same name, for a test run."""
    return make_identity(name, now=NOW)


def root(name: str = "root") -> SigningKey:
    """A root key, likewise."""
    return _root(name)


@cache
def _root(_name: str) -> SigningKey:
    return SigningKey.generate()


def node(name: str, region: str = "eu", port: int = 7400) -> Node:
    return Node(name, region, f"{name}.example:{port}", identity(name).certificate, f"https://{name}.example")


def key(name: str, *roles: str, apps: tuple[str, ...] = ("*",), regions: tuple[str, ...] = ()) -> Key:
    return Key(name, identity(name).certificate, frozenset(roles), apps, regions)


def roster(**changes: Any) -> Roster:
    """Nodes n1 in eu and n2 in us; `operator` may everything, `shopkeeper` shop-* only, `euro` what runs in eu."""
    return replace(
        Roster(
            fleet="demo",
            epoch=1,
            version=1,
            previous="",
            domain="demo.localhost",
            regions=(Region("eu"), Region("us")),
            nodes=(node("n1"), node("n2", "us")),
            keys=(
                key("operator", "deploy", "read", "admit"),
                key("shopkeeper", "deploy", apps=("shop-*",)),
                key("euro", "deploy", regions=("eu",)),
                key("reader", "read"),
            ),
            root_keys=(root().public.raw,),
            threshold=1,
        ),
        **changes,
    )


def deployment(app: str = "shop", sequence: int = 1, **changes: Any) -> Deployment:
    regions: Mapping[str, Digest] = {"eu": RELEASE, "us": RELEASE}
    return replace(Deployment("demo", app, 1, sequence, regions), **changes)


def signed(app: str = "shop", sequence: int = 1, by: str = "operator", **changes: Any) -> bytes:
    """A signed deployment."""
    return deployment(app, sequence, **changes).seal(identity(by).key)


def state(folder: Path, *, disk: Disk | None = None, **changes: Any) -> FleetState:
    """A node that has the roster."""
    found = FleetState(RecordStore(folder, disk=disk), now=NOW)
    if found.roster is None:
        outcome = found.begin(roster(**changes).seal([root()]), NOW)
        assert outcome.kind == "accepted", outcome
    return found


def forged(there: bytes, instead: bytes, who: Identity | None = None) -> bytes:
    """The certificate of `who`, or of a node "abcdefgh", with some of its bytes changed, and signed again."""
    who = who or identity("abcdefgh")
    content = x509.load_der_x509_certificate(who.certificate).tbs_certificate_bytes
    assert there in content
    assert len(there) == len(instead)
    content = content.replace(there, instead)
    inside = content + bytes.fromhex("300506032b6570") + b"\x03\x41\x00" + who.key.sign(content)
    return b"\x30\x82" + len(inside).to_bytes(2, "big") + inside


@dataclass
class Joining:
    """A new node with its voucher."""

    name: str = "n3"
    by: str = "operator"
    region: str = "us"
    expires: int = int(NOW) + 3_600
    fleet: str = "demo"
    identity: Identity = field(init=False)
    voucher: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.identity = identity(self.name)
        seeds = (Seed("n1.example:7400", identity("n1").certificate),)
        self.voucher = Voucher(
            self.fleet,
            f"{len(self.name):032x}",
            self.name,
            self.region,
            f"{self.name}.example:7400",
            self.expires,
            (root().public.raw,),
            seeds,
        ).seal(identity(self.by).key)

    def proof(self, who: Identity | None = None) -> bytes:
        return prove(self.voucher, who or self.identity)
