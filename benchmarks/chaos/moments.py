"""The moment at which a node is to be struck: when it writes a file, or says something.

The kernel tells of a file (inotify(7)) when it is created, while its bytes are on their way: who is killed then is
killed before it has its name, in the fsync where that takes long. What `kill -9` cannot show is a lost page cache; the
simulator's disk does.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.fleets import Event, FleetNode

_IN_MOVED_TO, _IN_CREATE, _IN_ISDIR = 0x80, 0x100, 0x40000000
_EVENT = struct.Struct("iIII")
_READ_BYTES = 64 * 1024

Happens = Literal["begun", "named"]


@dataclass(frozen=True, slots=True)
class Writes:
    """A file below a folder of the state folder: its bytes are begun, or it gets its name."""

    folder: str
    happens: Happens


@dataclass(frozen=True, slots=True)
class Says:
    """A rollout comes to a stage."""

    stage: str


Moment = Writes | Says

NOT_COME = "{}: the moment did not come"
"""How such a strike is counted."""

MOMENTS: dict[str, Moment] = {
    "a record is written": Writes("records", "begun"),
    "a record gets its name": Writes("records", "named"),
    "a rollout is saved": Writes("rollouts", "begun"),
    "a rollout gets its name": Writes("rollouts", "named"),
    "chunks arrive": Writes("registry", "begun"),
    "a release is laid out": Writes("checkouts", "begun"),
    "an app is fetched": Says("fetch"),
    "an app is compiled": Says("compile"),
    "an app is live": Says("live"),
}


class Arrivals:
    """Files that appear below a folder, while the block lasts; also in folders that come meanwhile.

    Raises:
        OSError: it cannot be watched.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watches: dict[int, Path] = {}
        self._descriptor = -1
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._cleanup.callback(os.close, self._descriptor)
        self._watch(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def wait(self, happens: Happens, give_up: Callable[[], bool]) -> Path | None:
        """The next file to which it happens; None when `give_up` says so, which is asked ten times a second."""
        wanted = _IN_CREATE if happens == "begun" else _IN_MOVED_TO
        while not give_up():
            if not select.select([self._descriptor], [], [], 0.1)[0]:
                continue
            found = None
            for mask, path in self._read():
                if mask & _IN_ISDIR:
                    self._watch(path)
                elif mask & wanted and found is None:
                    found = path
            if found is not None:
                return found
        return None

    def _watch(self, folder: Path) -> None:
        for path, _, _ in os.walk(folder):
            number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_CREATE | _IN_MOVED_TO)
            if number >= 0:  # else it is gone already
                self._watches[number] = Path(path)

    def _read(self) -> list[tuple[int, Path]]:
        data = os.read(self._descriptor, _READ_BYTES)
        found, at = [], 0
        while at < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = data[at : at + length].rstrip(b"\0")
            at += length
            if number in self._watches:  # -1: events were lost, of which one was enough
                found.append((mask, self._watches[number] / os.fsdecode(name)))
        return found


def has_come(node: FleetNode, moment: Moment, seconds: float) -> bool:
    """Wait for it, so long at most; whether it came."""
    if isinstance(moment, Writes):
        with Arrivals(node.state / moment.folder) as arrivals:
            return arrivals.wait(moment.happens, until(seconds)) is not None
    try:
        node.wait_for(partial(is_said, moment), since=node.mark(), timeout_s=seconds)
    except AssertionError:  # it was not said
        return False
    return True


def is_said(moment: Says, event: Event) -> bool:
    """Whether a line of the node's log is the moment."""
    return event.get("event") == "rollout.stage" and event["stage"] == moment.stage


def until(seconds: float) -> Callable[[], bool]:
    """Give up after so many seconds."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline
