"""Releases: what an app consists of, as a list of paths and what their files contain. Immutable; named by its digest.

As bytes, in the form of `registry.strict`:

    {"annotations": {name: text}, "app": text, "entries": [entry, ...], "format": 1, "version": text}
    entry = [path, size, digest as 32 bytes, [[size, digest as 32 bytes] of each chunk]]

An entry whose blob has one chunk or none lists no chunks: they follow from its size and digest. All rules are those of
the constructor, so that a release which exists is one that `parse` takes back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from registry.blob import Blob, Chunk
from registry.digest import Digest, digest_from_hex, digest_of, hex_of
from registry.errors import DigestInvalid, Malformed, PathInvalid, ReleaseInvalid
from registry.limits import (
    ANNOTATION_COUNT_MAX,
    ANNOTATION_NAME_BYTES_MAX,
    ANNOTATION_VALUE_BYTES_MAX,
    APP_NAME_CHARS_MAX,
    BLOB_BYTES_MAX,
    BLOB_CHUNK_COUNT_MAX,
    CHUNK_BYTES_MAX,
    PATH_BYTES_MAX,
    RELEASE_BYTES_MAX,
    RELEASE_ENTRY_COUNT_MAX,
    RELEASE_PLAIN_BYTES_MAX,
    VERSION_BYTES_MAX,
)
from registry.paths import check_path, check_paths
from registry.strict import Reader, decode, encode

RELEASE_TYPE: Final = "application/vnd.edged.release.v1+msgpack"

_FORMAT = 1
_EMPTY = digest_of(b"")
_APP = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{APP_NAME_CHARS_MAX - 1}}}", re.ASCII)


def check_app(name: str) -> str:
    """An app's name. It becomes a folder, a host and what a key's patterns are held against, so it has few characters.

    Raises:
        ReleaseInvalid: empty, too long, or with other than ASCII letters, digits, `.`, `_`, `-` (not in front).
    """
    if not _APP.fullmatch(name):
        raise ReleaseInvalid(
            f"{name[:APP_NAME_CHARS_MAX]!r} is no name for an app",
            remedy=f"Use 1 to {APP_NAME_CHARS_MAX} letters, digits, `.`, `_` or `-`, the first a letter or digit.",
        )
    return name


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a release."""

    path: str
    blob: Blob


@dataclass(frozen=True, slots=True)
class Release:
    """What an app consists of.

    Attributes:
        app: its name.
        version: the publisher's own; nothing is derived from it.
        entries: sorted by path (code points), as `registry.paths.check_paths` demands.
        annotations: for people; nothing is derived from them.

    Raises:
        ReleaseInvalid: a rule or limit is broken; the message names the entry.
    """

    app: str
    version: str
    entries: tuple[Entry, ...]
    annotations: Mapping[str, str]

    def __post_init__(self) -> None:
        check_app(self.app)
        _check_line("version", self.version, VERSION_BYTES_MAX)
        _within(len(self.annotations), ANNOTATION_COUNT_MAX, "annotations")
        for name, value in self.annotations.items():
            _check_line("an annotation's name", name, ANNOTATION_NAME_BYTES_MAX)
            _check_line(f"annotation {name!r}", value, ANNOTATION_VALUE_BYTES_MAX)
        _within(len(self.entries), RELEASE_ENTRY_COUNT_MAX, "entries")
        try:
            for entry in self.entries:
                check_path(entry.path)
            check_paths(entry.path for entry in self.entries)
        except PathInvalid as error:
            raise ReleaseInvalid(error.message, remedy=error.remedy) from None
        sizes: dict[Digest, int] = {}
        blobs: dict[Digest, Blob] = {}
        for entry in self.entries:
            _check_blob(entry, sizes)
            if blobs.setdefault(entry.blob.digest, entry.blob) != entry.blob:
                raise ReleaseInvalid(f"{entry.path!r} has the digest of another file, but not its size or chunks")
        _within(self.size, RELEASE_PLAIN_BYTES_MAX, "bytes in all its files")

    def encode(self) -> bytes:
        """The one encoding of this release: what is hashed and signed.

        Raises:
            ReleaseInvalid: longer than RELEASE_BYTES_MAX.
        """
        data = encode(
            {
                "annotations": self.annotations,
                "app": self.app,
                "entries": [_packed(entry) for entry in self.entries],
                "format": _FORMAT,
                "version": self.version,
            }
        )
        if len(data) > RELEASE_BYTES_MAX:
            raise ReleaseInvalid(
                f"the list of {len(self.entries)} files has {len(data)} bytes, where {RELEASE_BYTES_MAX} are allowed",
                remedy="Leave files out, or shorten their paths.",
            )
        return data

    @staticmethod
    def parse(data: bytes) -> Release:
        """The reverse of `encode`: for each release these bytes and no others.

        Raises:
            ReleaseInvalid: no release, of another format, or against a rule or limit.
        """
        try:
            reader = Reader(decode(data, RELEASE_BYTES_MAX), "release")
            if (version := reader.integer("format")) != _FORMAT:
                raise ReleaseInvalid(
                    f"a release of format {version}, where {_FORMAT} is known", remedy="Update edged on this machine."
                )
            release = Release(
                app=reader.line("app", APP_NAME_CHARS_MAX),
                version=reader.line("version", VERSION_BYTES_MAX),
                entries=tuple(_unpacked(item) for item in reader.array("entries", RELEASE_ENTRY_COUNT_MAX)),
                annotations=_texts(reader.mapping("annotations", ANNOTATION_COUNT_MAX)),
            )
            reader.end()
        except (Malformed, DigestInvalid) as error:
            raise ReleaseInvalid(error.message) from None
        return release

    @property
    def digest(self) -> Digest:
        """The name of this release: of its encoding. Computed each time."""
        return digest_of(self.encode())

    @property
    def size(self) -> int:
        """Plain bytes of all files, as checked out."""
        return sum(entry.blob.size for entry in self.entries)

    def chunks(self) -> tuple[Chunk, ...]:
        """The distinct chunks of all files, in the order of their first use."""
        return tuple(dict.fromkeys(chunk for entry in self.entries for chunk in entry.blob.chunks))


