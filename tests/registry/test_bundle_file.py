from __future__ import annotations

import io
import random
import tracemalloc
from typing import cast

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from registry.bundle_file import MAGIC, export_bundle, import_bundle
from registry.chunk_store import ChunkStore
from registry.dsse import sign
from registry.errors import (
    BlobMissing,
    BlobsMissing,
    BundleFileInvalid,
    EnvelopeInvalid,
    ReleaseInvalid,
    SignatureInvalid,
    SourceUnreadable,
    StoreFailed,
)
from registry.limits import ENVELOPE_BYTES_MAX, FRAME_BYTES_MAX, MiB
from registry.release import RELEASE_TYPE
from tests.registry.releases import MemoryChunks, release, signed

BIG = random.Random(1).randbytes(300_000)


def _made(files: dict[str, bytes]) -> tuple[bytes, MemoryChunks, bytes]:
    chunks = MemoryChunks()
    envelope = signed(release(files, chunks))
    file = io.BytesIO()
    export_bundle(envelope, cast(ChunkStore, chunks), file)
    return envelope, chunks, file.getvalue()


ENVELOPE, CHUNKS, BUNDLE = _made({"a": b"hello " * 20, "b": b"", "c": b"world"})


def _import(data: bytes, chunks: MemoryChunks | None = None, **more) -> bytes:
    return import_bundle(io.BytesIO(data), cast(ChunkStore, chunks or MemoryChunks()), **more)


@given(st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=500)))
def test_what_is_exported_is_imported(files: dict[str, bytes]) -> None:
    envelope, chunks, data = _made(files)
    other = MemoryChunks()
    assert _import(data, other) == envelope
    assert other.frames == chunks.frames


def test_large_files_and_repeated_ones() -> None:
    envelope, chunks, data = _made({"a": BIG, "b": BIG, "c": BIG[:200_000]})
    assert len(data) < 700_000
    other = MemoryChunks()
    assert _import(data, other) == envelope
    assert other.frames.keys() == chunks.frames.keys()


def test_progress_is_told_after_each_chunk() -> None:
    told: list[tuple[int, int]] = []
    export_bundle(ENVELOPE, cast(ChunkStore, CHUNKS), io.BytesIO(), lambda done, total: told.append((done, total)))
    assert told == [(120, 125), (125, 125)]
    told.clear()
    _import(BUNDLE, progress=lambda done, total: told.append((done, total)))
    assert told == [(120, 125), (125, 125)]


def test_every_mutation_of_a_byte_is_refused() -> None:
    for position in range(len(BUNDLE)):
        for flip in (1, 0x80, 0xFF):
            mutated = bytearray(BUNDLE)
            mutated[position] ^= flip
            chunks = MemoryChunks()
            with pytest.raises(BundleFileInvalid):
                _import(bytes(mutated), chunks)
            assert chunks.frames.keys() <= CHUNKS.frames.keys()  # only what is what it says


def test_so_it_is_if_all_chunks_are_there_already() -> None:
    for position in range(len(BUNDLE)):
        mutated = bytearray(BUNDLE)
        mutated[position] ^= 1
        chunks = MemoryChunks()
        chunks.frames.update(CHUNKS.frames)
        with pytest.raises(BundleFileInvalid):
            _import(bytes(mutated), chunks)


def test_a_bundle_cut_off_anywhere_is_refused() -> None:
    for count in range(len(BUNDLE)):
        with pytest.raises(BundleFileInvalid):
            _import(BUNDLE[:count])


@pytest.mark.parametrize("more", [b"\0", BUNDLE])
def test_what_follows_the_end_is_refused(more: bytes) -> None:
    with pytest.raises(BundleFileInvalid, match="something follows"):
        _import(BUNDLE + more)


@given(st.binary(max_size=300))
def test_any_bytes_behind_the_beginning_are_refused(data: bytes) -> None:
    with pytest.raises(BundleFileInvalid):
        _import(MAGIC + data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a bundle file"),
        (b"PK\3\4" + bytes(100), "not a bundle file"),
        (b"edged bundle 2\n" + bytes(100), "another format"),
        (MAGIC, "in the middle of the release"),
        (MAGIC + bytes(4), "release is invalid"),
        (MAGIC + b"\xff\xff\xff\xff" + bytes(10), "claims 4294967295 bytes"),
    ],
)
def test_the_message_says_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(BundleFileInvalid, match=message):
        _import(data)


class _Counting(io.RawIOBase):
    """An endless file that counts what is taken from it."""

    def __init__(self, begin: bytes) -> None:
        self._begin = io.BytesIO(begin)
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        assert count > 0
        self.taken += count
        return self._begin.read(count) or bytes(min(count, MiB))


