"""A lock that threads of one process and processes of one node share."""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from pathlib import Path
from types import TracebackType


class FolderLock:
    """`with lock:` one thread of one process at a time. Not for entering twice. Gone with the process that has it."""

    def __init__(self, path: Path) -> None:
        """Opens the lock's file, makes it if need be.

        Raises:
            OSError: it cannot.
        """
        self._thread = threading.Lock()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self._descriptor)

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            self._thread.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            self._thread.release()
