from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from registry import release_store
from registry.chunk_store import ChunkStore
from registry.digest import Digest, digest_of, hex_of
from registry.dsse import Envelope, Signature, sign, signers
from registry.errors import (
    BlobsMissing,
    DiskFull,
    EnvelopeInvalid,
    ReleaseInvalid,
    ReleaseMissing,
    StoreFailed,
    StoreFull,
)
from registry.keys import SigningKey
from registry.limits import ENVELOPE_BYTES_MAX, INCOMING_GRACE_S, SIGNATURE_COUNT_MAX
from registry.release import RELEASE_TYPE
from registry.release_store import ReleaseStore, StoredRelease
from registry.strict import encode
from tests.registry.faulty_disk import FULL, FaultyDisk, PowerCut
from tests.registry.releases import KEY, MemoryChunks, release, signed

CHUNKS = MemoryChunks()
FIRST = release({"a": b"one", "b": b"two"}, CHUNKS)
SECOND = release({"a": b"one", "b": b"three"}, CHUNKS)


def _store(folder: Path, chunks: MemoryChunks = CHUNKS, disk: FaultyDisk | None = None) -> ReleaseStore:
    return ReleaseStore(folder, cast(ChunkStore, chunks), disk=disk)


def _path(folder: Path, digest: Digest) -> Path:
    return folder / "releases" / hex_of(digest)


def test_what_is_put_is_there(tmp_path: Path) -> None:
    store = _store(tmp_path)
    digest = store.put(signed(FIRST))
    assert digest == FIRST.digest
    assert store.has(digest)
    assert store.get(digest) == StoredRelease(digest, FIRST, signed(FIRST))
    assert store.digests() == {digest}
    assert _path(tmp_path, digest).stat().st_mode & 0o222 == 0
    assert _store(tmp_path).get(digest).release == FIRST


def test_what_was_not_put_is_missing(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert not store.has(FIRST.digest)
    with pytest.raises(ReleaseMissing):
        store.get(FIRST.digest)
    assert store.digests() == frozenset()


def test_two_envelopes_of_the_same_release_become_one_with_the_signatures_of_both(tmp_path: Path) -> None:
    store = _store(tmp_path)
    other = SigningKey.generate()
    store.put(signed(FIRST))
    digest = store.put(sign(RELEASE_TYPE, FIRST.encode(), other).encode())
    assert store.digests() == {digest}
    both = Envelope.parse(store.get(digest).envelope)
    assert signers(both, [KEY.public, other.public]) == {KEY.public.id, other.public.id}
    assert both == Envelope.parse(signed(FIRST)).signed_by(other)


def test_a_signature_that_both_have_is_the_later_one(tmp_path: Path) -> None:
    store = _store(tmp_path)
    sound = Envelope.parse(signed(FIRST))
    store.put(replace(sound, signatures=(Signature(KEY.public.id, bytes(64)),)).encode())
    digest = store.put(sound.encode())
    assert store.get(digest).envelope == sound.encode()


def test_more_signatures_than_an_envelope_has_are_the_later_ones(tmp_path: Path) -> None:
    store = _store(tmp_path)
    former = tuple(Signature(f"{number:064x}", bytes(64)) for number in range(SIGNATURE_COUNT_MAX - 1))
    store.put(Envelope(RELEASE_TYPE, FIRST.encode(), former).encode())
    digest = store.put(signed(FIRST))
    assert len(Envelope.parse(store.get(digest).envelope).signatures) == SIGNATURE_COUNT_MAX
    another = sign(RELEASE_TYPE, FIRST.encode(), SigningKey.generate()).encode()
    assert store.get(store.put(another)).envelope == another


def test_chunks_must_be_there_first(tmp_path: Path) -> None:
    chunks = MemoryChunks()
    chunks.add(b"one")
    store = _store(tmp_path, chunks)
    with pytest.raises(BlobsMissing) as refused:
        store.put(signed(FIRST))
    assert refused.value.digests == (digest_of(b"two"),)
    assert store.digests() == frozenset()
    chunks.add(b"two")
    assert store.get(store.put(signed(FIRST))).release == FIRST


@pytest.mark.parametrize(
    ("envelope", "error"),
    [
        (b"", EnvelopeInvalid),
        (signed(FIRST) + b"\0", EnvelopeInvalid),
        (FIRST.encode(), EnvelopeInvalid),
        (sign("application/vnd.edged.deployment.v1+msgpack", FIRST.encode()).encode(), EnvelopeInvalid),
        (sign(RELEASE_TYPE, b"x").encode(), ReleaseInvalid),
        (encode({"payload": b"\0" * ENVELOPE_BYTES_MAX, "payload_type": "t", "signatures": []}), EnvelopeInvalid),
    ],
)
def test_what_is_no_release_is_refused(tmp_path: Path, envelope: bytes, error: type[Exception]) -> None:
    store = _store(tmp_path)
    with pytest.raises(error):
        store.put(envelope)
    assert os.listdir(tmp_path / "releases") == []


def test_removed_is_missing_and_may_be_put_again(tmp_path: Path) -> None:
    store = _store(tmp_path)
    digest = store.put(signed(FIRST))
    store.remove(digest)
    store.remove(digest)
    assert not store.has(digest)
    store.put(signed(FIRST))
    assert store.has(digest)


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda data: b"",
    lambda data: data[:-1],
    lambda data: data + b"\0",
    lambda data: data.replace(b"shop", b"shoq"),
    lambda data: signed(SECOND),
    lambda data: data * (ENVELOPE_BYTES_MAX // len(data) + 1),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_release_is_put_aside_and_missing(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    store = _store(tmp_path)
    digest = store.put(signed(FIRST))
    path = _path(tmp_path, digest)
    path.chmod(0o600)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ReleaseMissing, match="damaged"):
        store.get(digest)
    assert not store.has(digest)
    assert store.digests() == frozenset()
    assert path.with_suffix(".corrupt").exists()
    assert store.put(signed(FIRST)) == digest
    assert store.get(digest).release == FIRST


def test_every_mutation_of_a_stored_byte_is_seen_but_those_of_signatures_by_the_keyring(tmp_path: Path) -> None:
    store = _store(tmp_path)
    digest = store.put(signed(FIRST))
    path = _path(tmp_path, digest)
    encoded = signed(FIRST)
    path.chmod(0o600)
    for position in range(len(encoded)):
        path.write_bytes(encoded[:position] + bytes([encoded[position] ^ 1]) + encoded[position + 1 :])
        try:
            assert store.get(digest).release == FIRST
            assert position > encoded.index(b"signatures")
        except ReleaseMissing:
            path.with_suffix(".corrupt").rename(path)


def test_a_link_in_the_place_of_a_release_is_not_followed(tmp_path: Path) -> None:
    store = _store(tmp_path)
    (tmp_path / "elsewhere").write_bytes(signed(FIRST))
    _path(tmp_path, FIRST.digest).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreFailed):
        store.get(FIRST.digest)


