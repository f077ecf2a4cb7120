"""An app as one file, for sites without a network: written, read, looked into (`registry.bundle_file`)."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edged.bundle.cache import Cache
from edged.bundle.look import Inspected, Looker, look_into
from edged.bundle.pack import Packed, store
from registry import dsse
from registry.bundle_file import export_bundle, import_bundle
from registry.disk import Disk
from registry.errors import SourceUnreadable, StoreFailed
from registry.intake import Progress
from registry.keys import SigningKey
from registry.release import RELEASE_TYPE
from registry.release_store import StoredRelease, open_release


def export_app(
    packed: Packed, file: Path, *, cache: Cache, key: SigningKey | None, progress: Progress | None = None
) -> StoredRelease:
    """Write an app to `file`: whole and durable, or not at all. Blocking.

    Args:
        cache: where its chunks are kept, so that they need not be made again.
        key: None for a bundle that nobody has signed, which no fleet will run.
        progress: told bytes of the app done, and how many of them the cache did not have.

    Raises:
        RegistryError: the cache or `file` cannot be written, or the app is beyond a limit.
    """
    release = store(packed, cache.chunks, progress=progress)
    envelope = dsse.sign(RELEASE_TYPE, release.encode(), *([] if key is None else [key])).encode()
    with _replacing(file) as stream:
        export_bundle(envelope, cache.chunks, stream)
    return StoredRelease(release.digest, release, envelope)


def write_bundle(envelope: bytes, file: Path, cache: Cache) -> None:
    """Write a release, whose chunks the cache has, to `file`: whole and durable, or not at all. Blocking.

    Raises:
        RegistryError: `file` cannot be written, or a chunk is missing.
    """
    with _replacing(file) as stream:
        export_bundle(envelope, cache.chunks, stream)


def import_file(file: Path, *, cache: Cache, progress: Progress | None = None) -> StoredRelease:
    """Read a bundle into a cache, where its release is found by its digest. Blocking.

    Raises:
        RegistryError: no such file, no bundle, a damaged one; or the cache cannot be written.
    """
    with _reading(file) as stream:
        envelope = import_bundle(stream, cache.chunks, progress)
    return cache.releases.get(cache.releases.put(envelope))


def inspect_file(file: Path, progress: Progress | None = None) -> Inspected:
    """Read a bundle to its end, and keep nothing of it. Blocking.

    Raises:
        RegistryError: as `import_file`.
        BundleInvalid, ManifestError: the release is no app.
    """
    looker = Looker()
    with _reading(file) as stream:
        envelope = import_bundle(stream, looker, progress, verify=looker.begin)
    return look_into(open_release(envelope), looker)


def signed_by(stored: StoredRelease) -> tuple[str, ...]:
    """Ids of the keys that a release says to be signed by. Whether it is, is for a keyring to find out."""
    return tuple(signature.key_id for signature in dsse.Envelope.parse(stored.envelope).signatures)


@contextmanager
def _reading(file: Path) -> Iterator[BinaryIO]:
    try:
        stream = file.open("rb")
    except OSError as error:
        raise SourceUnreadable(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


@contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    """A new file that gets its name at the end, if all went well."""
    _check_replaceable(file)
    folder = file.absolute().parent
    try:
        descriptor, name = tempfile.mkstemp(prefix=".edged-bundle-", dir=folder)
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, 0o644)
        os.replace(name, file)
        Disk().sync_folder(folder)
    except OSError as error:
        raise _unwritable(file, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _check_replaceable(file: Path) -> None:
    """A device or pipe is not written to but replaced, as is a link: `-o /dev/null` must not leave a file there."""
    with suppress(OSError):
        if not stat.S_ISREG(file.stat().st_mode):
            raise StoreFailed(f"{file} is there, and is not a file", remedy="Name a file that you may write.")


def _unwritable(file: Path, error: OSError) -> StoreFailed:
    return StoreFailed(f"{file} cannot be written: {error.strerror}", remedy="Name a file that you may write.")
