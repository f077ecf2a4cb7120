"""Housekeeping: what is needed stays, what is not goes after its grace, what is damaged comes back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest
import trio
import trio.testing

from edged.errors import ReleaseUnavailable
from edged.fleet.deployment import Deployment
from edged.limits import RELEASE_GRACE_S, RELEASE_KEPT_COUNT
from edged.node.housekeeping import Housekeeping, Unneeded, needed
from registry.blob import Chunk
from registry.checkout import Checkouts
from registry.chunk_store import ChunkStore
from registry.digest import Digest, digest_of, hex_of
from registry.dsse import sign
from registry.keys import SigningKey
from registry.release import RELEASE_TYPE, Entry, Release
from registry.release_store import ReleaseStore


def deployment(sequence: int, regions: tuple[str, ...] = ("eu",)) -> Deployment:
    return Deployment("demo", "shop", 1, sequence, {name: digest_of(f"{sequence}{name}".encode()) for name in regions})


def test_what_is_needed() -> None:
    history = [deployment(sequence) for sequence in range(20, 0, -1)]
    running = digest_of(b"running")
    kept = needed([history[0]], [history], {running})
    expected = {each.regions["eu"] for each in history[: RELEASE_KEPT_COUNT + 1]}
    assert kept == {running, *expected}


def test_a_removal_does_not_count_as_something_to_go_back_to() -> None:
    history = [deployment(9, ())] + [deployment(sequence) for sequence in range(8, 0, -1)]
    assert needed([history[0]], [history], ()) == {each.regions["eu"] for each in history[1 : RELEASE_KEPT_COUNT + 2]}


def test_all_regions_count_for_peers_may_ask() -> None:
    assert len(needed([deployment(1, ("eu", "us"))], [], ())) == 2


def test_the_grace_at_its_end_and_before() -> None:
    there = {digest_of(b"a"), digest_of(b"b")}
    unneeded = Unneeded()
    assert unneeded.look(there, {digest_of(b"a")}, 0.0) == []
    assert unneeded.look(there, {digest_of(b"a")}, RELEASE_GRACE_S - 1) == []
    assert unneeded.look(there, {digest_of(b"a")}, RELEASE_GRACE_S) == [digest_of(b"b")]
    assert unneeded.look(there, there, RELEASE_GRACE_S) == []
    assert unneeded.look(there, set(), RELEASE_GRACE_S + 1) == [], "it was needed a moment ago"


class Disk:
    """Real stores and a peer that has what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.now = time.time()
        self.chunks = ChunkStore(folder / "registry", 10 * 1024 * 1024, reserve_bytes=0)
        self.releases = ReleaseStore(folder / "registry", self.chunks)
        self.checkouts = Checkouts(folder / "checkouts", self.chunks)
        self.folder = folder
        self.needed: set[Digest] = set()
        self.running: set[Digest] = set()
        self.peer: dict[Digest, bytes] = {}
        self.asked: list[Digest] = []
        self.turn = trio.Lock()
        self.keeping = Housekeeping(
            chunks=self.chunks,
            releases=self.releases,
            checkouts=self.checkouts,
            needed=lambda: self.needed,
            running=lambda: self.running,
            repair=self.repair,
            turn=self.turn,
            clock=lambda: self.now,
        )

    def put(self, text: bytes) -> Digest:
        blob = self.chunks.put_file(BytesIO(text))
        release = Release("shop", "1", (Entry("spin.toml", blob),), {})
        return self.releases.put(sign(RELEASE_TYPE, release.encode(), SigningKey.generate()).encode())

    def damage(self, digest: Digest) -> None:
        (file,) = self.folder.rglob(hex_of(digest))
        file.chmod(0o644)
        file.write_bytes(b"damaged")

    async def repair(self, chunks: Sequence[Chunk], name: str) -> None:
        for chunk in chunks:
            self.asked.append(chunk.digest)
            if chunk.digest not in self.peer:
                raise ReleaseUnavailable("no peer has it")
            self.chunks.put(chunk, self.peer[chunk.digest])


async def test_what_nothing_needs_goes_and_the_rest_stays(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    disk = Disk(tmp_path)
    old, new = disk.put(b"old"), disk.put(b"new")
    disk.needed = {new}
    await disk.keeping.collect()
    mock_clock.jump(RELEASE_GRACE_S)
    disk.now += 100 * RELEASE_GRACE_S  # chunks have a grace of their own, by their files' age
    await disk.keeping.collect()
    assert disk.releases.digests() == {new}
    assert not disk.chunks.has(digest_of(b"old"))
    assert disk.chunks.has(digest_of(b"new"))
    assert old != new


async def test_what_is_being_laid_out_while_it_looks_stays(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    digest = disk.put(b"new")
    async with trio.open_nursery() as nursery, disk.turn:
        nursery.start_soon(disk.keeping.collect)
        await trio.testing.wait_all_tasks_blocked()
        disk.running = {digest}  # there is a use for it since just now
        folder = disk.checkouts.make(digest, disk.releases.get(digest).release)
    assert folder.exists()


async def test_files_of_what_ran_lately_stay_one_round_longer(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    digest = disk.put(b"old")
    folder = disk.checkouts.make(digest, disk.releases.get(digest).release)
    disk.running = {digest}
    await disk.keeping.collect()
    disk.running = set()
    await disk.keeping.collect()
    assert folder.exists()
    await disk.keeping.collect()
    assert not folder.exists()


@pytest.mark.parametrize("peer_has_it", [True, False])
async def test_a_damaged_chunk_comes_back_if_a_peer_has_it(tmp_path: Path, peer_has_it: bool) -> None:
    disk = Disk(tmp_path)
    disk.put(b"text")
    digest = digest_of(b"text")
    if peer_has_it:
        disk.peer[digest] = b"text"
    disk.damage(digest)
    steps = disk.chunks.scrub()
    looked = 0
    while await disk.keeping.scrub_next(steps):
        looked += 1
    assert (looked, disk.asked) == (1, [digest])
    assert disk.chunks.has(digest) is peer_has_it
