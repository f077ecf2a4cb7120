"""`edged push` while a fleet is struck: commands under way, and what they were told."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.stage import APPS
from registry.digest import Digest, parse_digest
from tests.fleets import Fleet, parsed

_WATCH_S = 20
"""How long a push waits for each wave: a fleet that is struck may take longer, and the push is no worse for that."""
PACES = {APPS[0]: ("--all-at-once",), APPS[1]: ("--soak", "2")}
"""One app changes everywhere at once, the other region by region."""
_END_S = 90.0
"""After which a push that does not end is ended: its publisher's machine died."""


@dataclass(frozen=True, slots=True)
class Published:
    """A deployment of which a publisher was told that the fleet has it.

    Attributes:
        body: what the release answers.
        digest: of the release.
        at: on the monotonic clock, at the latest.
    """

    app: str
    sequence: int
    digest: Digest
    body: str
    at: float


@dataclass
class Pushes:
    """All of a run. Used by one thread.

    Attributes:
        published: by when each command ended.
        failed: ends that were none of success, by code. A deployment may have been published before.
    """

    published: list[Published] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    _under_way: list[_Push] = field(default_factory=list)

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def begin(self, fleet: Fleet, app: str, body: str, folder: Path) -> None:
        """As the publisher whose fleet it is."""
        process = fleet.popen("push", folder, "--json", "--timeout", str(_WATCH_S), *PACES[app])
        self._under_way.append(_Push(process, app, body))

    def poll(self) -> None:
        """Take up what has ended."""
        for push in list(self._under_way):
            if time.monotonic() - push.began > _END_S:
                push.process.kill()
            if not push.reader.is_alive():
                self._under_way.remove(push)
                self._take(push)

    def _take(self, push: _Push) -> None:
        for line in push.lines:
            event = parsed(line)
            if event.get("event") == "published":
                digest = parse_digest(event["digest"])
                self.published.append(Published(push.app, event["sequence"], digest, push.body, time.monotonic()))
            elif "code" in event:
                self.failed[event["code"]] += 1
        if push.process.returncode < 0:
            self.failed["ended by force"] += 1


class _Push:
    def __init__(self, process: subprocess.Popen[str], app: str, body: str) -> None:
        self.process = process
        self.app = app
        self.body = body
        self.began = time.monotonic()
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        stdout, _ = self.process.communicate()
        self.lines = stdout.splitlines()
