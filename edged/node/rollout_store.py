"""What each app's rollout keeps across restarts: one file per app, written whole.

    state_dir/rollouts/<app>            strict msgpack, mode 0600: deployments hold values of variables
    state_dir/rollouts/.damaged-<app>   the last one of that name that could not be read

With `Saved` go the deployments that it speaks of, so that what is live can be served before any peer is heard of and
whatever became of the records. What is here was accepted once; nothing of it is verified again but that it is what was
written: its digest stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from edged.errors import EdgedError, RecordInvalid, RolloutNotSaved
from edged.fleet.deployment import Deployment
from edged.fleet.names import check_app
from edged.fleet.record import Version
from edged.fleet.rollout_event import Target
from edged.fleet.rollout_plan import Refused, Saved
from edged.limits import ROLLOUT_FILE_BYTES_MAX
from registry import strict
from registry.checked import content_of, with_digest
from registry.digest import parse_digest
from registry.disk import Disk, make_folders
from registry.errors import RegistryError
from registry.whole_file import TEMPORARY, write_whole

log = structlog.get_logger()

_FORMAT = 1
_DAMAGED = ".damaged-"  # no app's name begins with a dot
_TEXT_BYTES_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """An app's rollout as it is on disk.

    Attributes:
        deployments: that `saved` speaks of: of what is live, and of what comes back if that fails.
    """

    saved: Saved
    deployments: Mapping[Version, Deployment]


class RolloutStore:
    """The files of one folder, which is this process's alone. All methods block.

    Raises:
        RolloutNotSaved: the folder cannot be used.
    """

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        """
        Args:
            disk: another one than the real one, for tests.
        """
        self._folder = folder
        self._disk = Disk() if disk is None else disk
        try:
            make_folders(self._disk, folder, ())  # durable with its names: a process may have been killed before that
            for name in self._disk.names(folder):
                if name.startswith(".") and name.endswith(TEMPORARY):
                    self._disk.unlink(folder / name)
        except OSError as error:
            raise RolloutNotSaved(f"{folder} cannot be written: {error.strerror}") from error

    def load(self) -> dict[str, Kept]:
        """All apps. A file that is not what was written is put aside and logged: its app begins anew.

        So does one whose file the disk cannot read now, which stays where it is: the next start may read it.
        """
        found: dict[str, Kept] = {}
        try:
            names = sorted(name for name in self._disk.names(self._folder) if not name.startswith("."))
        except OSError as error:
            raise RolloutNotSaved(f"{self._folder} cannot be read: {error.strerror}") from error
        for name in names:
            try:
                found[check_app(name)] = _parse(self._disk.read(self._folder / name, ROLLOUT_FILE_BYTES_MAX))
            except OSError as error:
                log.error("rollout.damaged", app=name, reason=str(error))
            except (EdgedError, RegistryError) as error:
                log.error("rollout.damaged", app=name, reason=str(error))
                with suppress(OSError):
                    self._disk.rename(self._folder / name, self._folder / (_DAMAGED + name))
        return found

    def save(self, app: str, kept: Kept) -> None:
        """Durable when it returns.

        Raises:
            RolloutNotSaved: what was there before is still there.
        """
        try:
            write_whole(self._folder / check_app(app), _encode(kept), mode=0o600, replace=True, disk=self._disk)
        except OSError as error:
            raise RolloutNotSaved(f"{self._folder} cannot be written: {error.strerror}") from error


def _encode(kept: Kept) -> bytes:
    saved = kept.saved
    refused = saved.refused
    content = strict.encode(
        {
            "format": _FORMAT,
            "floor": list(saved.floor),
            "live": _target(saved.live),
            "watched": saved.watched,
            "previous": _target(saved.previous),
            "refused": None
            if refused is None
            else [*refused.version, refused.reverted, refused.code, refused.message[: _TEXT_BYTES_MAX // 4]],
            "deployments": [kept.deployments[at].encode() for at in sorted(kept.deployments)],
        }
    )
    return with_digest(content)


def _target(target: Target | None) -> list[object] | None:
    return None if target is None else [*target.version, target.release]


def _parse(data: bytes) -> Kept:
    match strict.decode(content_of(data, ROLLOUT_FILE_BYTES_MAX), ROLLOUT_FILE_BYTES_MAX):
        case {
            "format": 1,
            "floor": [int(epoch), int(sequence)],
            "live": live,
            "watched": bool(watched),
            "previous": previous,
            "refused": refused,
            "deployments": list(payloads),
        }:
            saved = Saved(
                Version(epoch, sequence), _parse_target(live), watched, _parse_target(previous), _why(refused)
            )
            deployments = [Deployment.parse(payload) for payload in payloads if isinstance(payload, bytes)]
        case _:
            raise RecordInvalid("it is not what was written there")
    by_version = {each.version: each for each in deployments}
    if any(target is not None and target.version not in by_version for target in (saved.live, saved.previous)):
        raise RecordInvalid("a deployment is missing")
    return Kept(saved, by_version)


def _parse_target(value: object) -> Target | None:
    match value:
        case None:
            return None
        case [int(epoch), int(sequence), str(release)]:
            return Target(Version(epoch, sequence), parse_digest(release))
        case _:
            raise RecordInvalid("a target is not what was written there")


def _why(value: object) -> Refused | None:
    match value:
        case None:
            return None
        case [int(epoch), int(sequence), bool(reverted), str(code), str(message)]:
            return Refused(Version(epoch, sequence), reverted, code, message)
        case _:
            raise RecordInvalid("a refusal is not what was written there")