def _check_line(what: str, value: str, bytes_max: int) -> None:
    if not value or not value.isprintable() or len(value.encode()) > bytes_max:
        raise ReleaseInvalid(f"{what} is not 1 to {bytes_max} bytes of printable text")


def _within(count: int, count_max: int, what: str) -> None:
    if count > count_max:
        raise ReleaseInvalid(f"a release with {count} {what}, where {count_max} are allowed")


def _check_blob(entry: Entry, sizes: dict[Digest, int]) -> None:
    """`sizes` of the chunks seen so far: one that has two sizes is a lie, and nobody could fetch it."""
    blob = entry.blob

    def refused(why: str) -> ReleaseInvalid:
        return ReleaseInvalid(f"{entry.path!r} {why}")

    if not 0 <= blob.size <= BLOB_BYTES_MAX:
        raise refused(f"has {blob.size} bytes, where {BLOB_BYTES_MAX} are allowed")
    if len(blob.chunks) > BLOB_CHUNK_COUNT_MAX:
        raise refused(f"has {len(blob.chunks)} chunks, where {BLOB_CHUNK_COUNT_MAX} are allowed")
    for chunk in blob.chunks:
        if not 1 <= chunk.size <= CHUNK_BYTES_MAX:
            raise refused(f"has a chunk of {chunk.size} bytes, where 1 to {CHUNK_BYTES_MAX} are allowed")
        if sizes.setdefault(chunk.digest, chunk.size) != chunk.size:
            raise refused(f"has the chunk {chunk.digest} with two sizes")
    if sum(chunk.size for chunk in blob.chunks) != blob.size:
        raise refused(f"has {blob.size} bytes, which is not the sum of its chunks")
    if len(blob.chunks) == 1 and blob.chunks[0].digest != blob.digest:
        raise refused("has a digest other than that of its only chunk")
    if not blob.chunks and blob.digest != _EMPTY:
        raise refused("is empty, but has not the digest of an empty file")


def _packed(entry: Entry) -> list[object]:
    blob = entry.blob
    listed = blob.chunks if len(blob.chunks) > 1 else ()
    chunks = [[chunk.size, _raw(chunk.digest)] for chunk in listed]
    return [entry.path, blob.size, _raw(blob.digest), chunks]


def _unpacked(item: object) -> Entry:
    path, size, digest, chunks = _tuple(item, ("path", "size", "digest", "chunks"))
    fields = Reader({"path": path, "size": size, "chunks": chunks}, "entry")
    name = fields.text("path", PATH_BYTES_MAX)
    blob_size = fields.integer("size", 0, BLOB_BYTES_MAX)
    blob_digest = _digest(digest)
    listed = tuple(_chunk(chunk) for chunk in fields.array("chunks", BLOB_CHUNK_COUNT_MAX))
    if len(listed) == 1:
        raise ReleaseInvalid("an entry lists a single chunk, which follows from its size and digest")
    if not listed and blob_size:
        if blob_size > CHUNK_BYTES_MAX:
            raise ReleaseInvalid(f"an entry of {blob_size} bytes lists no chunks")
        listed = (Chunk(blob_digest, blob_size),)
    return Entry(name, Blob(blob_digest, blob_size, listed))


def _chunk(item: object) -> Chunk:
    size, digest = _tuple(item, ("size", "digest"))
    return Chunk(_digest(digest), Reader({"size": size}, "chunk").integer("size", 1, CHUNK_BYTES_MAX))


def _tuple(item: object, names: tuple[str, ...]) -> list[object]:
    if not isinstance(item, list) or len(item) != len(names):
        raise ReleaseInvalid(f"where an array of {', '.join(names)} is due, there is something else")
    return item


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    reader = Reader(values, "annotations")
    return {name: reader.line(name, ANNOTATION_VALUE_BYTES_MAX) for name in values}


def _raw(digest: Digest) -> bytes:
    return bytes.fromhex(hex_of(digest))


def _digest(value: object) -> Digest:
    if not isinstance(value, bytes):
        raise ReleaseInvalid("a digest that is not 32 bytes")
    return digest_from_hex(value.hex())
