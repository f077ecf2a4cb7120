"""The node's own folder of compiled artefacts.

Loading an artefact runs native code, so nothing is loaded that this node did not write itself: the folder is private
(0700, ours), and each artefact has a MAC under a key that lives in the folder. A file that is corrupt, foreign or made
for another engine is removed and compiled again. The name of an entry is a hash of its key, which says what was
compiled and to what, and of all that code generation depends on (`edged.wasm.engine.fingerprint`).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import structlog

from edged.errors import CacheError
from edged.limits import CACHE_BYTES_MAX, COMPILE_TIMEOUT_S

log = structlog.get_logger()

_KEY_BYTES = 32


class AotCache:
    """Artefacts by key, for one engine configuration. A key begins with the sha256 of what was compiled.

    Args:
        folder: made with mode 0700 if it is not there.
        fingerprint: of the engine.

    Raises:
        CacheError: the folder is not ours alone, or cannot be made.
    """

    def __init__(self, folder: Path, fingerprint: str, *, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._folder = folder
        self._fingerprint = fingerprint
        self._bytes_max = bytes_max
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise CacheError(f"the cache folder {folder} is not a folder of yours with mode 0700")
            self._key = self._read_key()
        except OSError as error:
            raise CacheError(f"the cache folder {folder} cannot be used: {error.strerror}") from error

    def find(self, key: str) -> Path | None:
        """The artefact that has this key, verified; None if it must be compiled."""
        path = self._path(key)
        if not path.exists():
            return None
        if not self._verified(path):
            log.warning("cache.entry-rejected", path=str(path), remedy="none needed: it is compiled again")
            self.remove(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the age that pruning goes by
        return path

    @contextlib.contextmanager
    def reserve(self) -> Iterator[Path]:
        """A folder where the compiler may write, for `add` to take in what it wrote. The rest goes at the end.

        Raises:
            CacheError
        """
        folder = self._folder / f"{os.getpid()}.{secrets.token_hex(4)}.tmp"
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise self._not_writable(error) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, written: Mapping[str, Path]) -> dict[str, Path]:
        """Take in what the compiler wrote, in this order: durable first, then visible.

        Args:
            written: key -> file.

        Returns:
            key -> the artefact's place.

        Raises:
            CacheError
        """
        try:
            places = {key: self._add(key, file) for key, file in written.items()}
        except OSError as error:
            raise self._not_writable(error) from error
        self._prune(keep=places.values())
        return places

    def remove(self, key: str) -> None:
        path = self._path(key)
        path.unlink(missing_ok=True)
        path.with_suffix(".mac").unlink(missing_ok=True)

    def _add(self, key: str, written: Path) -> Path:
        path = self._path(key)
        with written.open("rb") as file:
            os.fsync(file.fileno())
        self._write(path.with_suffix(".mac"), self._mac(written))
        written.replace(path)
        return path

    def _not_writable(self, error: OSError) -> CacheError:
        return CacheError(f"the cache folder {self._folder} cannot be written: {error.strerror}")

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(f"{key}\n{self._fingerprint}".encode()).hexdigest()
        return self._folder / f"{name}.cwasm"

    def _verified(self, path: Path) -> bool:
        try:
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                return False
            return hmac.compare_digest(path.with_suffix(".mac").read_bytes(), self._mac(path))
        except OSError:  # no MAC, or another process has just removed it all
            return False

    def _mac(self, path: Path) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                mac.update(piece)
        return mac.digest()

    def _read_key(self) -> bytes:
        path = self._folder / "key"
        if not path.exists():
            self._write(path, secrets.token_bytes(_KEY_BYTES))
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            path.unlink()
            return self._read_key()
        return key

    def _write(self, path: Path, data: bytes) -> None:
        temporary = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def _prune(self, keep: Collection[Path]) -> None:
        """Remove the artefacts longest unused until the folder is inside its limit, and what killed compiles left."""
        oldest = time.time() - COMPILE_TIMEOUT_S
        entries = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):  # another process prunes too
                found = path.stat()
                if path.suffix == ".cwasm":
                    entries.append((found.st_mtime, found.st_size, path))
                elif path.suffix == ".tmp" and found.st_mtime < oldest:  # of a compile that was killed
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._bytes_max:
                return
            if path not in keep:
                total -= size
                with contextlib.suppress(OSError):
                    path.unlink()
                    path.with_suffix(".mac").unlink()
