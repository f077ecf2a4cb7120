"""A layer that is a tar archive of files, compressed with gzip: what Spin makes of more than 499 files.

Only the bytes of its members are of interest, which the locked app names by digest: where the archive says that they
belong is checked, since an archive with such paths is no honest one, and not used. Blocking: call it in a thread.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Self, cast

from registry.digest import Digest, hex_of
from registry.errors import OciFolderUnusable, OciInvalid, PathInvalid
from registry.limits import OCI_APP_BYTES_MAX, OCI_ARCHIVE_HEADER_BYTES_MAX, OCI_ARCHIVE_MEMBER_COUNT_MAX
from registry.paths import check_path

_READ_BYTES = 1 << 20
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)


def extract(archive: Path, wanted: Collection[Digest], folder: Path) -> frozenset[Digest]:
    """Write the members with these digests to `folder`, each named by its hex digits.

    Returns:
        The digests that were found.

    Raises:
        OciInvalid: not such an archive; one with links, devices or paths that lead out of it; or beyond
            OCI_APP_BYTES_MAX unpacked or OCI_ARCHIVE_MEMBER_COUNT_MAX members.
        OciFolderUnusable: `folder` cannot be written.
    """
    found: set[Digest] = set()
    try:
        with gzip.open(archive, "rb") as plain:
            counted = cast(IO[bytes], _Counted(cast(IO[bytes], plain)))
            with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Member, bufsize=_READ_BYTES) as tar:
                for count, member in enumerate(tar, start=1):
                    tar.members = []  # type: ignore[attr-defined]  # it would keep all of them
                    if count > OCI_ARCHIVE_MEMBER_COUNT_MAX:
                        raise OciInvalid(f"an archive has more than {OCI_ARCHIVE_MEMBER_COUNT_MAX} members")
                    _check(member)
                    if member.isreg():
                        digest = _copy(cast(IO[bytes], tar.extractfile(member)), folder / "member")
                        if digest in wanted and digest not in found:
                            _rename(folder / "member", folder / hex_of(digest))
                            found.add(digest)
            while counted.read(_READ_BYTES):  # what follows the archive is read too, so that its checksum is
                pass
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError) as error:
        raise OciInvalid(f"an archive is not tar in gzip: {error}") from None
    except RecursionError:  # tarfile calls itself for each header that another follows
        raise OciInvalid("an archive has names for names") from None
    except OSError as error:  # gzip.BadGzipFile is one
        raise OciInvalid(f"an archive cannot be read: {error}") from None
    finally:
        (folder / "member").unlink(missing_ok=True)
    return frozenset(found)


class _Member(tarfile.TarInfo):
    """Refuses a member before anything of it is read: tarfile would read a header of whatever length it claims.

    Of the headers that extend others only GNU's long names are taken, which is what Spin writes. Those of POSIX (pax)
    have tarfile search texts in quadratic time (CVE-2024-6232) and keep maps of sparse files of any length.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type == tarfile.GNUTYPE_LONGNAME:
            if not 0 <= member.size <= OCI_ARCHIVE_HEADER_BYTES_MAX:
                raise OciInvalid(f"an archive has a header of more than {OCI_ARCHIVE_HEADER_BYTES_MAX} bytes")
        elif member.type not in (*_FILES, tarfile.DIRTYPE):
            raise OciInvalid("an archive has something else than files and folders: a link, a device, a pax header")
        return member


class _Counted:
    """Plain bytes, up to the limit."""

    def __init__(self, plain: IO[bytes]) -> None:
        self._plain = plain
        self._left = OCI_APP_BYTES_MAX

    def read(self, size: int) -> bytes:
        data = self._plain.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise OciInvalid(f"an archive unpacks to more than {OCI_APP_BYTES_MAX} bytes")
        return data


def _check(member: tarfile.TarInfo) -> None:
    if member.size < 0 or member.issparse():
        raise OciInvalid("an archive has a member of no size")
    # Spin archives a folder as `.`, so that its members may begin with `./`.
    name = member.name.removeprefix("./").removesuffix("/") if member.isdir() else member.name.removeprefix("./")
    if member.isdir() and name in ("", "."):
        return
    try:
        check_path(name)
    except PathInvalid as error:
        raise OciInvalid(f"an archive has a path that may not be: {error.message}") from None


def _copy(source: IO[bytes], file: Path) -> Digest:
    hashed = hashlib.sha256()
    with _new(file) as stream:
        while piece := source.read(_READ_BYTES):
            hashed.update(piece)
            try:
                stream.write(piece)
            except OSError as error:
                raise _unwritable(file, error) from error
    return Digest(f"sha256:{hashed.hexdigest()}")


def _new(file: Path) -> IO[bytes]:
    try:
        # Without a buffer: what cannot be written fails where it is written.
        return file.open("wb", buffering=0)
    except OSError as error:
        raise _unwritable(file, error) from error


def _rename(file: Path, to: Path) -> None:
    try:
        file.rename(to)
    except OSError as error:
        raise _unwritable(to, error) from error


def _unwritable(file: Path, error: OSError) -> OciFolderUnusable:
    return OciFolderUnusable(f"{file} cannot be written: {error.strerror}")
