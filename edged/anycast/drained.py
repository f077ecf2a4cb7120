"""That a node is drained, over restarts: a file that is there or not. What is in it is for people."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edged.errors import StateFolderError
from registry.disk import Disk


class Drained:
    """The file `drained` in a node's state folder. All methods block."""

    def __init__(self, state_dir: Path, *, disk: Disk | None = None) -> None:
        """
        Args:
            disk: another one than the real one, for tests.
        """
        self._disk = Disk() if disk is None else disk
        self._file = state_dir / "drained"

    def is_set(self) -> bool:
        """One that cannot be looked at counts: whoever drained a node wants it out of traffic."""
        try:
            return self._disk.exists(self._file)
        except OSError:
            return True

    def set(self, reason: str) -> None:
        """On disk when this returns.

        Raises:
            StateFolderError: it could not be written; the node forgets at its next start that it is drained.
        """
        temporary = self._file.with_name("drained.new")
        try:
            with suppress(FileNotFoundError):
                self._disk.unlink(temporary)
            self._disk.write(temporary, [reason.encode() + b"\n"], 0o600)
            self._disk.sync(temporary)
            self._disk.rename(temporary, self._file)
            self._disk.sync_folder(self._file.parent)
        except OSError as error:
            raise StateFolderError(f"{self._file} cannot be written: {error.strerror}") from error

    def clear(self) -> None:
        """
        Raises:
            StateFolderError: it could not be removed.
        """
        try:
            with suppress(FileNotFoundError):
                self._disk.unlink(self._file)
            self._disk.sync_folder(self._file.parent)
        except OSError as error:
            raise StateFolderError(f"{self._file} cannot be removed: {error.strerror}") from error
