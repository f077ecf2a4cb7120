"""An image in a folder (image-spec: image-layout.md), as `skopeo copy ... oci:FOLDER` writes it.

    oci-layout                 {"imageLayoutVersion": "1.0.0"}
    index.json                 which images there are
    blobs/sha256/<hex>         manifests, configs, layers

The folder may come from anybody: only regular files of the size that was announced are read, no links, no pipes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

import trio

from registry.digest import Digest, hex_of
from registry.errors import OciInvalid, OciMissing
from registry.limits import OCI_MANIFEST_BYTES_MAX
from registry.oci.document import parse_json
from registry.oci.image import Take
from registry.oci.manifest import Descriptor

_LAYOUT_BYTES_MAX = 4096
_LAYOUT_VERSION = "1.0.0"
_READ_BYTES = 1 << 20


class Layout:
    """An `Image` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def manifest(self, descriptor: Descriptor | None) -> bytes:
        """`index.json`, or a manifest that it names.

        Raises:
            OciMissing: there is no such file.
            OciInvalid: the folder is no layout, or the file is too large or no file.
        """
        if descriptor is not None:
            return await trio.to_thread.run_sync(_small, self._blob(descriptor.digest), OCI_MANIFEST_BYTES_MAX)
        about = await trio.to_thread.run_sync(_small, self.folder / "oci-layout", _LAYOUT_BYTES_MAX)
        if parse_json(about, "oci-layout").text("imageLayoutVersion") != _LAYOUT_VERSION:
            raise OciInvalid(f"{self.folder} is not an image layout of version {_LAYOUT_VERSION}")
        return await trio.to_thread.run_sync(_small, self.folder / "index.json", OCI_MANIFEST_BYTES_MAX)

    async def read(self, descriptor: Descriptor, take: Take) -> None:
        """See `Image`."""
        file, size = await trio.to_thread.run_sync(_open, self._blob(descriptor.digest))
        with file:
            if size != descriptor.size:
                raise OciInvalid(f"{descriptor.digest} has {size} bytes, not the {descriptor.size} announced")
            while piece := await trio.to_thread.run_sync(_piece, file):
                await take(piece)

    def _blob(self, digest: Digest) -> Path:
        return self.folder / "blobs" / "sha256" / hex_of(digest)


def is_layout(folder: Path) -> bool:
    """Whether a folder looks like one."""
    return (folder / "oci-layout").is_file()


def _open(path: Path) -> tuple[BinaryIO, int]:
    """A regular file and its size."""
    try:
        # NONBLOCK: a pipe would wait for somebody to write into it.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        raise OciMissing(f"{path} is not there", remedy="Copy the whole image into the folder.") from None
    except OSError as error:
        raise OciInvalid(f"{path} is not a file that can be read: {error.strerror}") from error
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise OciInvalid(f"{path} is not a regular file")
    return file, status.st_size


def _piece(file: BinaryIO, count: int = _READ_BYTES) -> bytes:
    try:
        return file.read(count)
    except OSError as error:
        raise OciInvalid(f"{file.name} cannot be read: {error.strerror}") from error


def _small(path: Path, bytes_max: int) -> bytes:
    file, size = _open(path)
    with file:
        if size > bytes_max:
            raise OciInvalid(f"{path} has {size} bytes, of {bytes_max} that it may")
        return _piece(file, bytes_max)
