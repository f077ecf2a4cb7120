"""What a store may take of a disk: its quota, and what must stay free."""

from __future__ import annotations

import threading

from registry.errors import DiskFull, StoreFull


class Usage:
    """Accounts that are spent before the disk is written to. Thread-safe.

    Attributes:
        bytes_max: the quota.
    """

    def __init__(self, bytes_max: int, reserve_bytes: int) -> None:
        """Nothing used yet.

        Args:
            reserve_bytes: what must stay free on the disk.
        """
        self.bytes_max = bytes_max
        self._reserve_bytes = reserve_bytes
        self._lock = threading.Lock()
        self._used_bytes = 0
        self._chunk_count = 0

    def found(self, size: int, *, chunks: int = 0) -> None:
        """Adds bytes and chunks that are on the disk, whatever the quota says."""
        with self._lock:
            self._used_bytes += size
            self._chunk_count += chunks

    def reserve(self, size: int, free_bytes: int) -> None:
        """Takes bytes of a disk that has so many left.

        Raises:
            StoreFull, DiskFull: nothing was taken.
        """
        with self._lock:
            if self._used_bytes + size > self.bytes_max:
                raise StoreFull(f"the store has {self._used_bytes} of its {self.bytes_max} bytes")
            if free_bytes - size < self._reserve_bytes:
                raise DiskFull(f"the disk has {free_bytes} bytes left, of which {self._reserve_bytes} must stay free")
            self._used_bytes += size

    def release(self, size: int, *, chunks: int = 0) -> None:
        """Gives back bytes and chunks that are gone."""
        self.found(-size, chunks=-chunks)

    def totals(self) -> tuple[int, int]:
        """Chunks, and bytes of disk."""
        with self._lock:
            return self._chunk_count, self._used_bytes
