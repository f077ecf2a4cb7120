"""The roster: whom the fleet is made of. Signed by root keys, which are kept offline.

Everything that a node lets anybody do follows from the roster that it holds. A new one is signed by enough of the old
root keys, and by enough of its own: so a chain leads from the roster that a node began with to each later one.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from edged.errors import IdentityInvalid, RecordInvalid
from edged.fleet.certificate import check_certificate, public_key
from edged.fleet.names import check_address, check_app, check_app_glob, check_host_name, check_label
from edged.fleet.record import VERSION, check_signed, open_envelope, refusing, seal
from edged.fleet.record import Key as RecordKey
from edged.fleet.record import Version as RecordVersion
from edged.fleet.wave_order import Waves, read_waves
from edged.limits import (
    CERTIFICATE_BYTES_MAX,
    EPOCH_MAX,
    FLOOR_COUNT_MAX,
    KEY_APP_COUNT_MAX,
    KEY_COUNT_MAX,
    NODE_COUNT_MAX,
    PREFIX_COUNT_MAX,
    RECORD_BYTES_MAX,
    REGION_COUNT_MAX,
    REVOKED_COUNT_MAX,
    ROOT_KEY_COUNT_MAX,
    WAVE_SOAK_S_MAX,
)
from registry import strict
from registry.digest import Digest, digest_of, parse_digest
from registry.keys import PublicKey, SigningKey

PAYLOAD_TYPE = "application/vnd.edged.roster.v1+msgpack"

ROLES = ("deploy", "read", "admit", "checkpoint")
"""What a key may do: sign releases and deployments; see status and logs; make vouchers and steer nodes; sign
checkpoints."""

_KEY_BYTES = 32  # Ed25519, RFC 8032
_TEXT_BYTES_MAX = 512
_url = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,260}/?").fullmatch
_hex = re.compile(r"[0-9a-f]{64}").fullmatch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Region:
    """A place that apps are deployed to, with one node or several."""

    name: str


@dataclass(frozen=True, slots=True)
class Node:
    """A machine.

    Attributes:
        address: host:port where other nodes and publishers reach it.
        certificate: DER.
        url: where its apps are reached, for links that commands print; "" where that is not known.
    """

    name: str
    region: str
    address: str
    certificate: bytes = field(repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A publisher or operator.

    Attributes:
        certificate: DER.
        roles: of ROLES.
        apps: globs; a key with the role `deploy` may publish apps that match one of them.
        regions: where it may; empty for all.
    """

    name: str
    certificate: bytes = field(repr=False)
    roles: frozenset[str]
    apps: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roster:
    """The fleet.

    Attributes:
        epoch: counted up by root to begin all sequences anew, after keys were stolen.
        version: of this roster, from 1 on.
        previous: digest of the roster before; "" for the first.
        domain: apps that name no host are reached as <app>.<domain>; "" for none.
        root_keys: raw Ed25519 public keys, of which `threshold` have to sign the next roster.
        revoked: ids of keys (sha256 of the raw public key, hex) that count no more, nodes' included.
        floors: app -> lowest (epoch, sequence) that may be deployed.
        prefixes: the networks that nodes may announce.
        allow_removal: how many of the prefixes of the roster before this one may take away; see
            `edged.fleet.roster_prefixes`.
        waves: regions in the order in which publishers give them a new release, some of them together; those that are
            left out come last, one by one.
        soak_s: how long each wave has to serve it until the next goes; None for the usual time.
    """

    fleet: str
    epoch: int
    version: int
    previous: Digest | str
    domain: str
    regions: tuple[Region, ...]
    nodes: tuple[Node, ...]
    keys: tuple[Key, ...]
    root_keys: tuple[bytes, ...]
    threshold: int
    revoked: frozenset[str] = frozenset()
    floors: Mapping[str, RecordVersion] = field(default_factory=lambda: MappingProxyType({}))
    prefixes: tuple[str, ...] = ()
    allow_removal: int = 0
    waves: Waves = ()
    soak_s: int | None = None

    @property
    def key(self) -> RecordKey:
        return RecordKey("roster", self.fleet)

    @property
    def record_version(self) -> RecordVersion:
        return RecordVersion(self.epoch, self.version)

    @property
    def digest(self) -> Digest:
        """Of the payload."""
        return digest_of(self.encode())

    def epoch_of(self, app: str) -> int:
        """The epoch that deployments of an app have to have."""
        return max(self.epoch, self.floors[app].epoch if app in self.floors else 0)

    @property
    def parties(self) -> tuple[Node | Key, ...]:
        """Whoever has a certificate."""
        return (*self.nodes, *self.keys)

    def root_publics(self) -> list[PublicKey]:
        return [PublicKey(raw) for raw in self.root_keys]

    def encode(self) -> bytes:
        """The payload: the same for equal rosters. Not checked; `seal` does."""
        return strict.encode(
            {
                "v": VERSION,
                "fleet": self.fleet,
                "epoch": self.epoch,
                "version": self.version,
                "previous": self.previous,
                "domain": self.domain,
                "regions": [{"name": region.name} for region in self.regions],
                "nodes": [
                    {
                        "name": node.name,
                        "region": node.region,
                        "address": node.address,
                        "certificate": node.certificate,
                        "url": node.url,
                    }
                    for node in self.nodes
                ],
                "keys": [
                    {
                        "name": key.name,
                        "certificate": key.certificate,
                        "roles": sorted(key.roles),
                        "apps": list(key.apps),
                        "regions": list(key.regions),
                    }
                    for key in self.keys
                ],
                "root_keys": list(self.root_keys),
                "threshold": self.threshold,
                "revoked": sorted(self.revoked),
                "floors": {app: list(floor) for app, floor in self.floors.items()},
                "prefixes": list(self.prefixes),
                # Left out where they are not used: what was signed before there were such keys stays as it is.
                **({"allow_removal": self.allow_removal} if self.allow_removal else {}),
                **({"waves": [list(wave) for wave in self.waves]} if self.waves else {}),
                **({} if self.soak_s is None else {"soak_s": self.soak_s}),
            }
        )

    def seal(self, keys: Sequence[SigningKey]) -> bytes:
        """The signed record.

        Raises:
            RecordInvalid: it says something that no node would accept.
        """
        with refusing():
            payload = self.encode()
        Roster.parse(payload)
        return seal(PAYLOAD_TYPE, payload, keys)

    @staticmethod
    def parse(payload: bytes) -> Roster:
        """The roster of a payload.

        Raises:
            RecordInvalid
        """
        with refusing():
            fields = strict.decode(payload, RECORD_BYTES_MAX)
            reader = strict.Reader({"waves": [], **fields} if isinstance(fields, dict) else fields, "roster")
            reader.integer("v", VERSION, VERSION)
            regions = _each(reader, "regions", REGION_COUNT_MAX, _region)
            roster = Roster(
                fleet=check_label(reader.line("fleet", _TEXT_BYTES_MAX), "fleet"),
                epoch=reader.integer("epoch", 1, EPOCH_MAX),
                version=reader.integer("version", 1),
                previous=_optional(reader, "previous", parse_digest),
                domain=_optional(reader, "domain", lambda text: check_host_name(text, "domain")),
                regions=regions,
                nodes=_each(reader, "nodes", NODE_COUNT_MAX, _node),
                keys=_each(reader, "keys", KEY_COUNT_MAX, _key),
                root_keys=_root_keys(reader),
                threshold=reader.integer("threshold", 1, ROOT_KEY_COUNT_MAX),
                revoked=frozenset(_revoked(reader)),
                floors=MappingProxyType(_floors(reader)),
                prefixes=tuple(_prefix(text) for text in reader.texts("prefixes", PREFIX_COUNT_MAX, _TEXT_BYTES_MAX)),
                allow_removal=_allow_removal(reader, fields),
                waves=read_waves(reader, [region.name for region in regions], whole=False),
                soak_s=_soak_s(reader, fields),
            )
            reader.end()
            if roster.encode() != payload:
                raise RecordInvalid("the roster is not in the one form that its content has")
        _check_whole(roster)
        return roster

    @staticmethod
    def open(envelope: bytes, pinned: Sequence[bytes] | None = None) -> Roster:
        """The roster of a signed record that is the first one seen here, signed by enough of its own root keys.

        Args:
            pinned: raw root keys that are known from elsewhere (a voucher, a login). At least one of them must have
                signed. None: whoever gave us the file is trusted.

        Raises:
            RecordInvalid, RecordForbidden
        """
        opened = open_envelope(envelope)
        if opened.payload_type != PAYLOAD_TYPE:
            raise RecordInvalid("the record is not a roster")
        roster = Roster.parse(opened.payload)
        check_signed(opened, roster.root_publics(), roster.threshold, "the roster")
        if pinned is not None:
            check_signed(opened, [PublicKey(raw) for raw in pinned], 1, "the roster")
        return roster


