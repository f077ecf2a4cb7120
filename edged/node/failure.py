"""Why a node did not start, or ended: kept in its state folder for `edged doctor`, until it is ready again.

A journal may be full, rotated or forbidden to whoever looks; this is one small file. It has what the error says to
people: errors of ours carry no secret, and of others only the name of their class is kept.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from bgp.errors import BgpError
from edged.errors import EdgedError
from edged.limits import FAILURE_BYTES_MAX, FAILURE_TEXT_CHARS_MAX
from edged.nursery import first_error
from registry.disk import Disk
from registry.errors import RegistryError
from registry.whole_file import write_whole

log = structlog.get_logger()

NAME = "failure.json"
"""In the state folder."""

_VERSION = 1
_AT_MAX = 1e11  # the year 5138


@dataclass(frozen=True, slots=True)
class Failure:
    """The last one.

    Attributes:
        at: unix time, s.
        code: as docs/errors.md and its like have it; `internal` for a mistake of ours.
    """

    at: float
    code: str
    message: str
    remedy: str

    @staticmethod
    def of(error: BaseException, now: float) -> Failure:
        """What an error says."""
        ours = first_error(error) or error
        if not isinstance(ours, EdgedError | RegistryError | BgpError):
            ours = EdgedError(f"a mistake in edged: {type(error).__name__}", remedy="Report it, with the node's log.")
        return Failure(now, ours.code, _cut(ours.message), _cut(ours.remedy))


def write_failure(folder: Path, error: BaseException, now: float | None = None) -> None:
    """Keep why a node ends. It ends all the same where that cannot be done. Blocks.

    Args:
        folder: its state folder.
        now: unix time, s; None for that of the clock.
    """
    failure = Failure.of(error, time.time() if now is None else now)
    data = json.dumps({"v": _VERSION, **asdict(failure)}, ensure_ascii=False).encode("utf-8", "replace")
    try:
        write_whole(folder / NAME, data, mode=0o600, replace=True)
    except OSError as problem:
        log.warning("node.failure-not-kept", error=problem.strerror)


def clear_failure(folder: Path) -> None:
    """The node is ready. Blocks."""
    with suppress(OSError):  # a folder that cannot be written is told by what needs it
        (folder / NAME).unlink()


def read_failure(folder: Path) -> Failure | None:
    """The failure that is kept; None where there is none, we may not look, or it is something else. Blocks.

    Root reads it, in a folder that is not root's: no link is followed, and no pipe waited for.
    """
    try:
        data = Disk().read(folder / NAME, FAILURE_BYTES_MAX)
    except OSError:
        return None
    if len(data) > FAILURE_BYTES_MAX:
        return None
    try:
        return _parse(json.loads(data))
    except (ValueError, RecursionError):
        return None


def _parse(value: Any) -> Failure | None:
    match value:
        case {"v": 1, "at": int() | float() as at, "code": str(code), "message": str(message), "remedy": str(remedy)}:
            if 0 <= at < _AT_MAX:  # JSON as Python reads it knows NaN and infinity, too
                return Failure(float(at), code, message, remedy)
    return None


def _cut(text: str) -> str:
    return text if len(text) <= FAILURE_TEXT_CHARS_MAX else text[: FAILURE_TEXT_CHARS_MAX - 1] + "…"
