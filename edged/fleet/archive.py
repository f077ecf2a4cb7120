"""The form of a backup file: one map of strict msgpack, packed, with its digest.

    "edged backup 1\n"
    32 bytes, the sha256 of all that follows
    one zstd frame, which says how much comes out of it

A file that was cut off, or has rotted, is found before anything of it is used. The digest is no signature: what is in
the file is verified as if a stranger had sent it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import zstandard

from edged.errors import BackupInvalid, FleetFileMissing
from edged.fleet.files import read_file, write_file
from edged.limits import BACKUP_BYTES_MAX, BACKUP_WINDOW_BYTES_MAX
from registry import strict
from registry.errors import RegistryError

MAGIC: Final = b"edged backup 1\n"

FILE_BYTES_MAX: Final = BACKUP_BYTES_MAX + BACKUP_BYTES_MAX // 128 + 1024
"""Of bytes that do not get smaller, with what stands around them."""

_FAMILY = b"edged backup "  # how those of other versions begin
_SUM_BYTES = 32
_LEVEL = 9  # a backup is written once, and kept


def encode_archive(content: Mapping[str, object]) -> bytes:
    """The file's bytes.

    Raises:
        BackupInvalid: more than one file holds.
    """
    plain = strict.encode(content)
    if len(plain) > BACKUP_BYTES_MAX:
        raise BackupInvalid(
            f"the backup has {len(plain)} bytes, more than {BACKUP_BYTES_MAX}", remedy="Remove apps that are not used."
        )
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(plain)
    return MAGIC + hashlib.sha256(packed).digest() + packed


def decode_archive(data: bytes) -> strict.Reader:
    """What is in the file: the caller takes it apart.

    Raises:
        BackupInvalid: no backup, a damaged one, or one that asks for too much memory.
    """
    if not data.startswith(MAGIC):
        if data.startswith(_FAMILY):
            raise BackupInvalid("a backup of another format", remedy="Use the version of edged that made it.")
        raise BackupInvalid("not a backup: it begins otherwise")
    packed = data[len(MAGIC) + _SUM_BYTES :]
    if hashlib.sha256(packed).digest() != data[len(MAGIC) : len(MAGIC) + _SUM_BYTES]:
        raise BackupInvalid("the backup is damaged, or was cut off")
    try:
        return strict.Reader(strict.decode(_unpack(packed), BACKUP_BYTES_MAX), "backup")
    except RegistryError as error:
        raise BackupInvalid(f"the backup is none: {error.message}") from None


def read_archive(path: Path) -> strict.Reader:
    """Likewise, from a file.

    Raises:
        FleetFileMissing, FleetFileError, FleetFileInvalid: the file cannot be read.
        BackupInvalid
    """
    try:
        return decode_archive(read_file(path, FILE_BYTES_MAX))
    except FleetFileMissing as error:
        error.remedy = "Name a file that `edged fleet backup` or `edged node backup` has written."
        raise


def write_archive(path: Path, content: Mapping[str, object], *, mode: int) -> int:
    """Write it whole and durable, or not at all; in place of an older one. Its bytes.

    Raises:
        BackupInvalid: too much for one file.
        FleetFileError: it cannot be written.
    """
    data = encode_archive(content)
    write_file(path, data, mode=mode, replace=True)
    return len(data)


def _unpack(packed: bytes) -> bytes:
    try:
        header = zstandard.get_frame_parameters(packed)
        # An unknown size is reported as the largest number there is, which is refused likewise.
        if header.content_size > BACKUP_BYTES_MAX or header.window_size > BACKUP_WINDOW_BYTES_MAX or header.dict_id:
            raise BackupInvalid("the backup asks for more memory than one may")
        decompressor = zstandard.ZstdDecompressor(max_window_size=BACKUP_WINDOW_BYTES_MAX)
        return decompressor.decompress(packed, max_output_size=header.content_size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BackupInvalid(f"the backup is damaged: {error}") from None
