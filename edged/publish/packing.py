"""An app on this machine -> a signed release in a store of this user's cache."""

from __future__ import annotations

from pathlib import Path

import trio

from edged.bundle.pack import Packed as PackedApp
from edged.bundle.pack import pack, store
from edged.limits import PUBLISH_STORE_BYTES_MAX
from edged.manifest.model import App
from edged.publish.author import Author
from edged.publish.event import Packed, Packing, Show
from edged.publish.push import Package
from registry.chunk_store import ChunkStore
from registry.digest import digest_of


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

    def progress(done: int, total: int) -> None:
        trio.from_thread.check_cancelled()  # Ctrl-C: between two files
        token.run_sync_soon(show, Packing(app.name, done, total), idempotent=False)

    def work() -> Package:
        chunks = ChunkStore(cache_folder / "chunks", PUBLISH_STORE_BYTES_MAX)
        release = store(packed, chunks, progress=progress)
        payload = release.encode()
        return Package(app.name, digest_of(payload), author.sign_release(payload), release.chunks(), chunks)

    made = await trio.to_thread.run_sync(work)
    show(Packed(app.name, app.version or "", made.digest, len(packed.contents), packed.size_bytes, len(made.chunks)))
    return made, packed
