"""A node that cannot go on as it is comes into its fleet again, as what it was: with its name, its key, its apps' data.

    it was away so long that the root keys have moved past its rosters   a roster from the operator
    its certificate has expired, or its key is revoked                   a new key, and a roster or voucher for that
    its disk is damaged                                                  either

    records/    content goes, numbers stay: what is older than what this node once had, it takes from nobody
    rollouts/   go; the numbers in them stay with those
    registry/, checkouts/   go, unless they are to be kept: peers have the releases
    identity/, apps/, cache/, the ledger of used vouchers   stay

Numbers are durable before what they stand for goes, so this may be cut short at any moment and run again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from edged.errors import NodeUnknown, RecordStale, StateFolderError, UsageError
from edged.fleet.certificate import Identity, load_identity, make_identity, save_identity
from edged.fleet.files import read_file
from edged.fleet.record import Key, Version
from edged.fleet.roster import Roster
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.fleet.voucher import open_voucher
from edged.limits import RECORD_BYTES_MAX
from edged.node.config import NodeConfig
from edged.node.joining import join, own_node, read_voucher, take_roster
from edged.node.rollout_store import RolloutStore
from edged.node.run_lock import alone_in
from edged.version import VERSION
from registry.disk import Disk

_BEFORE = ".before"
"""What the names of a former key and certificate end with."""


@dataclass(frozen=True, slots=True)
class Reseeded:
    """What was done.

    Attributes:
        fingerprint: of the certificate that the node has now.
        is_new_key: it was made now.
        forgotten: how many records went; their numbers stay.
        roster_version: that the node has now; 0 for none: it is given one at its start.
        is_known: the roster, or an admission, has this node.
    """

    fingerprint: str
    is_new_key: bool
    forgotten: int
    roster_version: int
    is_known: bool


@dataclass(frozen=True, slots=True)
class Way:
    """How the node is to come back.

    Attributes:
        roster, voucher: files; those of the node.toml where neither is named.
        new_key: make another key and certificate.
        keep_releases: of a node whose disk is sound.
    """

    roster: Path | None = None
    voucher: Path | None = None
    new_key: bool = False
    keep_releases: bool = False


async def reseed(config: NodeConfig, way: Way, disk: Disk | None = None) -> Reseeded:
    """Everything. With a voucher a node of the fleet is asked; nothing else needs a network.

    Raises:
        NodeRuns: stop it first.
        NodeUnknown, UsageError, RecordStale, VoucherInvalid: it could not come back in this way. Nothing has changed.
        JoinFailed: nobody let it in. It may be run again, with another voucher.
        EdgedError: a file or the folder cannot be used.
    """
    state_dir = config.node.state_dir
    with alone_in(state_dir):
        plan = await trio.to_thread.run_sync(_plan, config, way)
        identity, forgotten = await trio.to_thread.run_sync(_clear, config, way, plan, disk)
        records = RecordStore(state_dir / "records", disk=disk)
        state = await trio.to_thread.run_sync(lambda: FleetState(records, now=time.time()))
        if plan.roster_file is not None:
            await trio.to_thread.run_sync(take_roster, state, plan.roster_file, time.time())
        if plan.voucher is not None and own_node(state, identity) is None:
            await join(state, identity, plan.voucher, version=VERSION)
    return Reseeded(
        identity.fingerprint,
        way.new_key,
        forgotten,
        0 if state.roster is None else state.roster.version,
        own_node(state, identity) is not None,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was looked at before anything changed.

    Attributes:
        numbers: the highest ever seen, of each record that stays as a number.
        gone: records that go without a trace.
    """

    roster_file: Path | None
    voucher: bytes | None
    numbers: Mapping[Key, Version]
    gone: tuple[Key, ...]


