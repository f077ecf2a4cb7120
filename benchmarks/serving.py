"""Servers under test, each a process of its own on one core, and wrk on another."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

SERVER_CPU, CLIENT_CPU = "0", "1"


class Load(NamedTuple):
    """What wrk saw. Latencies in microseconds; `cpu_us` is the server's CPU time per request."""

    requests_per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float
    failures: int


class Server(NamedTuple):
    url: str
    process: subprocess.Popen[str]

    def load(self, connections: int, seconds: int, path: str = "/") -> Load:
        """Keep `connections` busy for some seconds."""
        before = self.cpu_s()
        output = subprocess.run(
            [
                "taskset",
                "-c",
                CLIENT_CPU,
                "wrk",
                "-t1",
                f"-c{connections}",
                f"-d{seconds}s",
                "--latency",
                self.url + path,
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        requests = int(_find(r"(\d+) requests in", output))
        cpu_s = self.cpu_s() - before
        failures = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        return Load(
            requests_per_s=float(_find(r"Requests/sec:\s+([\d.]+)", output)),
            p50_us=_latency(output, "50%"),
            p99_us=_latency(output, "99%"),
            cpu_us=cpu_s / max(requests, 1) * 1e6,
            failures=int(failures[1]) if failures else 0,
        )

    def cpu_s(self) -> float:
        """CPU time of the server so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(_find(r"VmRSS:\s+(\d+) kB", status)) * 1024


@contextlib.contextmanager
def edged_up(app: Path, *options: str) -> Iterator[Server]:
    """`edged up` on the app in a folder, on a free port of loopback."""
    command = [sys.executable, "-m", "edged", "up", str(app), "--json", "--listen", "127.0.0.1:0", *options]
    with _server(command, lambda event: event["urls"][0] if event["event"] == "listening" else None) as server:
        yield server


@contextlib.contextmanager
def behind_hypercorn(app: Path) -> Iterator[Server]:
    """The same app and engine with hypercorn's HTTP/1.1 in front."""
    command = [sys.executable, "-m", "benchmarks.requests.behind_hypercorn", str(app)]
    with _server(command, lambda event: event["url"]) as server:
        yield server


@contextlib.contextmanager
def app_folder(components: Mapping[str, str]) -> Iterator[Path]:
    """A folder with an app of WAT components: name -> text. Each is routed at `/<name>`; one alone at `/...`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = ["spin_manifest_version = 2", "[application]", 'name = "bench"']
        for component, text in components.items():
            route = "/..." if len(components) == 1 else f"/{component}"
            (folder / f"{component}.wat").write_text(text)
            lines += ["[[trigger.http]]", f'route = "{route}"', f'component = "{component}"']
            lines += [f"[component.{component}]", f'source = "{component}.wat"']
        (folder / "spin.toml").write_text("\n".join(lines) + "\n")
        yield folder


def need_wrk() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing. Install it (Debian: apt-get install wrk), then try again.")


@contextlib.contextmanager
def _server(command: list[str], url_of: Callable[[dict[str, Any]], str | None]) -> Iterator[Server]:
    process = subprocess.Popen(["taskset", "-c", SERVER_CPU, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            url = url_of(json.loads(line))
            if url:
                yield Server(url.rstrip("/"), process)
                return
        sys.exit(f"{' '.join(command)} ended with status {process.wait()}")
    finally:
        process.terminate()
        process.wait()


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def _latency(output: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\b", output)
    assert found is not None, output
    return float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]]
