"""Leases: chunks that transfers under way will need, kept on disk so that a restart does not forget them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from registry.digest import Digest, hex_of
from registry.disk import UNREADABLE, Disk, regular_files, temporary
from registry.errors import LeaseRefused, Malformed
from registry.limits import (
    LEASE_BYTES_MAX,
    LEASE_COUNT_MAX,
    LEASE_DIGEST_COUNT_MAX,
    LEASE_NAME_BYTES_MAX,
    LEASE_S_MAX,
    LEASES_BYTES_MAX,
)
from registry.strict import Reader, decode, encode

DIGEST_BYTES = 32


class Leases:
    """One file for each lease. All methods raise OSError; the caller has the store's lock."""

    def __init__(self, folder: Path, incoming: Path, disk: Disk) -> None:
        """Both folders are there, on one file system."""
        self._folder = folder
        self._incoming = incoming
        self._disk = disk

    def put(self, name: str, digests: Iterable[Digest], until: float, now: float) -> None:
        """Writes a lease in place of the one of that name; durable when it returns.

        Raises:
            LeaseRefused: a name that is too long, or too many digests.
        """
        held = sorted({hex_of(digest) for digest in digests})
        if len(held) > LEASE_DIGEST_COUNT_MAX or len(name.encode()) > LEASE_NAME_BYTES_MAX:
            raise LeaseRefused(
                f"a lease of {len(held)} chunks, where {LEASE_DIGEST_COUNT_MAX} are allowed, or of too long a name",
            )
        path = self._path(name)
        record = encode({"name": name, "until": float(until), "digests": bytes.fromhex("".join(held))})
        self._make_room(path.name, len(record), now)
        fresh = temporary(self._incoming)
        try:
            self._disk.write(fresh, [record])
            self._disk.sync(fresh)
            self._disk.rename(fresh, path)
        except OSError:
            with suppress(OSError):
                self._disk.unlink(fresh)
            raise
        self._disk.sync_folder(self._folder)

    def _make_room(self, name: str, size: int, now: float) -> None:
        """Removes leases that have ended, then the oldest: a full set of them must not keep a transfer from beginning.

        What a lease that goes has named stays for its grace, which is longer than all but the slowest transfers.
        """
        if self._has_room(name, size):
            return
        for _ in self.held(now):
            pass
        oldest = sorted(regular_files(self._disk, self._folder), key=lambda file: file[1].st_mtime, reverse=True)
        while oldest and not self._has_room(name, size):
            self._disk.unlink(self._folder / oldest.pop()[0])

    def _has_room(self, name: str, size: int) -> bool:
        others = [status.st_size for entry, status in regular_files(self._disk, self._folder) if entry != name]
        return len(others) < LEASE_COUNT_MAX and sum(others) + size <= LEASES_BYTES_MAX

    def drop(self, name: str) -> None:
        """Removes a lease, if there is one."""
        with suppress(FileNotFoundError):
            self._disk.unlink(self._path(name))

    def held(self, now: float) -> Iterator[bytes]:
        """The chunks of each lease, as digests of 32 bytes in a row. Removes leases that have ended, or never would.

        One that cannot be read is removed as well: its chunks have the grace of chunks that nobody names, and its
        transfer asks again what is missing.
        """
        for name, _ in regular_files(self._disk, self._folder):
            path = self._folder / name
            try:
                until, digests = _parse(self._disk.read(path, LEASE_BYTES_MAX))
            except Malformed:
                until, digests = now, b""
            except OSError as error:
                if error.errno not in UNREADABLE:
                    raise
                until, digests = now, b""
            if now < until <= now + LEASE_S_MAX:
                yield digests
            else:
                self._disk.unlink(path)

    def count(self) -> int:
        """How many there are."""
        return len(regular_files(self._disk, self._folder))

    def _path(self, name: str) -> Path:
        # Names are texts of all kinds, chosen by others.
        return self._folder / hashlib.sha256(name.encode()).hexdigest()


def _parse(data: bytes) -> tuple[float, bytes]:
    reader = Reader(decode(data, LEASE_BYTES_MAX), "lease")
    reader.text("name", LEASE_NAME_BYTES_MAX)
    until = float(reader.number("until"))
    digests = reader.bytes_("digests", DIGEST_BYTES * LEASE_DIGEST_COUNT_MAX)
    reader.end()
    if len(digests) % DIGEST_BYTES:
        raise Malformed("a lease with a part of a digest")
    return until, digests
