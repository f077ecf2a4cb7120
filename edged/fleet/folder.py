"""The operator's fleet folder: what `edged fleet` keeps, and how the next roster comes out of it.

fleet.toml                what people write: regions, nodes, keys
root.key                  signs rosters. Belongs offline, or at least encrypted
operator.key, .crt        the first key: deploys, reads, admits
nodes/*.crt, keys/*.crt   certificates that fleet.toml names
roster.bin                the roster that was signed last: what nodes and publishers are given
rosters/VERSION.bin       all that were ever signed
admissions/NODE.bin       what let nodes in that came with a voucher: `edged fleet admissions`
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edged.errors import (
    FleetFileError,
    FleetFileExists,
    FleetFileMissing,
    IdentityInvalid,
    RecordForbidden,
    RecordInvalid,
    RemovalUnconfirmed,
    UsageError,
)
from edged.fleet.certificate import (
    certificate_pem,
    make_identity,
    public_key,
    read_certificate,
    save_identity,
)
from edged.fleet.checks import check_signer, parse
from edged.fleet.files import read_file, write_file
from edged.fleet.fleet_toml import Source, read_source
from edged.fleet.record import check_signed, open_envelope
from edged.fleet.roster import Key, Node, Region, Roster
from edged.fleet.roster_prefixes import refused_prefixes
from edged.fleet.view import View
from edged.fleet.voucher import Admission, Seed, Voucher
from edged.limits import PASSPHRASE_BYTES_MAX, RECORD_BYTES_MAX, VOUCHER_S_MAX
from registry.errors import RegistryError
from registry.keys import SigningKey

_ID_BYTES = 16
_SEED_COUNT = 3  # in a voucher, where none are named: one may be down


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two rosters, in words.

    Attributes:
        sign: "+" for what comes, "-" for what goes, "~" for what becomes another.
    """

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """The roster that would be signed next.

    Attributes:
        former: what is signed; None for the first.
        removed: names of nodes and keys whose key counts no more with it.
        prefixes_refused: why nodes would go on to announce what it takes away, a sentence; "" if they would not.
    """

    roster: Roster
    former: Roster | None
    changes: tuple[Change, ...]
    removed: tuple[str, ...]
    prefixes_refused: str = ""


