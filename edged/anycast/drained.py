"""That a node is drained, over restarts: a file that is there or not. What is in it is for people."""

from __future__ import annotations

import os
from pathlib import Path

from edged.errors import StateFolderError
from registry.disk import Disk


class Drained:
    """The file `drained` in a node's state folder. All methods block."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / "drained"

    def is_set(self) -> bool:
        """One that cannot be looked at counts: whoever drained a node wants it out of traffic."""
        try:
            os.lstat(self._file)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def set(self, reason: str) -> None:
        """On disk when this returns.

        Raises:
            StateFolderError: it could not be written; the node forgets at its next start that it is drained.
        """
        temporary = self._file.with_name("drained.new")
        try:
            temporary.unlink(missing_ok=True)
            disk = Disk()
            disk.write(temporary, [reason.encode() + b"\n"], 0o600)
            disk.sync(temporary)
            disk.rename(temporary, self._file)
            disk.sync_folder(self._file.parent)
        except OSError as error:
            raise StateFolderError(f"{self._file} cannot be written: {error.strerror}") from error

    def clear(self) -> None:
        """
        Raises:
            StateFolderError: it could not be removed.
        """
        try:
            self._file.unlink(missing_ok=True)
            Disk().sync_folder(self._file.parent)
        except OSError as error:
            raise StateFolderError(f"{self._file} cannot be removed: {error.strerror}") from error