def _check_whole(roster: Roster) -> None:
    """What no field can be wrong with alone."""
    regions = {region.name for region in roster.regions}
    for what, names in (
        ("region", [region.name for region in roster.regions]),
        ("node or key", [party.name for party in roster.parties]),
        ("address", [node.address for node in roster.nodes]),
        ("certificate", [party.certificate.hex() for party in roster.parties]),
        ("root key", [key.hex() for key in roster.root_keys]),
    ):
        name, count = next(iter(Counter(names).most_common(1)), ("", 0))
        if count > 1:
            raise RecordInvalid(f"the roster has the {what} {name[:64]!r} twice")
    placed: list[tuple[str, tuple[str, ...]]] = [(node.name, (node.region,)) for node in roster.nodes]
    for name, of in placed + [(key.name, key.regions) for key in roster.keys]:
        unknown = sorted(set(of) - regions)
        if unknown:
            raise RecordInvalid(f"{name!r} is of the region {unknown[0]!r}, which the roster does not have")
    if not roster.threshold <= len(roster.root_keys):
        raise RecordInvalid(f"the threshold is {roster.threshold}, of {len(roster.root_keys)} root keys")
    owners: dict[str, str] = {}
    for party in roster.parties:
        key_id = public_key(party.certificate).id
        if key_id in roster.revoked:
            raise RecordInvalid(f"the key of {party.name!r} is revoked")
        # Otherwise what the key may do would depend on which of the two is looked at.
        if owners.setdefault(key_id, party.name) != party.name:
            raise RecordInvalid(f"{owners[key_id]!r} and {party.name!r} have the same key")
    for key in roster.root_publics():
        if key.id in roster.revoked:
            raise RecordInvalid(f"the root key {key.short} is revoked")


