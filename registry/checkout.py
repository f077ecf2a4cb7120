"""Releases as plain files, for what runs them.

```
folder/blobs/<hex>            each blob once, plain, mode 0444
folder/releases/<hex>/...     one folder a release: hard links to blobs
folder/incoming/...           being made, or being removed
```

Theory of operation: a release is made in incoming/, made durable, and renamed: what stands in releases/ is whole. As
the files may be older than this process, the first `make` of each verifies every byte, and makes anew what is not
what it was. Blocking and thread-safe; one process has the folder.
"""

from __future__ import annotations

import errno
import hashlib
import stat
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from registry.blob import Blob
from registry.chunk_store import ChunkStore
from registry.digest import Digest, hex_of
from registry.disk import UNREADABLE, Disk, blocks_of, faults, make_folders, regular_files, temporary
from registry.errors import BlobMismatch, DiskFull
from registry.limits import DISK_RESERVE_BYTES

if TYPE_CHECKING:
    from registry.release import Release


class Checkouts:
    """The releases of one folder. Raises StoreFailed where it cannot be read or written."""

    def __init__(
        self,
        folder: Path,
        store: ChunkStore,
        *,
        reserve_bytes: int = DISK_RESERVE_BYTES,
        disk: Disk | None = None,
    ) -> None:
        """Opens the folder, makes it if need be, and removes what a crash left half-made.

        Args:
            reserve_bytes: what must stay free on the disk.
            disk: another one than the real one, for tests.
        """
        self._disk = Disk() if disk is None else disk
        self._store = store
        self._folder = folder
        self._blobs = folder / "blobs"
        self._releases = folder / "releases"
        self._incoming = folder / "incoming"
        self._reserve_bytes = reserve_bytes
        self._lock = threading.Lock()
        # Made or read by this process. Two sets: a file may consist of the very bytes whose digest names a release.
        self._whole_releases: set[Digest] = set()
        self._whole_blobs: set[Digest] = set()
        with faults(f"the folder {folder} cannot be opened"):
            make_folders(self._disk, folder, ["blobs", "releases", "incoming"])
            for name in self._disk.names(self._incoming):
                self._remove(self._incoming / name)

    def make(self, release_digest: Digest, release: Release) -> Path:
        """The folder with every entry of the release as a read-only file. Costs nothing the second time.

        Raises:
            BlobMissing, BlobCorrupt: a chunk is not in the store; nothing was made.
            BlobMismatch: the chunks are not the blob that the release says.
            DiskFull: nothing was made.
        """
        entries = {entry.path: entry.blob for entry in release.entries}  # paths that a Release has checked
        target = self._releases / hex_of(release_digest)
        with self._lock, faults(f"the release {release_digest} cannot be checked out"):
            if release_digest in self._whole_releases and self._disk.is_folder(target):
                return target
            if self._disk.exists(target):
                if self._is_whole(target, entries):
                    self._whole_releases.add(release_digest)
                    return target
                self._remove_tree(target)
            self._lay_blobs({blob.digest: blob for blob in entries.values()})
            fresh = temporary(self._incoming)
            try:
                self._link_all(fresh, entries)
                self._disk.rename(fresh, target)
            except OSError:
                with suppress(OSError):
                    self._disk.remove_tree(fresh)
                raise
            self._disk.sync_folder(self._releases)
            self._whole_releases.add(release_digest)
        return target

    def keep(self, release_digests: Collection[Digest]) -> None:
        """Removes all other releases, and the blobs that only they had."""
        kept = {hex_of(digest) for digest in release_digests}
        with self._lock, faults("releases cannot be removed"):
            for name in self._disk.names(self._releases):
                if name not in kept:
                    self._whole_releases.discard(Digest("sha256:" + name))
                    self._remove_tree(self._releases / name)
            for name, status in regular_files(self._disk, self._blobs):
                if status.st_nlink == 1:
                    self._whole_blobs.discard(Digest("sha256:" + name))
                    self._disk.unlink(self._blobs / name)

    def _remove_tree(self, tree: Path) -> None:
        # By one rename first: a release that is there is whole, whenever the power fails.
        going = temporary(self._incoming)
        self._disk.rename(tree, going)
        self._disk.remove_tree(going)

    def _remove(self, path: Path) -> None:
        if stat.S_ISDIR(self._disk.status(path).st_mode):
            self._disk.remove_tree(path)
        else:
            self._disk.unlink(path)

    # --- blobs ---

    def _lay_blobs(self, blobs: dict[Digest, Blob]) -> None:
        """Every blob as a durable file in blobs/."""
        absent = [blob for blob in blobs.values() if not self._has_blob(blob)]
        needed = sum(blocks_of(blob.size) for blob in absent)
        free = self._disk.free_bytes(self._folder)
        if absent and free - needed < self._reserve_bytes:
            raise DiskFull(
                f"{needed} bytes of disk are needed; {free} are left, of which {self._reserve_bytes} must stay free"
            )
        with self._disk.writers("registry-checkout") as pool:
            laid = [pool.submit(self._lay_blob, blob) for blob in absent]
        for one in laid:
            one.result()
        # The names in blobs/ may be lost with the power: the releases keep the files, and a blob is laid again.
        self._whole_blobs.update(blob.digest for blob in absent)

    def _has_blob(self, blob: Blob) -> bool:
        if blob.digest in self._whole_blobs and self._disk.exists(self._blobs / hex_of(blob.digest)):
            return True
        if self._file_digest(self._blobs / hex_of(blob.digest), blob.size) != blob.digest:
            return False
        self._whole_blobs.add(blob.digest)
        return True

    def _lay_blob(self, blob: Blob) -> None:
        fresh = temporary(self._incoming)
        try:
            self._disk.write(fresh, self._plain(blob))
            self._disk.sync(fresh)
            self._disk.rename(fresh, self._blobs / hex_of(blob.digest))
        except BaseException:
            with suppress(FileNotFoundError):
                self._disk.unlink(fresh)
            raise

    def _plain(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob. Its chunks are verified; that they are this blob is only known at the end."""
        digest = hashlib.sha256()
        for chunk in blob.chunks:
            data = self._store.get(chunk)
            digest.update(data)
            yield data
        if "sha256:" + digest.hexdigest() != blob.digest:
            raise BlobMismatch(f"the chunks of {blob.digest} are not that blob", remedy="Pack the app again.")

    # --- folders ---

    def _link_all(self, root: Path, entries: dict[str, Blob]) -> None:
        self._disk.make_folder(root, 0o755)
        folders = {root}
        for path, blob in entries.items():
            self._make_folder((root / path).parent, folders)
            self._link(blob, root / path)
        for folder in folders:
            self._disk.sync_folder(folder)

    def _make_folder(self, folder: Path, made: set[Path]) -> None:
        if folder not in made:
            self._make_folder(folder.parent, made)
            self._disk.make_folder(folder, 0o755)
            made.add(folder)

    def _link(self, blob: Blob, path: Path) -> None:
        source = self._blobs / hex_of(blob.digest)
        try:
            self._disk.link(source, path)
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            # ext4 gives a file 65 000 names: the others keep theirs, a fresh copy takes new ones.
            self._lay_blob(blob)
            self._disk.link(source, path)

    # --- what is there ---

    def _is_whole(self, tree: Path, entries: dict[str, Blob]) -> bool:
        """Whether a folder has exactly these files, byte for byte."""
        return set(self._files_in(tree)) == entries.keys() and all(
            self._file_digest(tree / path, blob.size) == blob.digest for path, blob in entries.items()
        )

    def _files_in(self, folder: Path, above: str = "") -> Iterator[str]:
        """All but folders, at any depth, as paths of a release are written."""
        for name, status in self._disk.entries(folder):
            if stat.S_ISDIR(status.st_mode):
                yield from self._files_in(folder / name, f"{above}{name}/")
            else:
                yield above + name

    def _file_digest(self, path: Path, size: int) -> str:
        """The digest of a regular file of that size; an empty text for anything else, or what the disk cannot read."""
        try:
            status = self._disk.status(path)
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                return ""
            digest = hashlib.sha256()
            for piece in self._disk.read_pieces(path, size):
                digest.update(piece)
        except FileNotFoundError:
            return ""
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            return ""
        return "sha256:" + digest.hexdigest()
