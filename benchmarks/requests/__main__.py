"""How many requests one core serves, what a host call costs, and a request of each kind of guest. `make bench`.

    wrk on one core -> server on the other: edged up | the same app behind hypercorn's HTTP/1.1

Runs alternate between the two servers, so that a machine that is slow for a while is slow for both; medians are shown.
`--json` is for a machine. Guests of SDKs have to be built (`tests/guests`): `--guests hello,hello3,echo3` needs none.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

import trio
from rich.console import Console
from rich.table import Table

from benchmarks import serving
from benchmarks.requests import host_calls, paths
from tests.guests import wat

CONNECTIONS = (1, 32)


def measure_requests(rounds: int, seconds: int) -> list[dict[str, Any]]:
    """One row per server and number of connections; medians over `rounds`."""
    with (
        serving.app_folder({"hello": wat.text("hello")}) as app,
        serving.edged_up(app) as ours,
        serving.behind_hypercorn(app) as peer,
    ):
        servers = {"edged up": ours, "hypercorn": peer}
        loads: dict[tuple[str, int], list[serving.Load]] = {}
        for server in servers.values():
            serving.load(server, 8, 1)
        for _ in range(rounds):
            for connections in CONNECTIONS:
                for name, server in servers.items():
                    loads.setdefault((name, connections), []).append(serving.load(server, connections, seconds))
    return [
        {
            "server": name,
            "connections": connections,
            **{
                field: round(statistics.median(getattr(load, field) for load in seen), 1)
                for field in serving.Load._fields
            },
        }
        for (name, connections), seen in loads.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.requests", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--guests", default=",".join(paths.GUESTS), help="those whose paths are compared")
    options = parser.parse_args()
    guests = tuple(options.guests.split(","))
    if unknown := sorted(set(guests) - set(paths.GUESTS)):
        parser.error(f"no such guests: {', '.join(unknown)}")
    serving.need_wrk()
    requests = measure_requests(options.rounds, options.seconds)
    calls = host_calls.measure()
    by_path = trio.run(paths.measure, options.rounds, guests)
    parts = trio.run(paths.measure_parts)
    if options.json:
        print(json.dumps({"requests": requests, "host_calls": calls, "paths": by_path, "parts": parts}))
        return
    console = Console()
    table = Table(title="hello, a fresh instance per request, one core; CPU of one request", title_justify="left")
    for column in ("server", "connections", "requests/s", "p50 us", "p99 us", "CPU us", "failed"):
        table.add_column(column, justify="left" if column == "server" else "right")
    for row in requests:
        table.add_row(*map(str, row.values()))
    console.print(table)
    for connections in CONNECTIONS:
        ours, peer = (row["requests_per_s"] for row in requests if row["connections"] == connections)
        console.print(f"{connections:>3} connections: {ours / peer:.2f} times the requests of hypercorn's path")
    _show(
        console,
        "one host call from a guest's loop, whole",
        ("shape", "edged us", "of it codecs us", "core API us", "wasmtime-py us", "ratio"),
        calls,
    )
    _show(
        console,
        "one request by guest and path, CPU",
        ("guest", "path", "request us", "of it instantiate us", "call us", "host calls"),
        by_path,
    )
    _show(console, "hello3 in an instance that is reused: what its microseconds go to", ("part", "us"), parts)


def _show(console: Console, title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        is_text = isinstance(list(rows[0].values())[index], str)
        table.add_column(column, justify="left" if is_text else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)


if __name__ == "__main__":
    main()
