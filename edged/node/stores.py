"""What a node keeps on disk, opened: a folder each below `state_dir`. All of it blocks.

identity/          key and certificate (`edged node init`)
records/           rosters, deployments, admissions
registry/          chunks and releases
checkouts/         releases as plain files, for what runs
rollouts/          what is live, per app
apps/<app>/        what the app itself keeps
cache/             compiled artefacts and fetched sources; may be removed at any time
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edged.errors import StateFolderError
from edged.fleet.store import RecordStore
from edged.node.rollout_store import RolloutStore
from registry.checkout import Checkouts
from registry.chunk_store import ChunkStore
from registry.disk import Disk, make_folders
from registry.release_store import ReleaseStore


@dataclass(frozen=True, slots=True)
class Stores:
    """See the module.

    Attributes:
        apps, cache: folders.
    """

    records: RecordStore
    chunks: ChunkStore
    releases: ReleaseStore
    checkouts: Checkouts
    rollouts: RolloutStore
    apps: Path
    cache: Path


def open_stores(state_dir: Path, chunk_bytes_max: int, *, disk: Disk | None = None) -> Stores:
    """Open all of them, made where they are not there.

    Args:
        disk: another one than the real one, for tests.

    Raises:
        StateFolderError, RecordsUnusable, RolloutNotSaved: a folder cannot be used.
        RegistryError: likewise.
    """
    disk = Disk() if disk is None else disk
    apps, cache, registry = (state_dir / name for name in ("apps", "cache", "registry"))
    try:
        if not disk.is_folder(state_dir.parent):
            make_folders(disk, state_dir.parent, ())
        disk.make_folder(state_dir, 0o750)
        for folder in (apps, cache, registry):
            disk.make_folder(folder)
        disk.sync_folder(state_dir)
        disk.sync_folder(state_dir.parent)
    except OSError as error:
        raise StateFolderError(f"{error.filename or state_dir} cannot be made: {error.strerror}") from error
    chunks = ChunkStore(registry, chunk_bytes_max, disk=disk)
    return Stores(
        records=RecordStore(state_dir / "records", disk=disk),
        chunks=chunks,
        releases=ReleaseStore(registry, chunks, disk=disk),
        checkouts=Checkouts(state_dir / "checkouts", chunks, disk=disk),
        rollouts=RolloutStore(state_dir / "rollouts", disk=disk),
        apps=apps,
        cache=cache,
    )
