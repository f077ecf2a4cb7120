"""What publishers have sent and no record names yet: leased, so that it stays, and counted, so that it ends.

    missing ─> announce          put_chunk ─> admit          put_release ─> releasing          put_record ─> named
               chunks, a lease                counted                       counted still                    not counted

A chunk counts as what it takes of the disk: whole blocks. What no release has ends with its lease, and a release that
no record names with the grace that housekeeping gives it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

from edged.errors import UploadRefused
from edged.limits import (
    COLLECT_INTERVAL_S,
    RELEASE_GRACE_S,
    UPLOAD_BYTES_MAX,
    UPLOAD_CHUNK_COUNT_MAX,
    UPLOAD_LEASE_S,
    UPLOAD_LEASES_PER_KEY_MAX,
    UPLOAD_RELEASE_COUNT_MAX,
)
from registry.blob import Chunk
from registry.digest import Digest
from registry.disk import blocks_of

_RELEASE_S = RELEASE_GRACE_S + COLLECT_INTERVAL_S  # by then housekeeping has removed what nothing names


@dataclass(slots=True)
class _Upload:
    ends_at: float
    announced: set[Digest] = field(default_factory=set)
    sent: dict[Digest, int] = field(default_factory=dict)  # -> bytes of disk
    sent_bytes: int = 0


@dataclass(slots=True)
class _Unnamed:
    """A release that no record names; `size` is what it and its chunks take of the disk."""

    ends_at: float
    size: int


@dataclass(slots=True)
class _Account:
    uploads: dict[str, _Upload] = field(default_factory=dict)
    releases: dict[Digest, _Unnamed] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(one.sent_bytes for one in self.uploads.values()) + sum(one.size for one in self.releases.values())

    def take(self, size: int) -> None:
        """
        Raises:
            UploadRefused: the key has no room for so many bytes of disk.
        """
        if self.size + size > UPLOAD_BYTES_MAX:
            raise UploadRefused(
                f"what the key has sent and no record names takes {self.size} bytes of the disk, "
                f"of at most {UPLOAD_BYTES_MAX}"
            )


class Uploads:
    """The uploads of all keys. Thread-safe; sets of tens of thousands are made here, so not for the loop.

    Times are wall clock (s), as those of the chunk store's leases.

    Args:
        named: digests of the releases that accepted records name now. Called from threads.
    """

    def __init__(self, named: Callable[[], Collection[Digest]]) -> None:
        self._named = named
        self._lock = threading.Lock()
        self._by_key: dict[str, _Account] = {}

    def announce(self, key: str, lease: str, digests: Iterable[Digest], now: float) -> tuple[str, Set[Digest], float]:
        """A publisher is about to send chunks under a lease; returns the store's lease: name, digests and end.

        Args:
            key: fingerprint of the publisher.
            lease: its name for the upload; the same one again adds to it.

        Raises:
            UploadRefused: the key has as many uploads open as it may, or this one too many chunks.
        """
        with self._lock:
            uploads = self._account(key, now).uploads
            if lease not in uploads and len(uploads) >= UPLOAD_LEASES_PER_KEY_MAX:
                raise UploadRefused(f"the key has {UPLOAD_LEASES_PER_KEY_MAX} uploads open")
            upload = uploads.get(lease) or _Upload(0.0)
            announced = upload.announced.union(digests)
            if len(announced) > UPLOAD_CHUNK_COUNT_MAX:
                raise UploadRefused(f"an upload of more than {UPLOAD_CHUNK_COUNT_MAX} chunks")
            upload.announced = announced
            upload.ends_at = now + UPLOAD_LEASE_S
            uploads[lease] = upload
            return f"upload {key} {lease}", announced, upload.ends_at

    def admit(self, key: str, chunk: Chunk, now: float) -> None:
        """Count a chunk that comes.

        Raises:
            UploadRefused: it was not announced, or the key has too much on the disk that no record names.
        """
        with self._lock:
            account = self._account(key, now)
            upload = next((one for one in account.uploads.values() if chunk.digest in one.announced), None)
            if upload is None:
                raise UploadRefused("a chunk that was not announced", remedy="Ask `missing` with a lease first.")
            if chunk.digest in upload.sent:
                return
            size = blocks_of(chunk.size)
            account.take(size)
            upload.sent[chunk.digest] = size
            upload.sent_bytes += size

    @contextmanager
    def releasing(self, key: str, digest: Digest, size: int, chunks: Set[Digest], now: float) -> Iterator[None]:
        """Count a release while the caller stores it, and from then on. If that fails, nothing has changed.

        Its chunks belong to it from then on, and uploads that have no others are over.

        Args:
            size: of its envelope, bytes.

        Raises:
            UploadRefused: the key has as many releases that no record names as it may, or too many bytes.
        """
        with self._lock:
            account = self._account(key, now)
            is_new = digest not in account.releases and digest not in self._named()
            if is_new:
                if len(account.releases) >= UPLOAD_RELEASE_COUNT_MAX:
                    raise UploadRefused(
                        f"the key has {UPLOAD_RELEASE_COUNT_MAX} releases here that no record names",
                        remedy="Find out why pushes end before they deploy; what they left is removed after a day.",
                    )
                account.take(blocks_of(size))
                account.releases[digest] = _Unnamed(now + _RELEASE_S, blocks_of(size))
        try:
            yield
        except BaseException:
            with self._lock:
                if is_new:
                    account.releases.pop(digest, None)
            raise
        with self._lock:
            moved = _move(account.uploads, chunks)
            if digest in account.releases:
                account.releases[digest].size += moved

    def named(self, digests: Iterable[Digest]) -> None:
        """A record names these now, so they are the record's, even once another one follows it."""
        with self._lock:
            for digest in set(digests):
                for account in self._by_key.values():
                    account.releases.pop(digest, None)

    def _account(self, key: str, now: float) -> _Account:
        """Without what has ended. A key is one of the roster's, so there are not many."""
        account = self._by_key.setdefault(key, _Account())
        account.uploads = {lease: one for lease, one in account.uploads.items() if one.ends_at > now}
        if account.releases:
            named = self._named()
            account.releases = {
                digest: one for digest, one in account.releases.items() if one.ends_at > now and digest not in named
            }
        return account


def _move(uploads: dict[str, _Upload], chunks: Set[Digest]) -> int:
    """Take chunks that have a release by now out of the uploads. Returns what they take of the disk, bytes."""
    moved: dict[Digest, int] = {}
    for lease, upload in list(uploads.items()):
        rest = {digest: size for digest, size in upload.sent.items() if digest not in chunks}
        moved |= {digest: size for digest, size in upload.sent.items() if digest in chunks}
        upload.sent, upload.sent_bytes = rest, sum(rest.values())
        if not rest and upload.announced <= chunks:
            del uploads[lease]
    return sum(moved.values())
