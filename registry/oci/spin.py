"""What `spin registry push` made -> a folder with an app: `spin.toml`, `components/` and `files/`.

    image ── manifest ── locked app ──> digests that are needed
                │                            │
                └─ layers ── fetched, verified, by digest ──> work/blobs/<hex>   (archives unpacked into the same)
                                             │
                                             └──> work/app/...  ── renamed ──> folder

Nothing has its final name before all of it is there and verified.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from registry.digest import Digest, hex_of
from registry.errors import OciFolderUnusable, OciInvalid, OciUnsupported, RegistryError
from registry.limits import OCI_APP_BYTES_MAX, OCI_LOCKED_APP_BYTES_MAX, OCI_PARALLEL_COUNT
from registry.oci import archive
from registry.oci.image import Image, find_manifest, load, save
from registry.oci.locked_app import Content, LockedApp, is_locked_app, parse_locked_app
from registry.oci.manifest import Descriptor, Manifest
from registry.oci.spin_toml import component_path, files_path, spin_toml

LOCKED_APP_TYPE: Final = "application/vnd.fermyon.spin.application.v1+config"
ARCHIVE_TYPE: Final = "application/vnd.wasm.content.bundle.v1.tar+gzip"

Progress = Callable[[int, int], None]
"""Told bytes fetched, and bytes to be fetched in all."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An app that was made.

    Attributes:
        digest: of the image's manifest.
        component_count, file_count: what there is in the folder.
    """

    name: str
    version: str
    digest: Digest
    component_count: int
    file_count: int


async def import_app(
    image: Image, folder: Path, *, name: str | None = None, progress: Progress = lambda _done, _total: None
) -> Imported:
    """Make a folder with the app of an image.

    Args:
        folder: must not exist; the folder that it is in must.
        name: of the image, where a layout has several.

    Raises:
        OciInvalid: something is not what it says it is, or not an app.
        OciUnsupported: the app asks for what edged does not have.
        OciFolderUnusable: `folder` exists, or cannot be written.
        RegistryError: the image's own.
    """
    with _work_folder(folder) as work:
        digest, manifest = await find_manifest(image, name)
        app = parse_locked_app(await _locked_app(image, manifest))
        manifest_toml = spin_toml(app)
        await _fetch(image, manifest, app.digests(), work / "blobs", progress)
        await trio.to_thread.run_sync(_write_app, app, manifest_toml, work)
        await trio.to_thread.run_sync(_finish, work / "app", folder)
    file_count = sum(len(component.files) for component in app.components)
    return Imported(app.name, app.version, digest, len(app.components), file_count)


async def _locked_app(image: Image, manifest: Manifest) -> bytes:
    for layer in manifest.layers:
        if layer.media_type == LOCKED_APP_TYPE:
            return await load(image, layer, OCI_LOCKED_APP_BYTES_MAX)
    # Very early versions of Spin had it in the place of the image's config.
    data = await load(image, manifest.config, OCI_LOCKED_APP_BYTES_MAX)
    if not is_locked_app(data):
        raise OciUnsupported(
            "the image is no Spin application",
            remedy="Name an image that `spin registry push` made. A single component is named in spin.toml by its URL.",
        )
    return data


async def _fetch(image: Image, manifest: Manifest, needed: frozenset[Digest], folder: Path, progress: Progress) -> None:
    layers = {layer.digest: layer for layer in manifest.layers if layer.digest in needed}
    inside = needed - layers.keys()
    # What is no layer is in an archive, which has to be looked into to know.
    archives = {layer.digest: layer for layer in manifest.layers if inside and layer.media_type == ARCHIVE_TYPE}
    wanted = layers | archives
    total = sum(layer.size for layer in wanted.values())
    if total > OCI_APP_BYTES_MAX:
        raise OciInvalid(f"the app has layers of {total} bytes, of {OCI_APP_BYTES_MAX} that it may")
    done = 0
    progress(done, total)
    limiter = trio.CapacityLimiter(OCI_PARALLEL_COUNT)

    failures: list[RegistryError] = []
    async with trio.open_nursery() as nursery:

        async def fetch(layer: Descriptor) -> None:
            nonlocal done
            try:
                async with limiter:
                    await save(image, layer, folder / hex_of(layer.digest))
            except RegistryError as error:
                failures.append(error)
                nursery.cancel_scope.cancel()
                return
            done += layer.size
            progress(done, total)

        for layer in wanted.values():
            nursery.start_soon(fetch, layer)
    if failures:
        raise failures[0]
    for layer in archives.values():
        file = folder / hex_of(layer.digest)
        inside -= await trio.to_thread.run_sync(archive.extract, file, inside, folder)
    if inside:
        raise OciInvalid(f"{sorted(inside)[0]} is in none of the image's layers")


def _write_app(app: LockedApp, manifest_toml: bytes, work: Path) -> None:
    left = OCI_APP_BYTES_MAX

    def write(content: Content, path: Path) -> None:
        nonlocal left
        path.parent.mkdir(parents=True, exist_ok=True)
        if content.digest is None:
            assert content.inline is not None
            path.write_bytes(content.inline)
            size = len(content.inline)
        else:
            blob = work / "blobs" / hex_of(content.digest)
            size = blob.stat().st_size
            if size > left:  # a locked app may name one large layer many thousand times
                raise OciInvalid(f"the app has files of more than {OCI_APP_BYTES_MAX} bytes")
            shutil.copyfile(blob, path)
        left -= size

    try:
        (work / "app").mkdir()
        (work / "app" / "spin.toml").write_bytes(manifest_toml)
        for component in app.components:
            write(component.source, work / "app" / component_path(component.id))
            for file in component.files:
                write(file.content, work / "app" / files_path(component.id) / file.path)
    except OSError as error:
        raise _unwritable(work, error) from error


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, gone at the end."""
    if os.path.lexists(folder):
        raise OciFolderUnusable(f"{folder} is there already")
    try:
        work = Path(tempfile.mkdtemp(prefix=".importing-", dir=folder.absolute().parent))
        (work / "blobs").mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield work
    finally:
        # Also when the task was cancelled, so it is not awaited.
        shutil.rmtree(work, ignore_errors=True)


def _finish(app: Path, folder: Path) -> None:
    try:
        app.chmod(0o755)
        app.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> OciFolderUnusable:
    return OciFolderUnusable(f"{folder} cannot be written: {error.strerror}")
