"""What other guests notice of some that never end: `python -m benchmarks.isolation [--json]`.

One core serves all. The latency of `hello` is taken one request after the other: alone, beside two requests of `loop`,
which never ends, and beside 500 of `fetch`, which wait for a server that never answers.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import socket
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from benchmarks import serving
from tests.guests import wat

LOOPS = 2
WAITING = 500


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


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """A port where connections are accepted, by the kernel, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * WAITING) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def waiting(url: str, port: int) -> Iterator[None]:
    """Requests that wait until the block ends."""
    address = urlsplit(url)
    with contextlib.ExitStack() as clients:
        for _ in range(WAITING):
            client = clients.enter_context(socket.create_connection((address.hostname, address.port)))
            client.sendall(b"GET /127.0.0.1:%d/ HTTP/1.1\r\nhost: x\r\n\r\n" % port)
        yield


def threads(server: serving.Server) -> int:
    found = re.search(r"Threads:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def sockets(server: serving.Server) -> int:
    """Open descriptors of the process."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def measure(count: int) -> list[dict[str, float | str]]:
    """One row for each: alone, beside the loops, beside the waiting. Milliseconds."""
    os.sched_setaffinity(0, {int(serving.CLIENT_CPU)})
    endless = ("--limit", "cpu_s_max=3600", "--limit", "wall_s_max=3600")
    guests = {"hello": wat.text("hello"), "loop": wat.text("loop")}
    with serving.app_folder(guests) as app, serving.edged_up(app, *endless) as server:
        latencies_ms(server.url, 200)
        rows = [_row("alone", latencies_ms(server.url, count), server)]
        for _ in range(LOOPS):
            threading.Thread(target=_loop, args=(server.url,), daemon=True).start()
        latencies_ms(server.url, 50)  # by then both loops run
        rows.append(_row(f"beside {LOOPS} endless loops", latencies_ms(server.url, count), server))
    # fetch takes its whole path for an address, so that it has the app's other routes.
    with (
        silent_server() as port,
        serving.app_folder({"fetch": wat.text("fetch")}, reach="http://127.0.0.1:*") as app,
        _served_with_hello(app, "--allow-network", "loopback", *endless) as server,
    ):
        latencies_ms(server.url, 200)
        before = sockets(server)
        with waiting(server.url, port):
            while sockets(server) < before + 2 * WAITING:  # a client and an upstream each
                sleep(0.01)
            latencies_ms(server.url, 50)  # by then all of them wait
            rows.append(_row(f"beside {WAITING} that wait", latencies_ms(server.url, count), server))
    return rows


def _served_with_hello(app: Path, *options: str) -> contextlib.AbstractContextManager[serving.Server]:
    (app / "hello.wat").write_text(wat.text("hello"))
    with (app / "spin.toml").open("a") as manifest:
        manifest.write(
            '[[trigger.http]]\nroute = "/hello"\ncomponent = "hello"\n[component.hello]\nsource = "hello.wat"\n'
        )
    return serving.edged_up(app, *options)


def _row(name: str, times: list[float], server: serving.Server) -> dict[str, float | str]:
    return {
        "hello": name,
        "p50_ms": round(statistics.median(times), 2),
        "p99_ms": round(times[int(len(times) * 0.99) - 1], 2),
        "max_ms": round(times[-1], 2),
        "threads": threads(server),
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
