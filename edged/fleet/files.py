"""Small files of an operator's fleet folder and of a node: read within a bound, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from edged.errors import FleetFileError, FleetFileExists, FleetFileInvalid, FleetFileMissing
from registry.whole_file import write_whole


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
    try:
        write_whole(path, data, mode=mode, replace=replace)
        path.chmod(mode)  # whatever the umask says: until here it is stricter
    except FileExistsError:
        raise FleetFileExists(f"{path} is already there") from None
    except OSError as error:
        raise FleetFileError(f"{path} cannot be written: {error.strerror}") from error