def _plan(config: NodeConfig, way: Way) -> _Plan:
    _check_owner(config.node.state_dir)
    records = RecordStore(config.node.state_dir / "records")
    versions = dict(records.versions())
    for app, floor in _rollout_floors(config.node.state_dir / "rollouts").items():
        key = Key("deployment", app)
        versions[key] = max(floor, versions.get(key, floor))
    # An admission has no order that anybody could go back in: which key used its voucher, the ledger knows.
    numbers = {key: version for key, version in versions.items() if key.kind != "admission"}
    roster_file = way.roster if way.roster or way.voucher else config.fleet.roster
    voucher_file = way.voucher if way.roster or way.voucher else config.fleet.voucher
    if roster_file is None and voucher_file is None:
        raise NodeUnknown(
            "this node would be in no fleet", remedy="Name a roster with --roster, or a voucher with --voucher."
        )
    if roster_file is not None:
        _check_roster(Roster.open(read_file(roster_file, RECORD_BYTES_MAX)), roster_file, numbers)
    voucher = None
    if voucher_file is not None:
        voucher = read_voucher(voucher_file)
        _check_fleet(open_voucher(voucher).voucher.fleet, voucher_file, numbers)
    return _Plan(roster_file, voucher, numbers, tuple(key for key in versions if key.kind == "admission"))


def _check_owner(state_dir: Path) -> None:
    """Who runs this as root would leave files that the node cannot write."""
    owner = state_dir.stat().st_uid
    if owner != os.geteuid():
        raise StateFolderError(
            f"{state_dir} is not this user's", remedy="Run this as the node's user: `sudo -u edged edged node reseed`."
        )


def _check_roster(roster: Roster, file: Path, numbers: Mapping[Key, Version]) -> None:
    _check_fleet(roster.fleet, file, numbers)
    highest = numbers.get(roster.key)
    if highest is not None and roster.record_version < highest:
        raise RecordStale(
            f"{file} is version {roster.version} of the roster, and this node has had {highest.sequence}",
            remedy="Take the newest roster.bin of the fleet's folder.",
        )


def _check_fleet(fleet: str, file: Path, numbers: Mapping[Key, Version]) -> None:
    others = sorted(key.name for key in numbers if key.kind == "roster" and key.name != fleet)
    if others:
        raise UsageError(
            f"{file} is of the fleet {fleet!r}, and this node was in {others[0]!r}",
            remedy="Give a node of another fleet a state_dir of its own.",
        )


def _rollout_floors(folder: Path) -> dict[str, Version]:
    if not folder.is_dir():
        return {}
    return {app: kept.saved.floor for app, kept in RolloutStore(folder).load().items()}


def _clear(config: NodeConfig, way: Way, plan: _Plan, disk: Disk | None) -> tuple[Identity, int]:
    state_dir, at = config.node.state_dir, Disk() if disk is None else disk
    identity = _identity(config, new_key=way.new_key)
    records = RecordStore(state_dir / "records", disk=disk)
    for key, version in plan.numbers.items():
        records.forget(key, version)
    for key in plan.gone:
        records.remove(key)
    folders = ["rollouts"] if way.keep_releases else ["rollouts", "checkouts", "registry"]
    try:
        for name in folders:
            if at.exists(state_dir / name):
                at.remove_tree(state_dir / name)
        at.sync_folder(state_dir)
    except OSError as error:
        raise StateFolderError(f"{error.filename or state_dir} cannot be removed: {error.strerror}") from error
    return identity, len(plan.numbers) + len(plan.gone)


def _identity(config: NodeConfig, *, new_key: bool) -> Identity:
    key, certificate = config.node.key, config.node.certificate
    if not new_key:
        return load_identity(key, certificate)
    try:
        for path in (key, certificate):
            if path.exists():
                path.replace(path.with_name(path.name + _BEFORE))
    except OSError as error:
        raise StateFolderError(f"{error.filename} cannot be moved: {error.strerror}") from error
    identity = make_identity(config.node.name, now=time.time())
    save_identity(identity, key, certificate)
    return identity