@pytest.mark.parametrize(
    ("begin", "bytes_max"),
    [
        (MAGIC + (ENVELOPE_BYTES_MAX + 1).to_bytes(4, "big"), 100),
        (MAGIC + ENVELOPE_BYTES_MAX.to_bytes(4, "big"), 2 * ENVELOPE_BYTES_MAX),
        (MAGIC + len(ENVELOPE).to_bytes(4, "big") + ENVELOPE + (FRAME_BYTES_MAX + 1).to_bytes(4, "big"), 10_000),
    ],
)
def test_an_endless_file_is_not_read_past_the_limit(begin: bytes, bytes_max: int) -> None:
    file = _Counting(begin)
    with pytest.raises(BundleFileInvalid):
        import_bundle(file, cast(ChunkStore, MemoryChunks()))  # type: ignore[arg-type]
    assert file.taken < bytes_max


def test_a_decompression_bomb_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(100 * MiB))
    head = MAGIC + len(ENVELOPE).to_bytes(4, "big") + ENVELOPE
    chunks = MemoryChunks()
    with pytest.raises(BundleFileInvalid, match="chunk 1 of 2 is damaged"):
        _import(head + len(bomb).to_bytes(4, "big") + bomb, chunks)
    assert chunks.frames == {}


class _Byte(io.BytesIO):
    """As a pipe or an unbuffered file may do."""

    def read(self, count: int | None = -1) -> bytes:
        return super().read(1 if count else 0)

    def write(self, data) -> int:
        return super().write(bytes(data)[:7])


def test_byte_by_byte_is_the_same() -> None:
    assert import_bundle(_Byte(BUNDLE), cast(ChunkStore, MemoryChunks())) == ENVELOPE
    file = _Byte()
    export_bundle(ENVELOPE, cast(ChunkStore, CHUNKS), file)
    assert file.getvalue() == BUNDLE


def test_a_signature_is_verified_before_a_chunk_is_stored() -> None:
    def verify(envelope: bytes) -> None:
        assert envelope == ENVELOPE
        raise SignatureInvalid("of nobody")

    chunks = MemoryChunks()
    with pytest.raises(SignatureInvalid):
        _import(BUNDLE, chunks, verify=verify)
    assert chunks.frames == {}
    seen: list[bytes] = []
    assert _import(BUNDLE, chunks, verify=seen.append) == seen[0]


def test_memory_is_that_of_a_chunk() -> None:
    envelope, chunks, data = _made({f"{i}": random.Random(i).randbytes(4 * MiB) for i in range(5)})
    file = io.BytesIO(data)

    class Forgetful(MemoryChunks):
        def put_frame(self, chunk, frame: bytes) -> None:
            pass

    tracemalloc.start()
    try:
        assert import_bundle(file, cast(ChunkStore, Forgetful())) == envelope
        assert tracemalloc.get_traced_memory()[1] < 4 * MiB
    finally:
        tracemalloc.stop()
    assert len(data) > 20 * MiB
    assert chunks.frames


def test_what_is_not_there_is_not_exported() -> None:
    file = io.BytesIO()
    with pytest.raises(BlobsMissing, match="2 chunks"):
        export_bundle(ENVELOPE, cast(ChunkStore, MemoryChunks()), file)
    assert file.getvalue() == b""

    class Losing(MemoryChunks):
        def missing(self, digests):
            return []

    with pytest.raises(BlobMissing):
        export_bundle(ENVELOPE, cast(ChunkStore, Losing()), file)
    with pytest.raises(BundleFileInvalid):
        _import(file.getvalue())


def test_only_releases_are_exported() -> None:
    store = cast(ChunkStore, CHUNKS)
    with pytest.raises(EnvelopeInvalid):
        export_bundle(b"", store, io.BytesIO())
    with pytest.raises(EnvelopeInvalid):
        export_bundle(sign("other", b"x").encode(), store, io.BytesIO())
    with pytest.raises(ReleaseInvalid):
        export_bundle(sign(RELEASE_TYPE, b"x").encode(), store, io.BytesIO())


class _Failing(io.BytesIO):
    def read(self, count: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error")

    def write(self, data) -> int:
        raise OSError(28, "No space left on device")


def test_errors_of_the_file_are_ours() -> None:
    with pytest.raises(StoreFailed, match="No space left"):
        export_bundle(ENVELOPE, cast(ChunkStore, CHUNKS), _Failing())
    with pytest.raises(SourceUnreadable, match="Input/output"):
        import_bundle(_Failing(), cast(ChunkStore, MemoryChunks()))