def test_reachable_are_the_chunks_of_those_named_that_are_there(tmp_path: Path) -> None:
    store = _store(tmp_path)
    first, second = store.put(signed(FIRST)), store.put(signed(SECOND))
    one, two, three = (digest_of(data) for data in (b"one", b"two", b"three"))
    assert store.reachable([]) == set()
    assert store.reachable([first]) == {one, two}
    assert store.reachable([first, second]) == {one, two, three}
    assert store.reachable([second, digest_of(b"unknown")]) == {one, three}


def test_reachable_of_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    store = _store(tmp_path)
    digest = store.put(signed(FIRST))
    _path(tmp_path, digest).unlink()
    _path(tmp_path, digest).mkdir()
    with pytest.raises(StoreFailed):
        store.reachable([digest])


STEPS = 4  # written, synced, renamed, folder synced


@pytest.mark.parametrize("step", range(STEPS))
def test_a_power_cut_leaves_a_whole_release_or_none(tmp_path: Path, step: int) -> None:
    digest = _store(tmp_path).put(signed(SECOND))
    disk = FaultyDisk()
    store = _store(tmp_path, disk=disk)
    disk.fail_after(step)
    with pytest.raises(PowerCut):
        store.put(signed(FIRST))
    disk.lose_power(random.Random(step))
    after = _store(tmp_path)
    assert after.get(digest).release == SECOND
    assert not after.has(FIRST.digest) or after.get(FIRST.digest).release == FIRST
    assert after.put(signed(FIRST)) == FIRST.digest
    assert after.get(FIRST.digest).release == FIRST


def test_what_was_acknowledged_survives_a_power_cut_right_after(tmp_path: Path) -> None:
    disk = FaultyDisk()
    store = _store(tmp_path / "new" / "folder", disk=disk)
    before = disk.steps
    store.put(signed(FIRST))
    assert disk.steps - before == STEPS
    disk.lose_power(random.Random(3))
    assert _store(tmp_path / "new" / "folder").get(FIRST.digest).release == FIRST


@pytest.mark.parametrize("step", range(STEPS))
def test_a_full_disk_loses_nothing(tmp_path: Path, step: int) -> None:
    digest = _store(tmp_path).put(signed(SECOND))
    disk = FaultyDisk()
    full = _store(tmp_path, disk=disk)
    disk.fail_after(step, FULL)
    with pytest.raises(DiskFull):
        full.put(signed(FIRST))
    assert full.get(digest).release == SECOND


def test_what_a_crash_left_goes_when_it_is_old(tmp_path: Path) -> None:
    _store(tmp_path)
    old, new = tmp_path / "releases" / ".old.tmp", tmp_path / "releases" / ".new.tmp"
    for path in (old, new):
        path.write_bytes(b"")
    then = new.stat().st_mtime - INCOMING_GRACE_S - 1
    os.utime(old, (then, then))
    assert _store(tmp_path).digests() == frozenset()
    assert [path.name for path in (old, new) if path.exists()] == [".new.tmp"]


def test_the_count_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_store, "RELEASE_COUNT_MAX", 1)
    store = _store(tmp_path)
    digest = store.put(signed(FIRST))
    store.put(signed(FIRST))
    with pytest.raises(StoreFull):
        store.put(signed(SECOND))
    store.remove(digest)
    store.put(signed(SECOND))


def test_a_folder_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreFailed):
        _store(tmp_path / "file")
