"""An app on disk -> what a release of it holds.

    App ── pack ──> Packed ── store ──> Release
           spin.toml again,    split into chunks,
           sources fetched,    put into a ChunkStore
           files found

The same files give the same release, digest included: nothing of the machine, the folder or the time is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import trio

from edged import manifest
from edged.bundle.lock import LOCK_ENTRY, MANIFEST_ENTRY, Lock, component_entry, file_entry
from edged.bundle.placement import Placement, parse_placement
from edged.bundle.unpack import called_components
from edged.errors import BundleUnusable, ComponentTooLarge, ManifestError, ManifestMissing, SourceMissing, Unsupported
from edged.limits import COMPONENT_BYTES_MAX, LOCK_BYTES_MAX, MANIFEST_BYTES_MAX
from edged.manifest.model import App, Component
from edged.manifest.source import local_file
from registry.chunk_store import ChunkStore
from registry.errors import PathInvalid, ReleaseInvalid
from registry.intake import Progress
from registry.limits import RELEASE_ENTRY_COUNT_MAX, VERSION_BYTES_MAX
from registry.paths import check_path, check_paths
from registry.release import Entry, Release, check_app

if TYPE_CHECKING:
    import httpx


UNVERSIONED = "unversioned"
"""What a release has for a version where its manifest has none."""


@dataclass(frozen=True, slots=True)
class Content:
    """One entry of a release that is to be.

    Attributes:
        path: in the release.
        source: the file, or the bytes themselves.
        size_bytes: when it was looked at.
    """

    path: str
    source: Path | bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Packed:
    """An app whose every byte is at hand.

    Attributes:
        app: as the packed manifest has it.
        placement: what its `[application.tool.edged]` says.
        contents: sorted by path.
    """

    app: App
    placement: Placement
    contents: tuple[Content, ...]

    @property
    def size_bytes(self) -> int:
        return sum(content.size_bytes for content in self.contents)


async def pack(app: App, *, sources: Path, transport: httpx.AsyncBaseTransport | None = None) -> Packed:
    """Find everything that a release of an app needs. Call it after the builds.

    The manifest is read again, since its bytes are part of the release: what it says now is what is packed.

    Args:
        app: says where the manifest is and which profile counts.
        sources: cache folder for components that are fetched by URL.
        transport: what carries requests, if not the network.

    Raises:
        ManifestMissing, ManifestError: the manifest, its `[application.tool.edged]` or `files`.
        Unsupported: the app asks for something that edged does not have.
        SourceMissing, SourceUnavailable, DigestMismatch, ComponentTooLarge, CacheError: a component or file.
        BundleUnusable: a file name that a release cannot have, or too many files.
    """
    data, app = await trio.to_thread.run_sync(_read, app)
    _check_details(app)
    placement = parse_placement(data, app.manifest_path)
    called = called_components(app)
    contents = [Content(MANIFEST_ENTRY, data, len(data))]
    files: dict[str, tuple[str, ...]] = {}
    for component in app.components.values():
        if component.id not in called:
            continue
        try:
            source = await local_file(component.source, cache=sources, transport=transport)
        except SourceMissing as error:
            raise SourceMissing(f"component `{component.id}`: {error.message}", remedy=error.remedy) from None
        found = await trio.to_thread.run_sync(_contents_of, app, component, source)
        files[component.id] = tuple(guest for guest, _ in found[1:])
        contents += [content for _, content in found]
    lock = Lock(app.profile, MappingProxyType(files)).encode()
    if len(lock) > LOCK_BYTES_MAX:
        raise BundleUnusable(f"the names of all files take {len(lock)} bytes, of {LOCK_BYTES_MAX} that they may")
    contents.append(Content(LOCK_ENTRY, lock, len(lock)))
    contents.sort(key=lambda content: content.path)
    if len(contents) > RELEASE_ENTRY_COUNT_MAX:
        raise BundleUnusable(f"the app has {len(contents)} files, of {RELEASE_ENTRY_COUNT_MAX} that a release may have")
    _check_paths(contents)
    return Packed(app, placement, tuple(contents))


def store(
    packed: Packed,
    chunks: ChunkStore,
    *,
    annotations: Mapping[str, str] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Release:
    """Put every byte of an app into a store. Blocking: call it in a thread.

    Args:
        annotations: of the release.
        progress: told bytes read in all, of `packed.size_bytes`, and how many of those the store did not have.

    Raises:
        RegistryError: see `ChunkStore.put_files`.
    """
    sources = (BytesIO(each.source) if isinstance(each.source, bytes) else each.source for each in packed.contents)
    blobs = chunks.put_files(sources, progress)
    entries = tuple(Entry(content.path, blob) for content, blob in zip(packed.contents, blobs, strict=True))
    return Release(packed.app.name, packed.app.version or UNVERSIONED, entries, annotations)


def _read(app: App) -> tuple[bytes, App]:
    """The manifest as it is now, and the app that it describes."""
    path = app.manifest_path
    try:
        with path.open("rb") as stream:
            data = stream.read(MANIFEST_BYTES_MAX + 1)
    except OSError as error:
        raise ManifestMissing(f"{path} cannot be read: {error.strerror}") from error
    app = manifest.parse(data, path, profile=app.profile)
    if missing := manifest.unsupported(app):
        raise Unsupported("\n".join(missing))
    if not app.triggers:
        raise ManifestError(
            f"{path}: the app has no trigger, so there is nothing to serve",
            remedy="Add one, such as [[trigger.http]] with a route and a component.",
        )
    return data, app


def _contents_of(app: App, component: Component, source: Path) -> list[tuple[str, Content]]:
    """The component itself, then its files in order; each behind its guest path."""
    main = _content(component_entry(component.id), source)
    if main.size_bytes > COMPONENT_BYTES_MAX:
        raise ComponentTooLarge(
            f"component `{component.id}` has {main.size_bytes} bytes, of {COMPONENT_BYTES_MAX} that it may"
        )
    files = manifest.mount(app, component).items()
    return [("", main), *((guest, _content(file_entry(component.id, guest), host)) for guest, host in files)]


def _content(path: str, file: Path) -> Content:
    try:
        return Content(path, file, file.stat().st_size)
    except OSError as error:
        raise SourceMissing(f"{file} cannot be read: {error.strerror}") from error


def _check_details(app: App) -> None:
    """Said before anything is read, not when all of it has been stored."""
    try:
        check_app(app.name)
    except ReleaseInvalid as error:
        raise ManifestError(f"{app.manifest_path}:1: {error.message}", remedy=error.remedy) from None
    version = app.version or UNVERSIONED
    if len(version.encode()) > VERSION_BYTES_MAX or not version.isprintable():
        raise ManifestError(f"{app.manifest_path}:1: `version` is not one line of at most {VERSION_BYTES_MAX} bytes")


def _check_paths(contents: Iterable[Content]) -> None:
    try:
        check_paths([check_path(content.path) for content in contents])
    except PathInvalid as error:
        raise BundleUnusable(error.message, remedy=error.remedy) from None
