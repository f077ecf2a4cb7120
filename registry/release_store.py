"""Releases on disk, each in the envelope that it was signed in.

```
folder/releases/<64 hex digits>            the envelope; named by the digest of its payload
folder/releases/<64 hex digits>.corrupt    the last one of that name that was found damaged
```

A release is stored once all its chunks are, so whoever finds it here can run it. Who signed it was verified by the
caller. Of two envelopes around the same release one is kept, with the signatures of both.
Blocking and thread-safe.
"""

from __future__ import annotations

import contextlib
import errno
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from registry.chunk_store import ChunkStore
from registry.digest import Digest, digest_from_hex, digest_of, hex_of
from registry.disk import Disk, faults, make_folders, regular_files
from registry.dsse import Envelope
from registry.errors import (
    BlobsMissing,
    EnvelopeInvalid,
    RegistryError,
    ReleaseInvalid,
    ReleaseMissing,
    StoreFull,
)
from registry.limits import ENVELOPE_BYTES_MAX, INCOMING_GRACE_S, RELEASE_COUNT_MAX, SIGNATURE_COUNT_MAX
from registry.release import RELEASE_TYPE, Release
from registry.whole_file import TEMPORARY, write_whole

_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A release and the exact bytes of its envelope.

    Attributes:
        digest: of the envelope's payload: the release's name.
    """

    digest: Digest
    release: Release
    envelope: bytes


def open_release(envelope: bytes) -> StoredRelease:
    """A release out of its envelope. Whoever signed it is not looked at.

    Raises:
        EnvelopeInvalid: no envelope, or not one around a release.
        ReleaseInvalid: what is in it is against a rule or limit.
    """
    opened = Envelope.parse(envelope)
    if opened.payload_type != RELEASE_TYPE:
        raise EnvelopeInvalid(f"an envelope around {opened.payload_type!r}, not a release")
    return StoredRelease(digest_of(opened.payload), Release.parse(opened.payload), envelope)


class ReleaseStore:
    """The releases of one folder.

    Args:
        folder: that of the chunk store, or another; made if it is not there.
        chunks: where the chunks of these releases are.
        disk: another one than the real one, for tests.

    Raises, besides what each method says: StoreFailed where the folder cannot be read or written.
    """

    def __init__(self, folder: Path, chunks: ChunkStore, *, disk: Disk | None = None) -> None:
        self._folder = folder / "releases"
        self._chunks = chunks
        self._disk = Disk() if disk is None else disk
        self._lock = threading.Lock()  # over what takes a name or takes it away
        with self._faults():
            make_folders(self._disk, folder, [self._folder.name])
            # A process may have been killed between rename and fsync: what is seen from now on is durable.
            self._disk.sync_folder(self._folder)
            oldest = time.time() - INCOMING_GRACE_S
            for name, status in regular_files(self._disk, self._folder):
                if name.startswith(".") and name.endswith(TEMPORARY) and status.st_mtime < oldest:
                    with contextlib.suppress(FileNotFoundError):  # another process sweeps too
                        self._disk.unlink(self._folder / name)

    def put(self, envelope: bytes) -> Digest:
        """Store a release whose signature the caller has verified; durable when it returns.

        Hold a lease on its chunks until it does: what is neither leased nor part of a stored release may be collected.

        Raises:
            EnvelopeInvalid, ReleaseInvalid: as `open_release`.
            BlobsMissing: chunks that must be there first.
            StoreFull: RELEASE_COUNT_MAX releases are there.
        """
        stored = open_release(envelope)
        if missing := self._chunks.missing([chunk.digest for chunk in stored.release.chunks()]):
            raise BlobsMissing(f"{len(missing)} chunks of release {stored.digest} are not there", missing)
        path = self._path(stored.digest)
        with self._lock, self._faults():
            if not self._disk.exists(path) and len(self.digests()) >= RELEASE_COUNT_MAX:
                raise StoreFull(
                    f"{RELEASE_COUNT_MAX} releases are stored, as many as may be",
                    remedy="Remove releases that no app needs any more.",
                )
            write_whole(path, self._joined(stored), mode=0o444, replace=True, disk=self._disk)
        return stored.digest

    def get(self, digest: Digest) -> StoredRelease:
        """The release of this name, parsed and with its digest verified.

        Raises:
            ReleaseMissing: not there; or damaged, then it is put aside and missing from now on.
        """
        try:
            return self._read(digest)
        except ReleaseInvalid:
            with self._lock, self._faults():
                # A sound one may have been put since.
                try:
                    return self._read(digest)
                except ReleaseInvalid as error:
                    path = self._path(digest)
                    self._disk.rename(path, path.with_suffix(".corrupt"))
                    self._disk.sync_folder(self._folder)
                    raise ReleaseMissing(f"release {digest} was damaged on disk: {error.message}") from None

    def has(self, digest: Digest) -> bool:
        """Whether it is there, as far as its name goes: reading verifies it."""
        with self._faults():
            return self._disk.exists(self._path(digest))

    def stored_at(self, digest: Digest) -> float:
        """When it was put last, by the wall clock, s. Raises ReleaseMissing."""
        with self._faults():
            try:
                return self._disk.status(self._path(digest)).st_mtime
            except FileNotFoundError:
                raise ReleaseMissing(f"release {digest} is not there") from None

    def digests(self) -> frozenset[Digest]:
        """The names of all that are there."""
        with self._faults():
            names = self._disk.names(self._folder)
        return frozenset(digest_from_hex(name) for name in names if _NAME.fullmatch(name))

    def remove(self, digest: Digest) -> None:
        """Remove a release, if it is there; its chunks stay until they are collected."""
        with self._lock, self._faults():
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(self._path(digest))
            self._disk.sync_folder(self._folder)

    def reachable(self, digests: Iterable[Digest]) -> set[Digest]:
        """The digests of all chunks of these releases: what a garbage collection must keep.

        A release that is not there has none: it will be fetched again, and so will its chunks.

        Raises:
            StoreFailed: a release cannot be read although it is there. Collect nothing then.
        """
        found: set[Digest] = set()
        for digest in digests:
            with contextlib.suppress(ReleaseMissing):
                found.update(chunk.digest for chunk in self.get(digest).release.chunks())
        return found

    def _path(self, digest: Digest) -> Path:
        return self._folder / hex_of(digest)

    def _read(self, digest: Digest) -> StoredRelease:
        """Raises ReleaseMissing; ReleaseInvalid for whatever is wrong with what is there."""
        with self._faults():
            try:
                data = self._disk.read(self._path(digest), ENVELOPE_BYTES_MAX)
            except FileNotFoundError:
                raise ReleaseMissing(f"release {digest} is not there") from None
            except OSError as error:
                if error.errno != errno.EIO:  # a bad sector; a link in its place is somebody else's doing
                    raise
                raise ReleaseInvalid(f"it cannot be read: {error.strerror}") from None
        try:
            stored = open_release(data)
        except RegistryError as error:
            raise ReleaseInvalid(error.message) from None
        if stored.digest != digest:
            raise ReleaseInvalid(f"its content is release {stored.digest}")
        return stored

    def _joined(self, fresh: StoredRelease) -> bytes:
        """Its envelope with the signatures of the one that is there, so that no signer takes away another's word.

        A signature that both have is the fresh one's, and so are all if together they are too many.
        """
        envelope = Envelope.parse(fresh.envelope)
        try:
            former = Envelope.parse(self._read(fresh.digest).envelope)
        except (ReleaseMissing, ReleaseInvalid):
            return fresh.envelope
        signatures = {one.key_id: one for one in (*former.signatures, *envelope.signatures)}
        if len(signatures) > SIGNATURE_COUNT_MAX:
            return fresh.envelope
        return replace(envelope, signatures=tuple(signatures[key_id] for key_id in sorted(signatures))).encode()

    def _faults(self) -> contextlib.AbstractContextManager[None]:
        return faults(f"{self._folder} cannot be used")