class FleetFolder:
    """A folder that `edged fleet init` made. All methods block, and raise the errors of files (`FleetFile...`)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def toml(self) -> Path:
        return self.path / "fleet.toml"

    @property
    def roster_file(self) -> Path:
        return self.path / "roster.bin"

    @property
    def root_key_file(self) -> Path:
        return self.path / "root.key"

    # --- making it ---

    @staticmethod
    def make(
        path: Path, fleet: str, domain: str, regions: Sequence[str], *, now: float, passphrase: bytes | None = None
    ) -> FleetFolder:
        """A new fleet: a root key, an operator, and the first roster with these regions and no nodes.

        Args:
            passphrase: encrypts the root key.

        Raises:
            FleetFileExists: there is a fleet already.
            RecordInvalid: a name that cannot be one.
        """
        folder = FleetFolder(path)
        root = SigningKey.generate()
        operator = make_identity("operator", now=now)
        first = Roster(
            fleet, 1, 1, "", domain, tuple(map(Region, regions)), (), (_operator(operator.certificate),),
            (root.public.raw,), 1,
        )  # fmt: skip
        first.seal([root])  # names are looked at before anything is written
        if folder.toml.exists() or folder.root_key_file.exists():
            raise FleetFileExists(f"{path} has a fleet already", remedy="Name another folder.")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("nodes", "keys", "rosters"):
                (path / name).mkdir(exist_ok=True)
        except OSError as error:
            raise FleetFileError(f"{path} cannot be made: {error.strerror}") from error
        _save_key(root, folder.root_key_file, passphrase)
        save_identity(operator, path / "operator.key", path / "operator.crt")
        write_file(folder.toml, _first_toml(first).encode(), mode=0o644)
        folder.sign(folder.draft(), [root])
        return folder

    # --- reading it ---

    def signed(self) -> Roster | None:
        """The roster that was signed last.

        Raises:
            RecordInvalid, RecordForbidden: roster.bin is damaged.
        """
        try:
            return Roster.open(read_file(self.roster_file, RECORD_BYTES_MAX))
        except FleetFileMissing:
            return None

    def draft(self, admissions: Iterable[bytes] = ()) -> Draft:
        """What fleet.toml says now, compared with what is signed.

        Args:
            admissions: signed records of nodes that came with vouchers, to be taken over.

        Raises:
            FleetFileInvalid, IdentityInvalid
            RecordInvalid, RecordForbidden, VoucherInvalid: an admission that is none.
        """
        former = self.signed()
        version, previous = (1, "") if former is None else (former.version + 1, former.digest)
        drafted = read_source(self.toml).roster(version, previous)
        for data in admissions:
            node = self._admitted(former, data)
            if all(node.name != other.name for other in drafted.nodes):
                drafted = replace(drafted, nodes=(*drafted.nodes, node))
        held = {public_key(party.certificate).id for party in drafted.parties}
        gone = [party for party in (former.parties if former else ()) if public_key(party.certificate).id not in held]
        revoked = drafted.revoked | {public_key(party.certificate).id for party in gone}
        revoked |= (former.revoked if former else frozenset()) - held
        drafted = replace(drafted, revoked=revoked)
        Roster.parse(drafted.encode())
        refused = refused_prefixes([data for _, data in self.signed_after(0)], drafted)
        return Draft(drafted, former, tuple(_changes(former, drafted)), tuple(party.name for party in gone), refused)

    def root_keys(self, paths: Sequence[Path], passphrase: bytes | None) -> list[SigningKey]:
        """The keys to sign with; `root.key` where none are named.

        Raises:
            IdentityInvalid
        """
        keys = []
        for path in paths or [self.root_key_file]:
            try:
                keys.append(SigningKey.load(path, passphrase=passphrase))
            except RegistryError as error:
                remedy = error.remedy if "encrypted" not in error.message else "Give it with --passphrase-file."
                raise IdentityInvalid(error.message, remedy=remedy) from error
        return keys

    def signed_after(self, version: int) -> list[tuple[int, bytes]]:
        """Versions and signed records of the rosters after that one, oldest first."""
        found = []
        for path in (self.path / "rosters").glob("[0-9]*.bin"):
            data = read_file(path, RECORD_BYTES_MAX)
            roster = Roster.open(data)
            if roster.version > version:
                found.append((roster.version, data))
        return sorted(found)

    # --- changing it ---

    def sign(self, draft: Draft, keys: Sequence[SigningKey], *, removals: int = 1) -> Roster:
        """Sign a draft: from now on it is the roster. Nodes that it takes over are written to fleet.toml as well.

        Args:
            removals: how many nodes and keys may go.

        Raises:
            RemovalUnconfirmed
            RecordForbidden: not enough root keys, old or new.
        """
        if len(draft.removed) > max(removals, 1):
            raise RemovalUnconfirmed(
                f"{len(draft.removed)} nodes and keys would go: {', '.join(draft.removed)}",
                remedy=f"If that is meant, add --yes-remove {len(draft.removed)}.",
            )
        roster = draft.roster
        data = roster.seal(keys)
        envelope = open_envelope(data)
        for of in (roster, draft.former or roster):
            try:
                check_signed(envelope, of.root_publics(), of.threshold, "the roster")
            except RecordForbidden as error:
                raise RecordForbidden(
                    error.message, remedy="Name enough root keys with --root-key; new root keys sign beside old ones."
                ) from error
        self._write_taken_over(roster)
        history = self.path / "rosters"
        history.mkdir(exist_ok=True)
        write_file(history / f"{roster.version:06}.bin", data, mode=0o644, replace=True)
        write_file(self.roster_file, data, mode=0o644, replace=True)
        return roster

    def add_node(self, name: str, region: str, address: str, certificate: Path, url: str) -> Node:
        """Write a node to fleet.toml; it counts when that is signed.

        Raises:
            UsageError: there is one of that name.
            RecordInvalid, IdentityInvalid
        """
        node = Node(name, region, address, read_certificate(certificate), url)
        self._add("node", node, {"name": name, "region": region, "address": address} | ({"url": url} if url else {}))
        return node

    def add_key(
        self, name: str, certificate: Path, roles: Sequence[str], apps: Sequence[str], regions: Sequence[str]
    ) -> Key:
        """Write a publisher's or operator's key to fleet.toml; it counts when that is signed. Errors: as `add_node`."""
        key = Key(name, read_certificate(certificate), frozenset(roles), tuple(apps), tuple(regions))
        self._add("key", key, {"name": name, "roles": sorted(roles), "apps": list(apps), "regions": list(regions)})
        return key

    def voucher(
        self, node: str, region: str, address: str, seeds: Sequence[str], key: SigningKey, *, expires: float, now: float
    ) -> bytes:
        """A signed voucher for a new node.

        Args:
            seeds: names of nodes that it may ask; some of the roster's where none are named.
            expires: unix time, s.

        Raises:
            UsageError: no roster or no node to ask, a seed, region or name that cannot be, or a time too long.
        """
        roster = self.signed()
        if roster is None or not roster.nodes:
            raise UsageError(
                "the roster has no node that a new one could ask",
                remedy="Add the first one with `edged fleet add-node` and sign.",
            )
        by_name = {one.name: one for one in roster.nodes}
        unknown = [name for name in seeds if name not in by_name]
        if unknown:
            raise UsageError(f"the roster has no node {unknown[0]!r}", remedy="See `edged fleet show`.")
        if node in {party.name for party in roster.parties}:
            raise UsageError(f"the roster has {node!r} already", remedy="Choose another name, or remove it and sign.")
        if region not in {one.name for one in roster.regions}:
            raise UsageError(f"the roster has no region {region!r}", remedy="Add it to fleet.toml and sign.")
        if not now < expires <= now + VOUCHER_S_MAX:
            raise UsageError(
                f"a voucher is good for at most {VOUCHER_S_MAX // 86_400} days", remedy="Shorten --good-for."
            )
        asked = [by_name[name] for name in seeds or list(by_name)[:_SEED_COUNT]]
        return Voucher(
            roster.fleet,
            secrets.token_hex(_ID_BYTES),
            node,
            region,
            address,
            int(expires),
            roster.root_keys,
            tuple(Seed(seed.address, seed.certificate) for seed in asked),
        ).seal(key)

    def keep_admission(self, name: str, data: bytes) -> Path:
        """Keep the signed admission of a node, to be named when the next roster is signed."""
        path = self.path / "admissions" / f"{name}.bin"
        path.parent.mkdir(exist_ok=True)
        write_file(path, data, mode=0o644, replace=True)
        return path

    def _add(self, kind: str, party: Node | Key, table: Mapping[str, object]) -> None:
        drafted = self.draft().roster
        if any(party.name == other.name for other in drafted.parties):
            raise UsageError(
                f"fleet.toml has {party.name!r} already",
                remedy="Choose another name. Another certificate goes in the place of the file that is named there.",
            )
        # All rules of rosters hold before anything is written.
        if isinstance(party, Node):
            whole = replace(drafted, nodes=(*drafted.nodes, party))
        else:
            whole = replace(drafted, keys=(*drafted.keys, party))
        held = public_key(party.certificate).id
        Roster.parse(replace(whole, revoked=whole.revoked - {held}).encode())
        self._append(kind, party, table)

    def _append(self, kind: str, party: Node | Key, table: Mapping[str, object]) -> None:
        certificate = Path(f"{kind}s") / f"{party.name}.crt"
        source = read_source(self.toml).with_table(kind, {**table, "certificate": str(certificate)})
        (self.path / f"{kind}s").mkdir(exist_ok=True)
        write_file(self.path / certificate, certificate_pem(party.certificate).encode(), mode=0o644, replace=True)
        write_file(self.toml, source.text.encode(), mode=0o644, replace=True)

    def _write_taken_over(self, roster: Roster) -> None:
        source: Source = read_source(self.toml)
        written = {node.name for node in source.roster(roster.version, roster.previous).nodes}
        for node in roster.nodes:
            if node.name not in written:
                self._append("node", node, {"name": node.name, "region": node.region, "address": node.address})

    def _admitted(self, former: Roster | None, data: bytes) -> Node:
        candidate = parse(open_envelope(data), data)
        if not isinstance(candidate.value, Admission):
            raise RecordInvalid("the record is not an admission")
        check_signer(View({}, former), candidate)
        return candidate.value.opened().node(candidate.value.certificate)


def read_passphrase(path: Path | None) -> bytes | None:
    """The first line of a file; None for no file.

    Raises:
        UsageError: it is empty.
        FleetFileMissing, FleetFileError, FleetFileInvalid
    """
    if path is None:
        return None
    passphrase = read_file(path, PASSPHRASE_BYTES_MAX).split(b"\n")[0].rstrip(b"\r")
    if not passphrase:
        raise UsageError(f"{path} begins with an empty line", remedy="Write the passphrase into its first line.")
    return passphrase


def _save_key(key: SigningKey, path: Path, passphrase: bytes | None) -> None:
    try:
        key.save(path, passphrase=passphrase)
    except RegistryError as error:
        raise IdentityInvalid(error.message, remedy=error.remedy) from error


def _operator(certificate: bytes) -> Key:
    return Key("operator", certificate, frozenset({"deploy", "read", "admit"}), ("*",))


def _changes(former: Roster | None, roster: Roster) -> Iterable[Change]:
    """What a signature would change, one line each."""
    old, new = _lines(former) if former is not None else {}, _lines(roster)
    for name in sorted({*old, *new}):
        if name not in new:
            yield Change("-", f"{name}  {old[name]}".rstrip())
        elif name not in old:
            yield Change("+", f"{name}  {new[name]}".rstrip())
        elif old[name] != new[name]:
            yield Change("~", f"{name}  {old[name]} -> {new[name]}")


def _lines(roster: Roster) -> dict[str, str]:
    lines = {f"region {region.name}": "" for region in roster.regions}
    lines |= {f"node {node.name}": _node_line(node) for node in roster.nodes}
    lines |= {f"key {key.name}": _key_line(key) for key in roster.keys}
    lines |= {f"root key {key.short}": "" for key in roster.root_publics()}
    lines |= {f"revoked key {key[:16]}": "" for key in roster.revoked}
    lines |= {f"floor of {app}": f"{floor.epoch}.{floor.sequence}" for app, floor in roster.floors.items()}
    lines |= {f"prefix {prefix}": "" for prefix in roster.prefixes}
    if roster.allow_removal:
        lines["prefixes that may be taken away"] = str(roster.allow_removal)
    if roster.waves:
        lines["waves of a release"] = ", then ".join(" and ".join(wave) for wave in roster.waves)
    if roster.soak_s is not None:
        lines["time that a wave takes"] = f"{roster.soak_s} s"
    lines |= {"domain": roster.domain or "none", "epoch": str(roster.epoch), "threshold": str(roster.threshold)}
    return lines | {"fleet": roster.fleet}


def _node_line(node: Node) -> str:
    return f"{node.region} {node.address} {public_key(node.certificate).short} {node.url}".rstrip()


def _key_line(key: Key) -> str:
    where = ",".join(key.regions) or "all regions"
    return (
        f"{','.join(sorted(key.roles))} apps={','.join(key.apps) or 'none'} {where} {public_key(key.certificate).short}"
    )


def _first_toml(roster: Roster) -> str:
    regions = ", ".join(f'"{region.name}"' for region in roster.regions)
    return f'''# The fleet {roster.fleet}. Nothing of this counts before `edged fleet sign`.
# docs/fleet.md lists all keys.

fleet = "{roster.fleet}"
domain = "{roster.domain}"      # an app without hosts of its own is reached as <app>.<domain>
regions = [{regions}]
prefixes = []                 # anycast networks that nodes may announce

[root]
# Whoever has these keys can change everything here. `threshold` of them sign a roster.
keys = ["{roster.root_keys[0].hex()}"]
threshold = 1

[[key]]
name = "operator"
roles = ["deploy", "read", "admit"]
apps = ["*"]
certificate = "operator.crt"
'''
