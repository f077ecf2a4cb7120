"""What other guests notice of two endless loops in the same worker: `python -m benchmarks.isolation [--json]`.

One core serves two guests: `loop` never ends, `hello` answers. The latency of `hello` is taken one request after the
other, first alone, then while two requests of `loop` run.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import threading
from time import perf_counter
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from benchmarks import serving
from tests.guests import wat

LOOPS = 2


def latencies_ms(url: str, count: int) -> list[float]:
    """Of `count` requests on one connection, sorted."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    times = []
    for _ in range(count):
        started = perf_counter()
        connection.request("GET", "/hello")
        answer = connection.getresponse()
        assert answer.read() == b"hello"
        times.append((perf_counter() - started) * 1e3)
    connection.close()
    return sorted(times)


def _loop(url: str) -> None:
    """Start an endless request. It ends when the server does, so its answer does not matter."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/loop")
        connection.getresponse()


def measure(count: int) -> list[dict[str, float | str]]:
    """Two rows, alone and beside the loops; milliseconds."""
    os.sched_setaffinity(0, {int(serving.CLIENT_CPU)})
    guests = {"hello": wat.text("hello"), "loop": wat.text("loop")}
    with (
        serving.app_folder(guests) as app,
        serving.edged_up(app, "--limit", "cpu_s_max=3600", "--limit", "wall_s_max=3600") as server,
    ):
        latencies_ms(server.url, 200)
        rows = [_row("alone", latencies_ms(server.url, count))]
        for _ in range(LOOPS):
            threading.Thread(target=_loop, args=(server.url,), daemon=True).start()
        latencies_ms(server.url, 50)  # by then both loops run
        rows.append(_row(f"beside {LOOPS} endless loops", latencies_ms(server.url, count)))
    return rows


def _row(name: str, times: list[float]) -> dict[str, float | str]:
    return {
        "hello": name,
        "p50_ms": round(statistics.median(times), 2),
        "p99_ms": round(times[int(len(times) * 0.99) - 1], 2),
        "max_ms": round(times[-1], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.isolation", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2_000, help="requests to time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.count)
    if options.json:
        print(json.dumps(rows))
        return
    table = Table(title="latency of hello", title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="left" if column == "hello" else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
