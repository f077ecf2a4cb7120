"""Releases as plain files: exactly their bytes, all or nothing, each blob once on the disk."""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.blob import Blob
from registry.checkout import Checkouts
from registry.chunk_store import ChunkStore
from registry.digest import digest_of, hex_of
from registry.errors import BlobCorrupt, BlobMismatch, BlobMissing, DiskFull, StoreFailed
from registry.limits import MiB
from registry.release import Entry, Release
from tests.registry.faulty_disk import BROKEN, FULL, FaultyDisk, PowerCut

BIG = random.Random(9).randbytes(2 * MiB)
FILES = {"components/a.wasm": BIG, "files/a/x/empty": b"", "files/a/x/same": b"same", "files/b/same": b"same"}
FIRST, SECOND = digest_of(b"first release"), digest_of(b"second release")


@pytest.fixture
def store(tmp_path: Path) -> ChunkStore:
    return ChunkStore(tmp_path / "store", 64 * MiB)


def release_of(store: ChunkStore, files: dict[str, bytes]) -> Release:
    blobs = store.put_files([io.BytesIO(data) for data in files.values()])
    return Release("app", "1", tuple(Entry(path, blob) for path, blob in zip(files, blobs, strict=True)), {})


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_release_is_its_files(store: ChunkStore, tmp_path: Path) -> None:
    checkouts = Checkouts(tmp_path / "out", store)
    folder = checkouts.make(FIRST, release_of(store, FILES))
    assert files_of(folder) == FILES
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in folder.rglob("*") if path.is_file())
    assert (folder / "files/a/x/same").samefile(folder / "files/b/same")
    assert checkouts.make(FIRST, release_of(store, FILES)) == folder
    assert os.listdir(tmp_path / "out" / "incoming") == []


def test_an_empty_release(store: ChunkStore, tmp_path: Path) -> None:
    assert files_of(Checkouts(tmp_path / "out", store).make(FIRST, release_of(store, {}))) == {}


def test_the_second_time_costs_nothing(store: ChunkStore, tmp_path: Path) -> None:
    disk = FaultyDisk()
    checkouts = Checkouts(tmp_path / "out", store, disk=disk)
    release = release_of(store, FILES)
    checkouts.make(FIRST, release)
    steps = disk.steps
    checkouts.make(FIRST, release)
    assert disk.steps == steps


def test_releases_share_blobs_and_only_what_is_kept_stays(store: ChunkStore, tmp_path: Path) -> None:
    checkouts = Checkouts(tmp_path / "out", store)
    first = checkouts.make(FIRST, release_of(store, FILES))
    second = checkouts.make(SECOND, release_of(store, {"only": b"only", "same": b"same"}))
    assert (first / "files/b/same").samefile(second / "same")
    checkouts.keep([FIRST])
    assert not second.exists()
    assert files_of(first) == FILES
    assert len(os.listdir(tmp_path / "out" / "blobs")) == len(set(FILES.values()))
    assert files_of(checkouts.make(SECOND, release_of(store, {"only": b"only"}))) == {"only": b"only"}
    checkouts.keep([])
    assert files_of(tmp_path / "out") == {}


def damage_byte(folder: Path) -> None:
    (folder / "components/a.wasm").chmod(0o644)
    with (folder / "components/a.wasm").open("r+b") as file:
        file.write(bytes([BIG[0] ^ 1]))


def damage_more(folder: Path) -> None:
    (folder / "files" / "extra").touch()


def damage_less(folder: Path) -> None:
    (folder / "files/b/same").unlink()


def damage_link(folder: Path) -> None:
    (folder / "files/b/same").unlink()
    (folder / "files/b/same").symlink_to("../a/x/same")


@pytest.mark.parametrize("damage", [damage_byte, damage_more, damage_less, damage_link])
def test_what_rots_is_made_anew_by_the_next_process(store: ChunkStore, tmp_path: Path, damage: object) -> None:
    release = release_of(store, FILES)
    folder = Checkouts(tmp_path / "out", store).make(FIRST, release)
    assert callable(damage)
    damage(folder)
    assert Checkouts(tmp_path / "out", store).make(FIRST, release) == folder
    assert files_of(folder) == FILES
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_what_is_whole_is_not_made_anew(store: ChunkStore, tmp_path: Path) -> None:
    release = release_of(store, FILES)
    folder = Checkouts(tmp_path / "out", store).make(FIRST, release)
    before = folder.stat().st_ino
    Checkouts(tmp_path / "out", store).make(FIRST, release)
    assert folder.stat().st_ino == before


def test_a_chunk_that_is_missing_or_corrupt(store: ChunkStore, tmp_path: Path) -> None:
    release = release_of(store, FILES)
    checkouts = Checkouts(tmp_path / "out", store)
    digits = hex_of(release.entries[0].blob.chunks[-1].digest)
    file = tmp_path / "store" / "chunks" / digits[:2] / digits
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(b"rot")
    for error in (BlobCorrupt, BlobMissing):
        with pytest.raises(error):
            checkouts.make(FIRST, release)
        assert os.listdir(tmp_path / "out" / "incoming") == os.listdir(tmp_path / "out" / "releases") == []
    file.write_bytes(whole)
    assert files_of(checkouts.make(FIRST, release)) == FILES


