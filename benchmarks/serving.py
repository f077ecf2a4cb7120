"""Servers under test, each a process of its own on one core, and wrk on another."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.end_to_end import server
from tests.end_to_end.server import Server

SERVER_CPU, CLIENT_CPU = "0", "1"


class Load(NamedTuple):
    """What wrk saw. Latencies in microseconds; `cpu_us` is the server's CPU time per request."""

    requests_per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float
    failures: int


def load(loaded: Server, connections: int, seconds: int, path: str = "/") -> Load:
    """Keep `connections` of a server busy for some seconds."""
    before = loaded.cpu_s()
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", loaded.url + path]
    output = subprocess.run([*_on(CLIENT_CPU), *wrk], check=True, capture_output=True, text=True).stdout
    requests = int(_find(r"(\d+) requests in", output))
    cpu_s = loaded.cpu_s() - before
    failures = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return Load(
        requests_per_s=float(_find(r"Requests/sec:\s+([\d.]+)", output)),
        p50_us=_latency(output, "50%"),
        p99_us=_latency(output, "99%"),
        cpu_us=cpu_s / max(requests, 1) * 1e6,
        failures=int(failures[1]) if failures else 0,
    )


def edged_up(app: Path, *options: str) -> contextlib.AbstractContextManager[Server]:
    """`edged up` on the app in a folder."""
    return server.edged_up(app, *options, prefix=_on(SERVER_CPU))


def behind_hypercorn(app: Path) -> contextlib.AbstractContextManager[Server]:
    """The same app and engine with hypercorn's HTTP/1.1 in front."""
    command = [sys.executable, "-m", "benchmarks.requests.behind_hypercorn", str(app)]
    return server.serving([*_on(SERVER_CPU), *command], lambda event: event["url"])


@contextlib.contextmanager
def app_folder(components: Mapping[str, str], *, reach: str = "") -> Iterator[Path]:
    """A folder with an app of WAT components: name -> text. Each is routed at `/<name>/...`; one alone at `/...`.

    Args:
        reach: what all of them may, of `allowed_outbound_hosts`.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = ["spin_manifest_version = 2", "[application]", 'name = "bench"']
        for component, text in components.items():
            route = "/..." if len(components) == 1 else f"/{component}/..."
            (folder / f"{component}.wat").write_text(text)
            lines += ["[[trigger.http]]", f'route = "{route}"', f'component = "{component}"']
            lines += [f"[component.{component}]", f'source = "{component}.wat"']
            lines += [f'allowed_outbound_hosts = ["{reach}"]'] if reach else []
        (folder / "spin.toml").write_text("\n".join(lines) + "\n")
        yield folder


def need_wrk() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing. Install it (Debian: apt-get install wrk), then try again.")


def _on(cpu: str) -> list[str]:
    return ["taskset", "-c", cpu]


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def _latency(output: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\b", output)
    assert found is not None, output
    return float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]]
