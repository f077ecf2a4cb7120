"""Small files of an operator's fleet folder and of a node: read within a bound, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from edged.errors import FleetFileError, FleetFileExists, FleetFileInvalid, FleetFileMissing


def read_file(path: Path, bytes_max: int) -> bytes:
    """All bytes of a file.

    Raises:
        FleetFileMissing, FleetFileError
        FleetFileInvalid: more than `bytes_max` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except FileNotFoundError:
        raise FleetFileMissing(f"there is no {path}") from None
    except OSError as error:
        raise FleetFileError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > bytes_max:
        raise FleetFileInvalid(f"{path} has more than {bytes_max} bytes")
    return data


def write_file(path: Path, data: bytes, *, mode: int, replace: bool = False) -> None:
    """Write a file durably: after a crash it is there whole, or as it was.

    Raises:
        FleetFileExists: it is there, and may not be replaced.
        FleetFileError
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)  # whatever the umask says
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)  # fails where the name is taken, unlike rename
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileExistsError:
        raise FleetFileExists(f"{path} is already there") from None
    except OSError as error:
        raise FleetFileError(f"{path} cannot be written: {error.strerror}") from error


def sync_folder(path: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