def test_chunks_that_are_not_the_blob(store: ChunkStore, tmp_path: Path) -> None:
    blob = store.put_file(io.BytesIO(BIG))
    swapped = Blob(blob.digest, blob.size, tuple(reversed(blob.chunks)))
    checkouts = Checkouts(tmp_path / "out", store)
    with pytest.raises(BlobMismatch):
        checkouts.make(FIRST, Release("app", "1", (Entry("a", swapped),), {}))
    assert files_of(tmp_path / "out") == {}


def test_a_file_whose_content_is_a_release(store: ChunkStore, tmp_path: Path) -> None:
    inner = release_of(store, {"a": b"inner"})
    outer = release_of(store, {"the other's release": inner.encode()})
    checkouts = Checkouts(tmp_path / "out", store)
    checkouts.make(outer.digest, outer)
    assert files_of(checkouts.make(inner.digest, inner)) == {"a": b"inner"}
    checkouts.keep([])
    checkouts.make(inner.digest, inner)
    assert files_of(checkouts.make(outer.digest, outer)) == {"the other's release": inner.encode()}


@pytest.mark.parametrize("gone", ["releases", "blobs", "both"])
def test_what_somebody_took_away_is_made_anew(store: ChunkStore, tmp_path: Path, gone: str) -> None:
    checkouts = Checkouts(tmp_path / "out", store)
    release = release_of(store, FILES)
    folder = checkouts.make(FIRST, release)
    for name in ("releases", "blobs"):
        if gone in (name, "both"):
            shutil.rmtree(tmp_path / "out" / name)
            (tmp_path / "out" / name).mkdir()
    assert checkouts.make(FIRST, release) == folder
    assert files_of(folder) == FILES
    assert files_of(checkouts.make(SECOND, release)) == FILES


def test_what_must_stay_free_stays_free(store: ChunkStore, tmp_path: Path) -> None:
    with pytest.raises(DiskFull):
        Checkouts(tmp_path / "out", store, reserve_bytes=2**62).make(FIRST, release_of(store, FILES))
    assert files_of(tmp_path / "out") == {}


def test_a_file_with_as_many_names_as_the_disk_allows(store: ChunkStore, tmp_path: Path) -> None:
    class Names(FaultyDisk):
        def link(self, old: Path, new: Path) -> None:
            if old.stat().st_nlink > 2:
                raise OSError(errno.EMLINK, "Too many links")
            super().link(old, new)

    files = {f"{number}": b"same" for number in range(7)}
    checkouts = Checkouts(tmp_path / "out", store, disk=Names())
    assert files_of(checkouts.make(FIRST, release_of(store, files))) == files


def test_threads_that_want_the_same(store: ChunkStore, tmp_path: Path) -> None:
    checkouts = Checkouts(tmp_path / "out", store)
    release = release_of(store, FILES)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: checkouts.make(FIRST, release), range(4)))
    assert [files_of(folder) for folder in folders] == [FILES]


def test_power_that_fails_at_each_step(store: ChunkStore, tmp_path: Path) -> None:
    release = release_of(store, FILES)
    disk = FaultyDisk()
    Checkouts(tmp_path / "measured", store, disk=disk).make(FIRST, release)
    assert disk.steps > 10
    for at in range(disk.steps + 1):
        folder = tmp_path / f"at{at}"
        faulty = FaultyDisk()
        faulty.fail_after(at)
        try:
            Checkouts(folder, store, disk=faulty).make(FIRST, release)
        except PowerCut:
            assert at < disk.steps
        faulty.lose_power(random.Random(at))
        seen = folder / "releases" / hex_of(FIRST)
        if at == disk.steps:
            assert files_of(seen) == FILES  # it was said to be there
        assert files_of(Checkouts(folder, store).make(FIRST, release)) == FILES
        assert os.listdir(folder / "incoming") == []


@pytest.mark.parametrize(("number", "error"), [(FULL, DiskFull), (BROKEN, StoreFailed)], ids=["full", "broken"])
def test_a_step_that_fails(store: ChunkStore, tmp_path: Path, number: int, error: type[StoreFailed]) -> None:
    release = release_of(store, FILES)
    disk = FaultyDisk()
    checkouts = Checkouts(tmp_path / "measured", store, disk=disk)
    opened = disk.steps
    checkouts.make(FIRST, release)
    for at in range(disk.steps - opened):
        faulty = FaultyDisk()
        folder = tmp_path / f"at{at}"
        checkouts = Checkouts(folder, store, disk=faulty)
        faulty.fail_after(at, number)
        with pytest.raises(error):
            checkouts.make(FIRST, release)
        assert os.listdir(folder / "incoming") == []
        assert files_of(checkouts.make(FIRST, release)) == FILES
