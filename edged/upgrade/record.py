"""What `edged upgrade` remembers of a machine: which version was before, and what is under way. One small file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edged.errors import ProtocolError, UpgradeFolderError
from edged.limits import UPGRADE_RECORD_BYTES_MAX
from edged.status.answer import Answer
from edged.upgrade.serving import Expected, parse_expected
from registry.disk import Disk

_VERSION = 1
_is_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An upgrade that has begun to change something, and has not ended.

    Attributes:
        to: sha256 of the new version.
        back_to: of the one that served before it; None for none.
        expected: what was served then; None before the node was told to restart.
    """

    to: str
    back_to: str | None
    expected: Expected | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Attributes:
    in_use, before: sha256 of the version that the last upgrade left in use, and of the one before it; None for none.
    """

    in_use: str | None = None
    before: str | None = None
    under_way: UnderWay | None = None

    def way_back(self, current: str | None) -> str | None:
        """Where `--back` leads to. The link may have been changed by others since the last upgrade."""
        if self.under_way is not None:
            return self.under_way.back_to
        return self.before if current == self.in_use else self.in_use


class RecordFile:
    """
    Args:
        path: of the file, which only its folder's owner may replace.
    """

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self._path = path
        self._disk = Disk() if disk is None else disk

    def read(self) -> Record:
        """The empty record where there is no file.

        Raises:
            UpgradeFolderError: it cannot be read, or is none.
        """
        try:
            data = self._disk.read(self._path, UPGRADE_RECORD_BYTES_MAX)
        except FileNotFoundError:
            return Record()
        except OSError as error:
            raise UpgradeFolderError(f"{self._path}: {error.strerror}") from error
        try:
            if len(data) > UPGRADE_RECORD_BYTES_MAX:
                raise ProtocolError("it is too long")
            return _parse(json.loads(data))
        except (ValueError, RecursionError, ProtocolError) as error:
            raise UpgradeFolderError(
                f"{self._path} is no record of upgrades: {error}",
                remedy=f"Remove {self._path}: `--back` knows nothing then, and all else is as before.",
            ) from None

    def write(self, record: Record) -> None:
        """On the disk when this returns, in place of the one before.

        Raises:
            UpgradeFolderError
        """
        temporary = self._path.with_name(f".new-{self._path.name}")
        text = json.dumps(_plain(record), indent=2) + "\n"
        try:
            temporary.unlink(missing_ok=True)
            self._disk.write(temporary, [text.encode()], 0o644)
            self._disk.sync(temporary)
            self._disk.rename(temporary, self._path)
            self._disk.sync_folder(self._path.parent)
        except OSError as error:
            raise UpgradeFolderError(f"{self._path} cannot be written: {error.strerror}") from error


def _plain(record: Record) -> dict[str, Any]:
    way = record.under_way
    under_way = way and {
        "to": way.to,
        "back_to": way.back_to,
        "expected": way.expected and way.expected.as_json(),
    }
    return {"v": _VERSION, "in_use": record.in_use, "before": record.before, "under_way": under_way}


def _parse(value: object) -> Record:
    answer = Answer(value, "record")
    if answer.get("v", int) != _VERSION:
        raise ProtocolError(f"it has the format {answer.get('v', int)}, and this edged knows {_VERSION}")
    way = answer.maybe_table("under_way")
    under_way = None
    if way is not None:
        wanted = way.maybe_table("expected")
        to = _digest(way, "to")
        if to is None:
            raise ProtocolError("`under_way.to` is missing")
        under_way = UnderWay(to, _digest(way, "back_to"), None if wanted is None else parse_expected(wanted))
    return Record(_digest(answer, "in_use"), _digest(answer, "before"), under_way)


def _digest(answer: Answer, key: str) -> str | None:
    text = answer.maybe(key, str)
    if text is not None and not _is_sha256(text):
        raise ProtocolError(f"`{key}` is no sha256")
    return text
