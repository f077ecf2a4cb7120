"""A node's records on disk, so that it knows after any crash what it knew before.

    state_dir/records/<kind>/<name>/<epoch>.<sequence>
    state_dir/records/ledger

One file for each version of a record; the newest RECORD_HISTORY_COUNT_MAX of each are kept. The ledger is
`edged.fleet.ledger`.

A file is written under another name, made durable, and renamed; then the folder is made durable. The newest version
that is whole is the one that counts, so one rename is all that an acceptance takes, and no crash can lose or undo one
that was acknowledged. Nor one that was only seen: a process may have been killed before the folder was durable, so the
next one makes what it finds durable before it tells anybody. A file that is not what was written keeps its number as
`<epoch>.<sequence>.damaged`: nothing older will be accepted, although something older may be what is left to serve.
One that the disk cannot read now counts likewise, but stays where it is: the next start may read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edged.errors import RecordsUnusable
from edged.fleet.record import KINDS, Key, Kind, Version
from edged.limits import LEDGER_BYTES_MAX, RECORD_BYTES_MAX, RECORD_HISTORY_COUNT_MAX
from registry import strict
from registry.checked import content_of, with_digest
from registry.disk import UNREADABLE, Disk, make_folders
from registry.errors import RegistryError
from registry.whole_file import TEMPORARY, write_whole

_FILE_BYTES_MAX = RECORD_BYTES_MAX + 1024  # what stands around the record
_LEDGER_FILE_BYTES_MAX = LEDGER_BYTES_MAX + 1024  # what stands around the ledger
_SIGNER_BYTES_MAX = 32
_DAMAGED = ".damaged"
_LEDGER = "ledger"
_file_name = re.compile(r"([0-9]{10})\.([0-9]{20})(\.damaged)?").fullmatch
_record_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is kept.

    Attributes:
        envelope: the signed record.
        signer: raw public key of who signed it; empty for a roster, which several may have signed.
        accepted_at: unix time, s.
    """

    key: Key
    version: Version
    envelope: bytes
    signer: bytes
    accepted_at: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was on disk.

    Attributes:
        records: of each name the newest version that is whole.
        versions: of each name the newest version that there ever was, damaged ones included.
        damaged: names and versions of files that are not what was written, found now or at an earlier start.
    """

    records: tuple[Stored, ...]
    versions: dict[Key, Version]
    damaged: tuple[tuple[Key, Version], ...]


class RecordStore:
    """The records below one folder, which is this process's alone. Not thread-safe; all methods block.

    All raise `RecordsUnusable`.
    """

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        """
        Args:
            disk: another one than the real one, for tests.
        """
        self._folder = folder
        self._disk = Disk() if disk is None else disk
        self._durable: set[Path] = set()
        """Folders of records whose own names are: what is there may have been made by a try that failed."""

    def load(self) -> Loaded:
        """Everything that counts. Files that are damaged are put aside, half-written ones removed."""
        records: list[Stored] = []
        versions: dict[Key, Version] = {}
        damaged: list[tuple[Key, Version]] = []
        with _unusable(self._folder):
            make_folders(self._disk, self._folder, ())
            self._settle(self._folder)
            for kind in KINDS:
                self._settle(self._folder / kind)
            for key in self._keys():
                self._settle(self._folder_of(key))
                self._durable.add(self._folder_of(key))
                names = self._versions(key)
                if names:
                    versions[key] = max(names)
                unreadable: set[Version] = set()
                newest = next(self._whole(key, unreadable), None)
                if newest is not None:
                    records.append(newest)
                damaged += [
                    (key, version)
                    for version, is_whole in self._versions(key).items()
                    if not is_whole or version in unreadable
                ]
        return Loaded(tuple(records), versions, tuple(damaged))

    def save(self, record: Stored) -> None:
        """Keep a version of a record. On disk, whatever happens next, when this returns."""
        folder = self._folder_of(record.key)
        target = folder / _name_of(record.version)
        with _unusable(folder):
            self._make(folder)
            self._replace(target, _encode(record))
        # Room for the next; what is left over by a fault is removed by the one after.
        with suppress(OSError):
            self._remove(folder / (target.name + _DAMAGED))
            for version, is_whole in sorted(self._versions(record.key).items())[:-RECORD_HISTORY_COUNT_MAX]:
                self._remove(folder / (_name_of(version) + ("" if is_whole else _DAMAGED)))

    def history(self, key: Key, *, is_complete: bool = False) -> list[Stored]:
        """The versions that are kept and whole, newest first.

        Args:
            is_complete: whether one that the disk cannot read now is an error, and not left out.
        """
        unreadable: set[Version] = set()
        with _unusable(self._folder):
            found = list(self._whole(key, unreadable))
        if unreadable and is_complete:
            raise RecordsUnusable(f"{_name_of(max(unreadable))} in {self._folder_of(key)} cannot be read")
        return found

    def remove(self, key: Key) -> None:
        """Forget a record with all its versions, oldest first: a crash leaves the newest."""
        folder = self._folder_of(key)
        with _unusable(folder):
            for version, is_whole in sorted(self._versions(key).items()):
                self._remove(folder / (_name_of(version) + ("" if is_whole else _DAMAGED)))
            self._disk.sync_folder(folder)

    def versions(self) -> dict[Key, Version]:
        """Of each name the newest version that there ever was, damaged ones included. Changes nothing."""
        with _unusable(self._folder):
            found = {key: self._versions(key) for key in self._keys()}
        return {key: max(versions) for key, versions in found.items() if versions}

    def keep_number(self, key: Key, version: Version) -> None:
        """Accept nothing older than this version of a record, whatever of it is here. Durable when this returns."""
        folder = self._folder_of(key)
        with _unusable(folder):
            self._make(folder)
            marker = folder / (_name_of(version) + _DAMAGED)
            if not self._disk.exists(marker):
                self._replace(marker, b"")

    def forget(self, key: Key, version: Version) -> None:
        """Forget all versions of a record but the number of this one: nothing older will be accepted.

        The number is durable before anything goes: a crash leaves it, or a higher one.
        """
        self.keep_number(key, version)
        folder = self._folder_of(key)
        with _unusable(folder):
            for other, is_whole in sorted(self._versions(key).items()):
                if is_whole or other != version:
                    self._remove(folder / (_name_of(other) + ("" if is_whole else _DAMAGED)))
            self._disk.sync_folder(folder)

    def names(self, kind: Kind) -> list[str]:
        """Of the records of a kind, sorted; those that are damaged among them."""
        folder = self._folder / kind
        with _unusable(folder):
            if not self._disk.is_folder(folder):
                return []
            names = sorted(filter(_record_name, self._disk.names(folder)))
            return [name for name in names if self._disk.is_folder(folder / name)]

    def load_ledger(self) -> bytes | None:
        """What was saved; None if nothing was. Bytes that are no ledger if that is not what is there.

        Raises:
            RecordsUnusable
        """
        path = self._folder / _LEDGER
        with _unusable(path):
            try:
                return content_of(self._disk.read(path, _LEDGER_FILE_BYTES_MAX), _LEDGER_FILE_BYTES_MAX)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno not in UNREADABLE:
                    raise
                return b""
            except RegistryError:
                return b""

    def save_ledger(self, data: bytes) -> None:
        """Replace it. On disk when this returns."""
        with _unusable(self._folder):
            self._replace(self._folder / _LEDGER, with_digest(data))

    def _replace(self, target: Path, data: bytes) -> None:
        write_whole(target, data, mode=0o600, replace=True, disk=self._disk)

    def _folder_of(self, key: Key) -> Path:
        assert _record_name(key.name)  # names are parsed: none leads out of the folder
        return self._folder / key.kind / key.name

    def _remove(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            self._disk.unlink(path)

    def _keys(self) -> Iterator[Key]:
        for kind in KINDS:
            yield from (Key(kind, name) for name in self.names(kind))

    def _versions(self, key: Key) -> dict[Version, bool]:
        """Versions by the names of their files, and whether they are thought to be whole."""
        folder = self._folder_of(key)
        found: dict[Version, bool] = {}
        for name in self._disk.names(folder) if self._disk.is_folder(folder) else ():
            match = _file_name(name)
            if match:
                version = Version(int(match[1]), int(match[2]))
                found[version] = found.get(version, False) or not match[3]
        return found

    def _whole(self, key: Key, unreadable: set[Version]) -> Iterator[Stored]:
        """Versions that are whole, newest first. Others are put aside on the way, or added to `unreadable`."""
        for version, is_whole in sorted(self._versions(key).items(), reverse=True):
            if not is_whole:
                continue
            path = self._folder_of(key) / _name_of(version)
            try:
                stored = _parse(self._disk.read(path, _FILE_BYTES_MAX), key, version)
            except FileNotFoundError:  # another thread has made room meanwhile
                continue
            except OSError as error:
                if error.errno not in UNREADABLE:
                    raise
                unreadable.add(version)
                continue
            if stored is not None:
                yield stored
                continue
            with suppress(OSError):  # then it is found damaged again the next time
                self._disk.rename(path, path.with_name(path.name + _DAMAGED))

    def _make(self, folder: Path) -> None:
        """The folder of a record, durable with all its names."""
        if folder not in self._durable or not self._disk.is_folder(folder):
            make_folders(self._disk, folder.parent, ())
            make_folders(self._disk, folder, ())
            self._durable.add(folder)

    def _settle(self, folder: Path) -> None:
        """What a process that was killed left here: half-written files go, names are durable from now on."""
        if self._disk.is_folder(folder):
            for name in self._disk.names(folder):
                if name.startswith(".") and name.endswith(TEMPORARY):
                    with suppress(OSError):
                        self._disk.unlink(folder / name)
            self._disk.sync_folder(folder)


@contextmanager
def _unusable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordsUnusable(f"records cannot be kept in {folder}: {error.strerror or error}") from error


def _name_of(version: Version) -> str:
    return f"{version.epoch:010}.{version.sequence:020}"


def _encode(record: Stored) -> bytes:
    content = strict.encode(
        {
            "kind": record.key.kind,
            "name": record.key.name,
            "epoch": record.version.epoch,
            "sequence": record.version.sequence,
            "envelope": record.envelope,
            "signer": record.signer,
            "accepted_at": record.accepted_at,
        }
    )
    return with_digest(content)


def _parse(data: bytes, key: Key, version: Version) -> Stored | None:
    """The record in a file; None if it is not what was written there."""
    try:
        content = content_of(data, _FILE_BYTES_MAX)
        reader = strict.Reader(strict.decode(content, _FILE_BYTES_MAX), "file")
        kind: Kind = key.kind
        if (reader.choice("kind", KINDS), reader.line("name", 64)) != (kind, key.name):
            return None
        if Version(reader.integer("epoch"), reader.integer("sequence")) != version:
            return None
        return Stored(
            key,
            version,
            reader.bytes_("envelope", RECORD_BYTES_MAX),
            reader.bytes_("signer", _SIGNER_BYTES_MAX),
            reader.integer("accepted_at"),
        )
    except RegistryError:
        return None
