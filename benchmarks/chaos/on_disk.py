"""What a node has on its disk, read as it would read it itself: by the production stores.

The stores put damaged files aside and remove half-written ones, so a copy is what they get: the node that starts next
finds what the one before left. Only while no process of the node runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edged.errors import EdgedError
from edged.fleet.deployment import Deployment
from edged.fleet.loading import load
from edged.fleet.record import Key, Version
from edged.fleet.store import RecordStore
from edged.node.rollout_store import Kept, RolloutStore
from registry.chunk_store import ChunkStore
from registry.digest import Digest, parse_digest
from registry.errors import RegistryError
from registry.release_store import ReleaseStore

_BYTES_MAX = 1 << 40
_Name = TypeVar("_Name", str, Key)


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Attributes:
    versions: of each record the newest that is whole.
    digests: of these records.
    releases: of each app those that its newest deployment names.
    floors: of each app the version that its rollout does not go below.
    live: of each app the version that it serves, or goes on with after a restart.
    problems: what is not as it should be.
    """

    versions: Mapping[Key, Version]
    digests: Mapping[Key, Digest]
    releases: Mapping[str, frozenset[Digest]]
    floors: Mapping[str, Version]
    live: Mapping[str, Version]
    problems: tuple[str, ...]


def read(state: Path, scratch: Path) -> OnDisk:
    """A state folder.

    Args:
        scratch: a folder that is not there; it is made for the copies, and removed.
    """
    scratch.mkdir(parents=True)
    try:
        for name in ("records", "rollouts", "registry"):
            if (state / name).is_dir():
                shutil.copytree(state / name, scratch / name, symlinks=True)
        return _read(scratch)
    finally:
        shutil.rmtree(scratch)


def older(before: OnDisk, after: OnDisk) -> Iterator[str]:
    """What has gone back, or is gone."""
    yield from below(before.versions, after.versions, "the record")
    yield from below(before.floors, after.floors, "the floor of")
    yield from below(before.live, after.live, "what is live of")


def below(wanted: Mapping[_Name, Version], found: Mapping[_Name, Version], what: str) -> Iterator[str]:
    """Names whose version is lower than wanted, or that are missing."""
    for name, version in wanted.items():
        there = found.get(name)
        if there is None or there < version:
            now = "nothing" if there is None else _shown(there)
            yield f"{what} {_name(name)} was at {_shown(version)} and is at {now}"


def _read(folder: Path) -> OnDisk:
    problems: list[str] = []
    found = load(RecordStore(folder / "records"))
    problems += [f"the record {_name(key)} {_shown(version)} is damaged" for key, version in found.damaged]
    if found.ledger is None:
        problems.append("the ledger is damaged")
    kept = RolloutStore(folder / "rollouts").load()
    problems += [f"the rollout {path.name} is damaged" for path in (folder / "rollouts").glob(".damaged-*")]
    problems += _broken_releases(folder / "registry", kept)
    return OnDisk(
        {key: candidate.head.version for key, (candidate, _) in found.records.items()},
        {key: candidate.head.digest for key, (candidate, _) in found.records.items()},
        {
            key.name: frozenset(candidate.value.regions.values())
            for key, (candidate, _) in found.records.items()
            if isinstance(candidate.value, Deployment)
        },
        {app: each.saved.floor for app, each in kept.items()},
        {app: each.saved.live.version for app, each in kept.items() if each.saved.live is not None},
        tuple(problems),
    )


def _broken_releases(folder: Path, kept: Mapping[str, Kept]) -> Sequence[str]:
    """Of the releases that are live, those of which a byte is missing or another than its digest says."""
    problems = []
    chunks = ChunkStore(folder, _BYTES_MAX)
    releases = ReleaseStore(folder, chunks)
    for app, each in kept.items():
        if each.saved.live is None:
            continue
        try:
            for chunk in releases.get(parse_digest(each.saved.live.release)).release.chunks():
                chunks.get(chunk)
        except (EdgedError, RegistryError) as error:
            problems.append(f"the release that is live of {app}: {error.message}")
    return problems


def _name(name: str | Key) -> str:
    return name if isinstance(name, str) else f"{name.kind} {name.name}"


def _shown(version: Version) -> str:
    return f"{version.epoch}.{version.sequence}"
