"""Fifty releases of an app while requests come at a constant rate, on connections that are kept and on fresh ones."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.fleets import HTTP_PORT, app_folder, fleet_on_loopback, saying
from tests.open_loop import OpenLoop, Request

REGIONS = {"eu-1": "eu", "us-1": "us"}


def measure(count: int = 50, rate: float = 100) -> Iterator[dict[str, Any]]:
    """All releases; what became of the requests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        app = folder / "app"
        with fleet_on_loopback(folder / "fleet", REGIONS, workers=2) as fleet:
            fleet.push(app_folder(app, "hello", saying("0000")))
            addresses = [(node.host, HTTP_PORT) for node in fleet.nodes.values()]
            pushes, late = [], 0
            with OpenLoop(addresses, host="hello.edged.localhost", rate=rate) as load:
                for number in range(1, count + 1):
                    began = time.monotonic()
                    fleet.push(app_folder(app, "hello", saying(f"{number:04}")))
                    ended = time.monotonic()
                    pushes.append(ended - began)
                    load.wait_answers(4)
                    late += sum(request.begun > ended and request.body != b"%04d" % number for request in load.done)
            yield {
                "releases": count,
                "requests": len(load.done),
                "kept": sum(request.kept for request in load.done),
                "failed": len(load.failures),
                "answered_by_an_older_release": late,
                "push_s_median": round(statistics.median(pushes), 2),
                "latency_ms_p50": percentile(load.done, 50),
                "latency_ms_p99": percentile(load.done, 99),
                "latency_ms_max": percentile(load.done, 100),
            }


def percentile(done: list[Request], percent: int) -> float:
    times = sorted(request.ended - request.begun for request in done)
    return round(times[min(len(times) - 1, len(times) * percent // 100)] * 1e3, 1)
