"""Servers as processes of their own, on free ports of loopback. Benchmarks start theirs with this too."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.edged_command import edged_command

Event = dict[str, Any]


class Server(NamedTuple):
    """A server that listens. `events`: what it printed before, one record a line."""

    url: str
    process: subprocess.Popen[str]
    events: list[Event]

    def resident_bytes(self, which: str = "VmRSS") -> int:
        """Memory of the process now, or at its peak (`VmHWM`)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{which}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def cpu_s(self) -> float:
        """CPU time of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def edged_up(app: Path, *options: str, prefix: Sequence[str] = ()) -> Iterator[Server]:
    """Serve the app of a folder until the block ends. `prefix`: a command to run it under (`taskset`)."""
    command = edged_command("up", app, "--json", "--listen", "127.0.0.1:0", *options)
    with serving([*prefix, *command], _first_url) as server:
        yield server


def _first_url(event: Event) -> str | None:
    """Nothing, but no None, of an app that has no HTTP trigger."""
    return next(iter(event["urls"]), "") if "urls" in event else None


@contextlib.contextmanager
def serving(command: Sequence[str], url_of: Callable[[Event], str | None]) -> Iterator[Server]:
    """Run a server that prints JSON lines, until the block ends. `url_of` finds its address in one of them."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    events: list[Event] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            events.append(json.loads(line))
            url = url_of(events[-1])
            if url is not None:
                yield Server(url.rstrip("/"), process, events)
                return
        raise AssertionError(f"{' '.join(command)} ended with status {process.wait()}: {events}")
    finally:
        process.terminate()
        process.communicate()
