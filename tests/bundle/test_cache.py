"""A publisher's cache gives back what has not been used for long, once it is large, and no sooner."""

from __future__ import annotations

import io
import os
import random
import time
from pathlib import Path

import pytest

from edged.bundle import cache as cache_module
from edged.bundle.cache import open_cache
from edged.limits import PUBLISH_STORE_AGES_S
from registry import dsse
from registry.blob import Blob
from registry.limits import MiB
from registry.release import RELEASE_TYPE, Entry, Release

DAY = 86_400.0
NOISE = random.Random(4)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "PUBLISH_STORE_BYTES_MAX", 4 * MiB)


def put(folder: Path, size: int, age_s: float) -> Blob:
    """Some chunks that were used so long ago."""
    blob = open_cache(folder).chunks.put_file(io.BytesIO(NOISE.randbytes(size)))
    then = time.time() - age_s
    for chunk in blob.chunks:
        (path,) = (folder / "chunks" / "chunks").glob(f"*/{chunk.digest.removeprefix('sha256:')}")
        os.utime(path, (then, then))
    return blob


def keep(folder: Path, blob: Blob, age_s: float) -> Release:
    """A release of these chunks that was imported so long ago."""
    cache = open_cache(folder)
    release = Release("shop", "1", (Entry("a", blob),), {})
    times = {path: path.stat().st_mtime for path in (folder / "chunks" / "chunks").glob("*/*")}
    cache.releases.put(dsse.sign(RELEASE_TYPE, release.encode()).encode())
    then = time.time() - age_s
    (path,) = (folder / "chunks" / "releases").iterdir()
    os.utime(path, (then, then))
    for path, mtime in times.items():
        os.utime(path, (mtime, mtime))
    return release


def is_there(folder: Path, blob: Blob) -> bool:
    cache = open_cache(folder)
    return all(map(cache.chunks.has, (chunk.digest for chunk in blob.chunks)))


def test_while_it_is_small_all_stays(tmp_path: Path) -> None:
    old = put(tmp_path, MiB, age_s=400 * DAY)
    assert is_there(tmp_path, old)


def test_once_it_is_large_the_oldest_go_first_and_no_more_than_need_be(tmp_path: Path) -> None:
    fresh = put(tmp_path, MiB // 2, age_s=0.0)
    week = put(tmp_path, MiB, age_s=8 * DAY)
    month = put(tmp_path, MiB, age_s=31 * DAY)
    assert [is_there(tmp_path, blob) for blob in (fresh, week, month)] == [True, True, False]


def test_what_another_push_may_be_using_stays_whatever_it_takes(tmp_path: Path) -> None:
    used = put(tmp_path, 3 * MiB, age_s=PUBLISH_STORE_AGES_S[-1] - 60)
    assert is_there(tmp_path, used)


@pytest.mark.parametrize(("age_s", "stays"), [(29 * DAY, True), (31 * DAY, False)])
def test_a_release_that_was_imported_keeps_its_chunks_until_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, stays: bool
) -> None:
    monkeypatch.setattr(cache_module, "PUBLISH_STORE_AGES_S", (30 * DAY,))
    imported = put(tmp_path, MiB, age_s=40 * DAY)
    release = keep(tmp_path, imported, age_s)
    put(tmp_path, 3 * MiB // 2, age_s=0.0)
    assert is_there(tmp_path, imported) == stays
    assert open_cache(tmp_path).releases.has(release.digest) == stays
