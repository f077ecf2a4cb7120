"""The file around a backup: what was cut off, has rotted or asks for too much is found before it is used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import zstandard

from edged.errors import BackupInvalid, FleetFileMissing
from edged.fleet import archive
from edged.fleet.archive import MAGIC, decode_archive, encode_archive, read_archive, write_archive
from registry import strict

CONTENT = {"what": "fleet", "records": [b"x" * 100]}


def packed(plain: bytes, **options: bool) -> bytes:
    frame = zstandard.ZstdCompressor(**options).compress(plain)
    return MAGIC + hashlib.sha256(frame).digest() + frame


def test_there_and_back(tmp_path: Path) -> None:
    file = tmp_path / "fleet.backup"
    assert write_archive(file, CONTENT, mode=0o600) == len(file.read_bytes())
    assert write_archive(file, CONTENT, mode=0o600) == len(encode_archive(CONTENT))  # in place of an older one
    assert file.stat().st_mode & 0o777 == 0o600
    reader = read_archive(file)
    assert (reader.line("what", 10), reader.array("records", 1)) == ("fleet", [b"x" * 100])
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(FleetFileMissing):
        read_archive(tmp_path / "gone")


@pytest.mark.parametrize("at", [0, 10, 20, 60, -1])
def test_one_changed_byte_is_found(at: int) -> None:
    data = bytearray(encode_archive(CONTENT))
    data[at] ^= 1
    with pytest.raises(BackupInvalid):
        decode_archive(bytes(data))


def test_every_cut_is_found() -> None:
    data = encode_archive(CONTENT)
    for length in range(len(data)):
        with pytest.raises(BackupInvalid):
            decode_archive(data[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"edged backup 2\n" + bytes(64),
        packed(b"no msgpack"),
        packed(strict.encode([1])),
        packed(strict.encode(CONTENT), write_content_size=False),
        MAGIC + hashlib.sha256(b"no frame").digest() + b"no frame",
        MAGIC + hashlib.sha256(b"").digest(),
    ],
    ids=["empty", "version", "msgpack", "array", "size-unknown", "no-frame", "nothing"],
)
def test_what_is_no_backup_is_refused(data: bytes) -> None:
    with pytest.raises(BackupInvalid):
        decode_archive(data)


def test_at_the_limit_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(strict.encode(CONTENT))
    monkeypatch.setattr(archive, "BACKUP_BYTES_MAX", size)
    data = encode_archive(CONTENT)
    decode_archive(data)
    monkeypatch.setattr(archive, "BACKUP_BYTES_MAX", size - 1)
    with pytest.raises(BackupInvalid, match="more than"):
        encode_archive(CONTENT)
    with pytest.raises(BackupInvalid, match="memory"):
        decode_archive(data)
