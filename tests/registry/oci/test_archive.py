"""Archives: what Spin makes, and what it never would."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from registry.digest import Digest, digest_of, hex_of
from registry.errors import OciInvalid
from registry.oci import archive as archive_module
from registry.oci.archive import extract
from tests.registry.oci.images import tar_gz

A, B = b"one file", b"another " * 100_000
WANTED = {digest_of(A), digest_of(B)}


def extracted(tmp_path: Path, data: bytes, wanted: set[Digest] = WANTED) -> dict[str, bytes]:
    (tmp_path / "archive").write_bytes(data)
    folder = tmp_path / "found"
    folder.mkdir()
    found = extract(tmp_path / "archive", wanted, folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert files.keys() == {hex_of(digest) for digest in found}
    return files


def refused(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(OciInvalid) as caught:
        extracted(tmp_path, data)
    assert not (tmp_path / "found" / "member").exists()
    return caught.value.message


def member(name: str, type_: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = type_
    for field, value in fields.items():
        setattr(info, field, value)
    return info


@pytest.mark.parametrize("names", [("a", "b"), ("deep/er/a", "x" * 140 + "/b")], ids=["short", "long"])
def test_members_are_found_by_digest(tmp_path: Path, names: tuple[str, str]) -> None:
    data = tar_gz({names[0]: A, names[1]: B, "c": b"not wanted", "d": A})
    assert extracted(tmp_path, data) == {hex_of(digest_of(A)): A, hex_of(digest_of(B)): B}


def blocks(info: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """A header that says what it says, and some content in whole blocks."""
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


SPARSE = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"


@pytest.mark.parametrize("type_", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGLINK])
@pytest.mark.parametrize("content", [b"1" * 60_000, SPARSE, b"11 path=a\n"], ids=["digits", "sparse", "honest"])
def test_headers_that_spin_does_not_write(tmp_path: Path, type_: bytes, content: bytes) -> None:
    data = blocks(member("x", type_, size=len(content)), content) + blocks(member("a"), b"9\n" + b"1\n" * 18)
    assert "something else" in refused(tmp_path, gzip.compress(data))


def test_a_name_for_a_name_for_a_name(tmp_path: Path) -> None:
    name = blocks(member("x", tarfile.GNUTYPE_LONGNAME, size=2), b"a\0")
    assert extracted(tmp_path, gzip.compress(name * 2 + blocks(member("b")) + bytes(1024))) == {}
    (tmp_path / "over").mkdir()
    assert "names for names" in refused(tmp_path / "over", gzip.compress(name * 2_000 + blocks(member("b"))))


@pytest.mark.parametrize(
    "info",
    [
        member("a", tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("a", tarfile.LNKTYPE, linkname="b"),
        member("a", tarfile.CHRTYPE, devmajor=1),
        member("a", tarfile.BLKTYPE),
        member("a", tarfile.FIFOTYPE),
        member("a", tarfile.CONTTYPE),
        member("a", tarfile.GNUTYPE_SPARSE),
        member("a", b"Z"),
    ],
    ids=["symlink", "hard link", "character device", "block device", "pipe", "contiguous", "sparse", "unknown"],
)
def test_only_files_and_folders(tmp_path: Path, info: tarfile.TarInfo) -> None:
    assert "something else" in refused(tmp_path, tar_gz({"b": A}, info))


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "a\\b", "a\nb", "././a", "a//b"])
def test_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    assert "path" in refused(tmp_path, tar_gz({}, member(name)))


def test_a_header_at_the_limit_and_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The longest part that the archive has is the long name of its second member, 142 bytes with what ends it.
    data = tar_gz({"a": A, "x" * 137 + "/b": b""})
    monkeypatch.setattr(archive_module, "OCI_ARCHIVE_HEADER_BYTES_MAX", 142)
    assert extracted(tmp_path, data) == {hex_of(digest_of(A)): A}
    monkeypatch.setattr(archive_module, "OCI_ARCHIVE_HEADER_BYTES_MAX", 141)
    (tmp_path / "over").mkdir()
    assert "header" in refused(tmp_path / "over", data)


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    claim = member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=3 << 30)
    data = gzip.compress(claim.tobuf(format=tarfile.GNU_FORMAT) + b"\0" * 10_000)
    assert "header" in refused(tmp_path, data)


def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar_gz({"zeros": bytes(1_000_000)})
    plain = len(gzip.decompress(data))
    assert len(data) < plain / 100
    monkeypatch.setattr(archive_module, "OCI_APP_BYTES_MAX", plain)
    assert extracted(tmp_path, data) == {}
    monkeypatch.setattr(archive_module, "OCI_APP_BYTES_MAX", plain - 1)
    (tmp_path / "over").mkdir()
    assert "unpacks to more" in refused(tmp_path / "over", data)


def test_a_bomb_behind_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar_gz({"a": A}) + gzip.compress(bytes(10_000_000))
    monkeypatch.setattr(archive_module, "OCI_APP_BYTES_MAX", 1_000_000)
    assert "unpacks to more" in refused(tmp_path, data)


def test_as_many_members_as_may_be_and_one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar_gz({"a": A, "b": B})  # and the folder
    monkeypatch.setattr(archive_module, "OCI_ARCHIVE_MEMBER_COUNT_MAX", 3)
    assert len(extracted(tmp_path, data)) == 2
    monkeypatch.setattr(archive_module, "OCI_ARCHIVE_MEMBER_COUNT_MAX", 2)
    (tmp_path / "over").mkdir()
    assert "members" in refused(tmp_path / "over", data)


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", gzip.compress(b"x" * 2000), gzip.compress(b"x" * 2000)[:-8]],
    ids=["empty", "text", "compressed text", "cut"],  # what is compressed has its time in it
)
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data)


def test_cut_off_anywhere(tmp_path: Path) -> None:
    data = tar_gz({"a": A})
    for cut in range(len(data)):
        (tmp_path / str(cut)).mkdir()
        refused(tmp_path / str(cut), data[:cut])


def test_another_byte_is_no_other_file(tmp_path: Path) -> None:
    data = tar_gz({"a": A})
    for index in range(len(data)):
        folder = tmp_path / str(index)
        folder.mkdir()
        bad = data[:index] + bytes([data[index] ^ 0x55]) + data[index + 1 :]
        try:
            found = extracted(folder, bad)
        except OciInvalid:
            continue
        assert found in ({}, {hex_of(digest_of(A)): A})