def _each(reader: strict.Reader, name: str, count_max: int, parse: Callable[[strict.Reader], T]) -> tuple[T, ...]:
    found = []
    for item in reader.readers(name, count_max):
        found.append(parse(item))
        item.end()
    return tuple(found)


def _region(reader: strict.Reader) -> Region:
    return Region(check_label(reader.line("name", _TEXT_BYTES_MAX), "region"))


def _node(reader: strict.Reader) -> Node:
    return Node(
        name=check_label(reader.line("name", _TEXT_BYTES_MAX), "node"),
        region=check_label(reader.line("region", _TEXT_BYTES_MAX), "region"),
        address=check_address(reader.line("address", _TEXT_BYTES_MAX), "address"),
        certificate=certificate_of(reader),
        url=_optional(reader, "url", _check_url),
    )


def _key(reader: strict.Reader) -> Key:
    roles = reader.array("roles", len(ROLES))
    if any(role not in ROLES for role in roles) or len(set(map(str, roles))) != len(roles):
        raise RecordInvalid(f"a key has roles that are none of {', '.join(ROLES)}, or one of them twice")
    return Key(
        name=check_label(reader.line("name", _TEXT_BYTES_MAX), "key"),
        certificate=certificate_of(reader),
        roles=frozenset(map(str, roles)),
        apps=tuple(check_app_glob(text, "apps") for text in reader.texts("apps", KEY_APP_COUNT_MAX, _TEXT_BYTES_MAX)),
        regions=tuple(
            check_label(text, "region") for text in reader.texts("regions", REGION_COUNT_MAX, _TEXT_BYTES_MAX)
        ),
    )


def certificate_of(reader: strict.Reader) -> bytes:
    """The field `certificate` of a record."""
    certificate = reader.bytes_("certificate", CERTIFICATE_BYTES_MAX, bytes_min=1)
    try:
        check_certificate(certificate)
    except IdentityInvalid as error:
        raise RecordInvalid(f"{reader.what}: {error.message}") from error
    return certificate


def _root_keys(reader: strict.Reader) -> tuple[bytes, ...]:
    keys = reader.array("root_keys", ROOT_KEY_COUNT_MAX)
    if not keys or not all(isinstance(key, bytes) and len(key) == _KEY_BYTES for key in keys):
        raise RecordInvalid("roster.root_keys is not an array of Ed25519 public keys")
    return tuple(key for key in keys if isinstance(key, bytes))


def _revoked(reader: strict.Reader) -> tuple[str, ...]:
    ids = reader.texts("revoked", REVOKED_COUNT_MAX, _TEXT_BYTES_MAX)
    if list(ids) != sorted(set(ids)) or not all(map(_hex, ids)):
        raise RecordInvalid("roster.revoked is not a sorted array of key ids, of 64 hexadecimal digits each")
    return ids


def _floors(reader: strict.Reader) -> dict[str, RecordVersion]:
    floors = {}
    for app, value in reader.mapping("floors", FLOOR_COUNT_MAX).items():
        if not isinstance(value, list) or len(value) != 2:
            raise RecordInvalid("roster.floors: each is an epoch and a sequence")
        numbers = strict.Reader({"epoch": value[0], "sequence": value[1]}, "roster.floors")
        version = RecordVersion(numbers.integer("epoch", 1, EPOCH_MAX), numbers.integer("sequence", 0))
        floors[check_app(app)] = version
    return floors


def _allow_removal(reader: strict.Reader, fields: object) -> int:
    is_there = isinstance(fields, dict) and "allow_removal" in fields
    return reader.integer("allow_removal", 1, PREFIX_COUNT_MAX) if is_there else 0


def _soak_s(reader: strict.Reader, fields: object) -> int | None:
    is_there = isinstance(fields, dict) and "soak_s" in fields
    return reader.integer("soak_s", 0, WAVE_SOAK_S_MAX) if is_there else None


def _prefix(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise RecordInvalid(f"{text!r} is not a prefix: {error}") from error
    return str(network)


def _check_url(text: str) -> str:
    if not _url(text):
        raise RecordInvalid(f"{text!r} is not the URL of a node: write https://host or http://host:port")
    return text


def _optional(reader: strict.Reader, name: str, parse: Callable[[str], str]) -> str:
    text = reader.line(name, _TEXT_BYTES_MAX, bytes_min=0)
    return parse(text) if text else ""
