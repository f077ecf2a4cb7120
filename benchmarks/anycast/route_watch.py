"""When a router's kernel turned to which neighbour for the service: `ip monitor`, with the time of each line."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.lab.anycast import AnycastLab


@dataclass(frozen=True, slots=True)
class Change:
    """Attributes:
    at: `time.monotonic()`.
    to: name of the neighbour; "" for no route.
    """

    at: float
    prefix: str
    to: str


def parse(line: str, at: float) -> Change | None:
    """A line of `ip -o monitor route`; None for one that is about no single way."""
    words = line.split()
    is_gone = bool(words) and words[0] == "Deleted"
    words = words[is_gone:]
    if "dev" not in words or words[0] == "local":
        return None
    return Change(at, _whole(words[0]), "" if is_gone else words[words.index("dev") + 1].removeprefix("to-"))


def _whole(destination: str) -> str:
    """ip(8) leaves out the length of a prefix of one address."""
    if "/" in destination or destination == "default":
        return destination
    return f"{destination}/{128 if ':' in destination else 32}"


class RouteWatch:
    """All changes of the routes to some prefixes at one router, while the block lasts.

    Attributes:
        before: where they led, by prefix.
    """

    def __init__(self, lab: AnycastLab, router: str, prefixes: Collection[str]) -> None:
        self._lab = lab
        self._router = router
        self._prefixes = prefixes
        self._changes: list[Change] = []
        self.before: dict[str, str] = {}

    def __enter__(self) -> Self:
        command = ["ip", "netns", "exec", self._lab.namespace(self._router), "ip", "-o", "monitor", "route"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.before = {each: ",".join(sorted(self._lab.route(self._router, each))) for each in self._prefixes}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def changes(self, prefix: str, since: float = 0.0) -> list[Change]:
        """Of one prefix, those that lead elsewhere than the one before."""
        found, last = [], self.before[prefix]
        for change in [each for each in self._changes if each.prefix == prefix]:
            if change.to != last and change.at >= since:
                found.append(change)
            last = change.to
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                change = parse(line, time.monotonic())
                if change is not None:
                    self._changes.append(change)
