"""Releases and a chunk store in memory, for tests of what is built on them."""

from __future__ import annotations

import io
from collections.abc import Iterable

import zstandard

from registry.blob import Blob, Chunk, split
from registry.digest import Digest, digest_of
from registry.dsse import sign
from registry.errors import BlobMismatch, BlobMissing, FrameInvalid
from registry.keys import SigningKey
from registry.limits import CHUNK_BYTES_MAX
from registry.release import RELEASE_TYPE, Entry, Release

KEY = SigningKey.parse(
    b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
    b"-----END PRIVATE KEY-----\n",
    what="the tests' key",
)


class MemoryChunks:
    """What `ChunkStore` does for bundles and releases, without a disk."""

    def __init__(self) -> None:
        self.frames: dict[Digest, bytes] = {}

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        return [digest for digest in dict.fromkeys(digests) if digest not in self.frames]

    def get_frame(self, chunk: Chunk) -> bytes:
        try:
            return self.frames[chunk.digest]
        except KeyError:
            raise BlobMissing("gone") from None

    def put_frame(self, chunk: Chunk, frame: bytes) -> None:
        try:
            data = zstandard.ZstdDecompressor().decompress(frame, max_output_size=CHUNK_BYTES_MAX)
        except zstandard.ZstdError as error:
            raise FrameInvalid(str(error)) from None
        if digest_of(data) != chunk.digest or len(data) != chunk.size:
            raise BlobMismatch("other bytes")
        self.frames[chunk.digest] = frame

    def add(self, data: bytes) -> Blob:
        chunks = []
        for chunk, piece in split(io.BytesIO(data)):
            self.frames[chunk.digest] = zstandard.ZstdCompressor().compress(piece)
            chunks.append(chunk)
        return Blob(digest_of(data), len(data), tuple(chunks))


def blob(data: bytes) -> Blob:
    return MemoryChunks().add(data)


def release(files: dict[str, bytes], chunks: MemoryChunks | None = None, app: str = "shop") -> Release:
    store = chunks or MemoryChunks()
    entries = tuple(Entry(path, store.add(files[path])) for path in sorted(files))
    return Release(app, "1.0.0", entries, {"message": "first"})


def signed(made: Release) -> bytes:
    return sign(RELEASE_TYPE, made.encode(), KEY).encode()
