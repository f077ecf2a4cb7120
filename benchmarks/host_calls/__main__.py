"""What key-value.get on SQLite and a chained service call cost. `--json` for a machine.

    guest -> host call -> SQLite          the same SELECT in plain Python
    guest -> outgoing-handler -> guest    httpx -> an ASGI app

Both sides run in turns in one process, so that a machine that is slow for a while is slow for both.
"""

from __future__ import annotations

import argparse
import json

import trio
from rich.console import Console
from rich.table import Table

from benchmarks.host_calls import chained, key_value


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.host_calls", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [*key_value.measure(options.rounds), trio.run(chained.measure, options.rounds)]
    if options.json:
        print(json.dumps({"host_calls": rows}))
        return
    table = Table(title="one call of a guest, medians", title_justify="left")
    for column in ("call", "edged us", "beside", "us", "ratio"):
        table.add_column(column, justify="left" if column in {"call", "beside"} else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
