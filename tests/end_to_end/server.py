"""`edged up` as a process of its own, on a free port of loopback."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Server(NamedTuple):
    """A server that listens. `events`: what it printed before, one record a line."""

    url: str
    process: subprocess.Popen[str]
    events: list[dict[str, Any]]

    def resident_bytes(self, which: str = "VmRSS") -> int:
        """Memory of the process now, or at its peak (`VmHWM`)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{which}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


@contextlib.contextmanager
def edged_up(app: Path, *options: str, prefix: Sequence[str] = ()) -> Iterator[Server]:
    """Serve the app of a folder until the block ends. `prefix`: a command to run it under (`taskset`)."""
    command = [sys.executable, "-m", "edged", "up", str(app), "--json", "--listen", "127.0.0.1:0", *options]
    process = subprocess.Popen([*prefix, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    events = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "listening":
                yield Server(events[-1]["urls"][0].rstrip("/"), process, events)
                return
        raise AssertionError(f"edged up ended with status {process.wait()}: {events}")
    finally:
        process.terminate()
        process.communicate()
