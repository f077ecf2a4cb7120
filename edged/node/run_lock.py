"""One process at a time has a node's state folder: two would undo what the other has written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edged.errors import NodeRuns, StateFolderError

_NAME = "lock"


@contextmanager
def alone_in(state_dir: Path) -> Iterator[None]:
    """Have the folder for the time of the `with`; gone with the process, whatever ends it. Made if it is not there.

    Raises:
        NodeRuns: another process has it.
        StateFolderError: it cannot be used.
    """
    try:
        state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(state_dir / _NAME, flags, 0o600)
    except OSError as error:
        raise StateFolderError(f"{state_dir} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NodeRuns(f"a node runs with {state_dir}") from None
        yield
    finally:
        os.close(descriptor)
