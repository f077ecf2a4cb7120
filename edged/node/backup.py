"""What makes a node itself, in one file: its records with their numbers, the vouchers it saw used, and who it is.

    records ── those that the newest roster bears out ──┐
    numbers, ledger, certificate (and key, if asked) ───┴──> archive ──> file ──> the folder of a node that is stopped

Its releases and rollouts are not in it: it fetches what its records name. A restore accepts each record as if a peer
had brought it, and takes no number back: what the folder has newer stays, and so does an identity that is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edged.errors import BackupInvalid, EdgedError
from edged.fleet.backup import FleetBackup, verified
from edged.fleet.certificate import Identity, check_certificate, load_identity, public_key, save_identity
from edged.fleet.checks import check_signer, parse
from edged.fleet.ledger import Ledger
from edged.fleet.names import check_app
from edged.fleet.record import KINDS, Key, Version, open_envelope
from edged.fleet.roster import Roster
from edged.fleet.roster_chain import steps
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.fleet.view import View
from edged.limits import CERTIFICATE_BYTES_MAX, LEDGER_BYTES_MAX, RECORD_COUNT_MAX
from edged.node.config import NodeConfig
from edged.node.run_lock import alone_in
from registry import strict
from registry.errors import RegistryError
from registry.keys import SigningKey

_WHAT = "node"
_FORMAT = 1
_NAME_BYTES_MAX = 64
_KEY_BYTES_MAX = 1024  # PEM; ours have 120


@dataclass(frozen=True, slots=True)
class NodeBackup:
    """Attributes:
    certificate: DER.
    key: private key, PEM; empty where it was not asked for.
    ledger: as the node keeps it; empty for none.
    numbers: the newest version that there ever was, of each record.
    """

    node: str
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    ledger: bytes = field(repr=False)
    numbers: dict[Key, Version]
    fleet: FleetBackup

    def content(self) -> dict[str, object]:
        """For `write_archive`."""
        return {
            "format": _FORMAT,
            "what": _WHAT,
            "node": self.node,
            "certificate": self.certificate,
            "key": self.key,
            "ledger": self.ledger,
            "numbers": [[*key, *version] for key, version in sorted(self.numbers.items())],
            "fleet": self.fleet.content(),
        }

    @staticmethod
    def parse(reader: strict.Reader) -> NodeBackup:
        """What `edged.fleet.archive.decode_archive` gave, verified.

        Raises:
            BackupInvalid
        """
        try:
            if reader.line("what", _NAME_BYTES_MAX) != _WHAT:
                raise BackupInvalid("the backup is not that of a node", remedy="Use it with `edged fleet restore`.")
            reader.integer("format", _FORMAT, _FORMAT)
            backup = NodeBackup(
                node=reader.line("node", _NAME_BYTES_MAX),
                certificate=reader.bytes_("certificate", CERTIFICATE_BYTES_MAX),
                key=reader.bytes_("key", _KEY_BYTES_MAX),
                ledger=reader.bytes_("ledger", LEDGER_BYTES_MAX),
                numbers=dict(_number(item) for item in reader.array("numbers", RECORD_COUNT_MAX + 1)),
                fleet=FleetBackup.parse(reader.reader("fleet")),
            )
            reader.end()
            check_certificate(backup.certificate)
            if backup.key and SigningKey.parse(backup.key, what="the backup's key").public != public_key(
                backup.certificate
            ):
                raise BackupInvalid("the backup's key is not that of its certificate")
            if backup.ledger:
                Ledger.parse(backup.ledger)
        except BackupInvalid:
            raise
        except (RegistryError, EdgedError) as error:
            raise BackupInvalid(f"the backup is none: {error.message}") from None
        return backup


@dataclass(frozen=True, slots=True)
class NodeRestored:
    """What became of a backup.

    Attributes:
        accepted: records that the folder did not have.
        refused: why others did not count, beside those that are older than what is there; sentences.
        has_identity: the node's key is there, as it was or from the backup.
    """

    accepted: int
    refused: tuple[str, ...]
    has_identity: bool


def make_node_backup(config: NodeConfig, *, with_key: bool, now: float) -> NodeBackup:
    """Of a node, which may run meanwhile. Blocks.

    Args:
        now: unix time, s.

    Raises:
        BackupInvalid: the node has no roster that can be read.
        EdgedError: its folder or identity cannot be read.
    """
    identity = load_identity(config.node.key, config.node.certificate)
    store = RecordStore(config.node.state_dir / "records")
    numbers = store.versions()
    held = {key: store.history(key) for key in numbers}
    rosters = [one.envelope for key, found in held.items() if key.kind == "roster" for one in reversed(found)]
    if not rosters:
        raise BackupInvalid("this node has no roster that can be read", remedy="See `edged node reseed`.")
    view = View({}, Roster.parse(open_envelope(rosters[-1]).payload))
    newest = [found[0].envelope for key, found in held.items() if found and key.kind != "roster"]
    fleet = verified(steps(rosters[:-1], rosters[-1]), [data for data in newest if _counts(view, data)], int(now))
    return NodeBackup(
        identity.name,
        identity.certificate,
        identity.key.pem() if with_key else b"",
        store.load_ledger() or b"",
        numbers,
        fleet,
    )


def restore_node(config: NodeConfig, backup: NodeBackup, *, now: float) -> NodeRestored:
    """Into the folder of a node that is stopped, or that never ran. Blocks.

    Raises:
        NodeRuns
        BackupInvalid: it is of another node or fleet than the folder is.
        EdgedError: the folder cannot be used.
    """
    state_dir = config.node.state_dir
    if backup.node != config.node.name:
        raise BackupInvalid(f"the backup is of the node {backup.node!r}, not of {config.node.name!r}")
    with alone_in(state_dir):
        store = RecordStore(state_dir / "records")
        others = sorted(key.name for key in store.versions() if key.kind == "roster" and key.name != backup.fleet.fleet)
        if others:
            raise BackupInvalid(f"the backup is of the fleet {backup.fleet.fleet!r}, the folder of {others[0]!r}")
        has_identity = _restore_identity(config, backup)
        if backup.ledger and store.load_ledger() is None:
            store.load()  # makes the folder
            store.save_ledger(backup.ledger)
        state = FleetState(store, now=now)
        # Of those before the one that is there, root keys may have signed that count no more.
        outcomes = [state.begin(data, now) for data in backup.fleet.rosters if _is_newer(data, state.roster)]
        outcomes += [state.accept(data, now) for data in backup.fleet.records]
        held = store.versions()
        for key, version in backup.numbers.items():
            if key.kind != "admission" and (key not in held or held[key] < version):
                store.keep_number(key, version)  # what is older is all there is, and goes on counting
    refused = [each for each in outcomes if each.error is not None and each.kind != "stale"]
    return NodeRestored(
        sum(each.kind == "accepted" for each in outcomes),
        tuple(f"{each.error.message} [{each.error.code}]" for each in refused if each.error is not None),
        has_identity,
    )


def _restore_identity(config: NodeConfig, backup: NodeBackup) -> bool:
    """One that is there stays. Whether there is one in the end."""
    if config.node.key.exists():
        return True
    if not backup.key:
        return False
    key = SigningKey.parse(backup.key, what="the backup's key")
    config.node.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    save_identity(Identity(backup.node, backup.certificate, key), config.node.key, config.node.certificate)
    return True


def _is_newer(data: bytes, held: Roster | None) -> bool:
    return held is None or parse(open_envelope(data), data).head.version > held.record_version


def _counts(view: View, data: bytes) -> bool:
    """Whether the newest roster bears a record out: others would not be accepted anywhere."""
    try:
        check_signer(view, parse(open_envelope(data), data))
    except EdgedError:
        return False
    return True


def _number(item: object) -> tuple[Key, Version]:
    fields = item if isinstance(item, list) and len(item) == 4 else [None] * 4
    reader = strict.Reader(dict(zip(("kind", "name", "epoch", "sequence"), fields, strict=True)), "backup.numbers")
    said = reader.choice("kind", KINDS)
    name = check_app(reader.line("name", _NAME_BYTES_MAX))  # the widest of the names that records have
    key = Key(next(kind for kind in KINDS if kind == said), name)
    return key, Version(reader.integer("epoch"), reader.integer("sequence"))
