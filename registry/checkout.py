"""Releases as plain files, for what runs them.

```
folder/blobs/<hex>            each blob once, plain, mode 0444
folder/releases/<hex>/...     one folder a release: hard links to blobs
folder/incoming/...           being made
```

A release is made in incoming/, made durable, and renamed: what stands in releases/ is whole. As the files may be
older than this process, the first `make` of each release verifies every byte of it, and makes it anew where it is
not what it was. Blocking and thread-safe; one process has the folder.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from registry.chunk_store import ChunkStore
from registry.digest import Digest

if TYPE_CHECKING:
    from registry.release import Release


class Checkouts:
    """The releases of one folder. Raises StoreFailed where it cannot be read or written."""

    def __init__(self, folder: Path, store: ChunkStore) -> None:
        """Opens the folder, makes it if need be, and removes what a crash left half-made."""
        raise NotImplementedError

    def make(self, release_digest: Digest, release: Release) -> Path:
        """The folder with every entry of the release as a read-only file. Costs nothing the second time.

        Raises:
            BlobMissing, BlobCorrupt: a chunk is not in the store; nothing was made.
            BlobMismatch: the chunks are not the blob that the release says.
            PathInvalid: an entry's path.
            DiskFull: nothing was made.
        """
        raise NotImplementedError

    def keep(self, release_digests: Collection[Digest]) -> None:
        """Removes all other releases, and the blobs that only they had."""
        raise NotImplementedError
