"""A release from one node's disk to another's, by way of a file: real stores at both ends."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from registry.bundle_file import export_bundle, import_bundle
from registry.chunk_store import ChunkStore
from registry.dsse import Envelope
from registry.errors import BlobsMissing, BundleFileInvalid, SignatureInvalid
from registry.keyring import Keyring, TrustedKey
from registry.limits import MiB
from registry.release import RELEASE_TYPE, Entry, Release
from registry.release_store import ReleaseStore
from tests.registry.releases import KEY, signed

RING = Keyring([TrustedKey(KEY.public, "ann", frozenset({"deploy"}), ("*",))])


def _stores(folder: Path) -> tuple[ChunkStore, ReleaseStore]:
    chunks = ChunkStore(folder, 64 * MiB, reserve_bytes=0)
    return chunks, ReleaseStore(folder, chunks)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    sources = {"app.wasm": random.Random(1).randbytes(2 * MiB), "empty": b"", "files/a.txt": b"hello " * 1000}
    for name, data in sources.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    chunks, releases = _stores(tmp_path / "here")
    blobs = chunks.put_files([tmp_path / "source" / name for name in sources])
    entries = tuple(Entry(name, blob) for name, blob in zip(sources, blobs, strict=True))
    digest = releases.put(signed(Release("shop", "1", entries, {})))
    path = tmp_path / "shop.bundle"
    with path.open("wb") as file:
        export_bundle(releases.get(digest).envelope, chunks, file)
    return path


def _carry(bundle: Path, folder: Path, ring: Keyring = RING) -> Release:
    chunks, releases = _stores(folder)

    def verify(envelope: bytes) -> None:
        ring.verify(Envelope.parse(envelope), RELEASE_TYPE, "deploy")

    with bundle.open("rb") as file:
        envelope = import_bundle(file, chunks, verify=verify)
    release = releases.get(releases.put(envelope)).release
    plain = {entry.path: b"".join(map(chunks.get, entry.blob.chunks)) for entry in release.entries}
    assert plain["files/a.txt"] == b"hello " * 1000
    assert len(plain["app.wasm"]) == 2 * MiB
    return release


def test_a_bundle_brings_a_release_to_another_disk_and_again(bundle: Path, tmp_path: Path) -> None:
    assert _carry(bundle, tmp_path / "there").app == "shop"
    assert _carry(bundle, tmp_path / "there").app == "shop"


def test_a_bundle_of_a_stranger_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(SignatureInvalid):
        _carry(bundle, tmp_path / "there", Keyring([]))
    chunks, releases = _stores(tmp_path / "there")
    assert releases.digests() == frozenset()
    assert chunks.statistics().chunk_count == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_a_damaged_bundle_leaves_no_release(bundle: Path, tmp_path: Path, share: float) -> None:
    data = bytearray(bundle.read_bytes())
    data[int(len(data) * share)] ^= 1
    damaged = tmp_path / "damaged.bundle"
    damaged.write_bytes(data)
    with pytest.raises(BundleFileInvalid):
        _carry(damaged, tmp_path / "there")
    assert _stores(tmp_path / "there")[1].digests() == frozenset()
    # What came of it is kept, and the sound file completes it.
    assert _carry(bundle, tmp_path / "there").app == "shop"


def test_chunks_of_a_stored_release_outlive_a_collection(bundle: Path, tmp_path: Path) -> None:
    release = _carry(bundle, tmp_path / "there")
    chunks, releases = _stores(tmp_path / "there")
    kept = releases.reachable(releases.digests())
    count = chunks.statistics().chunk_count
    assert chunks.collect(kept, now=1e12).kept_count == count == len(release.chunks())
    releases.remove(release.digest)
    assert chunks.collect(releases.reachable(releases.digests()), now=1e12).removed_count == count
    with pytest.raises(BlobsMissing):
        releases.put(signed(replace(release, version="2")))
