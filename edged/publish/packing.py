"""An app on this machine, or a release in a bundle -> a signed release in a store of this user's cache."""

from __future__ import annotations

from pathlib import Path

import trio

from edged.bundle.cache import Cache, open_cache
from edged.bundle.file import import_file
from edged.bundle.look import Inspected, look_into
from edged.bundle.pack import Packed as PackedApp
from edged.bundle.pack import pack, store
from edged.manifest.model import App
from edged.publish.author import Author
from edged.publish.event import Packed, Packing, Show
from edged.publish.push import Package
from registry.digest import Digest, digest_of
from registry.errors import BlobsMissing, KeyNotAllowed, SignatureInvalid
from registry.release_store import StoredRelease


async def package(app: App, author: Author, cache_folder: Path, show: Show) -> tuple[Package, PackedApp]:
    """Pack and sign. Takes a second for 40 MB.

    Args:
        app: after its builds.
        cache_folder: of this user; chunks that an earlier push left there are not made again.

    Raises:
        EdgedError, RegistryError: see `edged.bundle.pack`.
    """
    packed = await pack(app, sources=cache_folder / "sources")
    show(Packing(app.name, 0, packed.size_bytes))
    token = trio.lowlevel.current_trio_token()

    def progress(done: int, _fresh: int) -> None:
        trio.from_thread.check_cancelled()  # Ctrl-C: between two files
        token.run_sync_soon(show, Packing(app.name, done, packed.size_bytes), idempotent=False)

    def work() -> Package:
        chunks = open_cache(cache_folder).chunks
        release = store(packed, chunks, progress=progress)
        payload = release.encode()
        return Package(app.name, digest_of(payload), author.sign_release(payload), release.chunks(), chunks)

    made = await trio.to_thread.run_sync(work)
    show(Packed(app.name, app.version or "", made.digest, len(packed.contents), packed.size_bytes, len(made.chunks)))
    return made, packed


async def package_bundle(
    bundle: Path | Digest, author: Author, cache_folder: Path, show: Show, *, sign: bool
) -> tuple[Package, Inspected]:
    """What a bundle holds, or a release that the cache has of one.

    Args:
        sign: with this user's own key as well. Else somebody must have signed it who may deploy the app.

    Raises:
        SignatureInvalid, KeyNotAllowed: nobody has who may.
        EdgedError, RegistryError: see `edged.bundle.file.import_file` and `edged.bundle.look.look_into`.
    """
    token = trio.lowlevel.current_trio_token()

    def progress(done: int, total: int) -> None:
        trio.from_thread.check_cancelled()  # Ctrl-C: between two chunks
        token.run_sync_soon(show, Packing(str(bundle), done, total), idempotent=False)

    def work() -> tuple[Package, Inspected]:
        cache = open_cache(cache_folder)
        if isinstance(bundle, Path):
            stored = import_file(bundle, cache=cache, progress=progress)
        else:
            stored = _kept(cache, bundle)
        inspected = look_into(stored, cache.chunks)
        release = stored.release
        envelope = author.countersign_release(stored.envelope) if sign else stored.envelope
        if not sign:
            _check_signed(author, stored)
        return Package(release.app, stored.digest, envelope, release.chunks(), cache.chunks), inspected

    made, inspected = await trio.to_thread.run_sync(work)
    release = inspected.stored.release
    show(Packed(made.app, release.version, made.digest, len(release.entries), release.size, len(made.chunks)))
    return made, inspected


def _kept(cache: Cache, digest: Digest) -> StoredRelease:
    """A release of the cache, whose chunks stay for the push that comes."""
    stored = cache.releases.get(digest)
    if missing := cache.chunks.missing(chunk.digest for chunk in stored.release.chunks()):
        raise BlobsMissing(
            f"{len(missing)} chunks of release {digest} are not in the cache any more",
            missing,
            remedy="Name the bundle file.",
        )
    return stored


def _check_signed(author: Author, stored: StoredRelease) -> None:
    try:
        author.verify_release(stored.envelope, stored.release.app)
    except (SignatureInvalid, KeyNotAllowed) as error:
        error.remedy = "Have it exported with --key; or, if you know what is in it, sign it yourself with --sign."
        raise
