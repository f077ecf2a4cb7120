"""Where images come from, as one interface, and the one place where their bytes are verified."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import trio

from registry.digest import Digest, digest_of
from registry.errors import OciFolderUnusable, OciInvalid, OciUnavailable
from registry.limits import OCI_BLOB_TIMEOUT_S
from registry.oci.manifest import Descriptor, Manifest, parse_manifest

Take = Callable[[bytes], Awaitable[None]]
"""Given the pieces of some content in order. Raises OciInvalid when they are not what was announced."""

_INDEX_COUNT_MAX = 3  # a layout's own, an image's, and the image


class Image(Protocol):
    """An image of a registry or a folder. Nothing that it gives has been verified."""

    async def manifest(self, descriptor: Descriptor | None) -> bytes:
        """A manifest or index: the one that the image was named by, or one that an index names.

        At most OCI_MANIFEST_BYTES_MAX.
        """

    async def read(self, descriptor: Descriptor, take: Take) -> None:
        """Give all bytes of a config or layer to `take`. It must be awaited, and whatever it raises passed on."""


async def find_manifest(image: Image, name: str | None = None) -> tuple[Digest, Manifest]:
    """The manifest of an image, with its digest.

    Args:
        name: of the image, where a layout has several.

    Raises:
        OciInvalid: it is none, or not the one that an index announced; or there is more than one to choose.
        RegistryError: the image's own.
    """
    descriptor: Descriptor | None = None
    for _ in range(_INDEX_COUNT_MAX):
        data = await image.manifest(descriptor)
        digest = digest_of(data)
        if descriptor is not None and (digest, len(data)) != (descriptor.digest, descriptor.size):
            raise OciInvalid(f"the manifest {descriptor.digest} is not what was announced")
        found = parse_manifest(data)
        if isinstance(found, Manifest):
            return digest, found
        descriptor, name = found.choose(name), None
    raise OciInvalid("an index of an index of an index")


async def load(image: Image, descriptor: Descriptor, bytes_max: int) -> bytes:
    """A small config or layer, verified.

    Raises:
        OciInvalid: larger than `bytes_max`, or not what was announced.
        RegistryError: the image's own.
    """
    if descriptor.size > bytes_max:
        raise OciInvalid(f"{descriptor.digest} has {descriptor.size} bytes, of {bytes_max} that it may")
    pieces: list[bytes] = []
    check = Check(descriptor)

    async def take(piece: bytes) -> None:
        check.add(piece)
        pieces.append(piece)

    await _read(image, descriptor, take)
    check.end()
    return b"".join(pieces)


async def save(image: Image, descriptor: Descriptor, file: Path) -> None:
    """A config or layer of any size as a new file, verified. After an error there may be a part of it.

    Raises:
        OciInvalid: not what was announced.
        OciFolderUnusable: the file cannot be written.
        RegistryError: the image's own.
    """
    check = Check(descriptor)
    try:
        stream = await trio.to_thread.run_sync(lambda: file.open("xb"))
    except OSError as error:
        raise _unwritable(file, error) from error
    with stream:

        async def take(piece: bytes) -> None:
            await trio.to_thread.run_sync(_write, check, stream, file, piece)

        await _read(image, descriptor, take)
        await take(b"")  # what is buffered must reach the file, or fail, here
    check.end()


class Check:
    """Counts and hashes bytes as they come.

    Raises `OciInvalid` as soon as there are more than announced, and at the end if they are fewer or others.
    """

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._size = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._descriptor.size:
            raise OciInvalid(f"{self._descriptor.digest} has more than the {self._descriptor.size} bytes announced")
        self._hash.update(piece)

    def end(self) -> None:
        if self._size != self._descriptor.size:
            raise OciInvalid(
                f"{self._descriptor.digest} has {self._size} bytes, not the {self._descriptor.size} announced"
            )
        if f"sha256:{self._hash.hexdigest()}" != self._descriptor.digest:
            raise OciInvalid(f"{self._descriptor.digest} has other bytes than its digest says")


def _write(check: Check, stream: BinaryIO, file: Path, piece: bytes) -> None:
    check.add(piece)
    try:
        stream.write(piece)
        if not piece:
            stream.flush()
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> OciFolderUnusable:
    return OciFolderUnusable(f"{file} cannot be written: {error.strerror}")


async def _read(image: Image, descriptor: Descriptor, take: Take) -> None:
    with trio.move_on_after(OCI_BLOB_TIMEOUT_S) as scope:
        await image.read(descriptor, take)
    if scope.cancelled_caught:
        raise OciUnavailable(f"{descriptor.digest} did not arrive within {OCI_BLOB_TIMEOUT_S:g} s")
