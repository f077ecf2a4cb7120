"""How news spread against the size of a fleet: `python -m benchmarks.fleet [--nodes N ...]`; README.md has more."""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from benchmarks.fleet.picture import draw
from edged.limits import LINK_KEPT_MAX
from tests.simulator.spread import CHOSEN, MESH, Design, record_spread, report_spread

NODES = (3, 10, 30, 100, 200, 500, 1_000)
QUESTIONS = {"records": record_spread, "reports": report_spread}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.fleet", description="How news spread against the fleet's size.")
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES, metavar="N")
    parser.add_argument("--question", choices=QUESTIONS, help="all if none")
    parser.add_argument("--mesh", action="store_true", help="also a link to each, where that is no longer done")
    parser.add_argument("--apps", type=int, default=20, help="of the fleet, all at each node (20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=Path, help="rows of former runs, in JSON; new ones are added")
    parser.add_argument("--svg", type=Path, help="draw all rows there are")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rows = _rows(args.rows)
    for row in _measured(args):
        print(json.dumps(row), flush=True)
        rows.append(row)
        if args.rows is not None:
            with args.rows.open("a") as file:
                file.write(json.dumps(row) + "\n")
    if args.svg is not None:
        args.svg.write_text(draw(rows))


def _rows(file: Path | None) -> list[dict[str, Any]]:
    if file is None or not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def _measured(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for count in args.nodes:
        for design in _designs(count, mesh=args.mesh):
            for question in [args.question] if args.question else QUESTIONS:
                with tempfile.TemporaryDirectory() as folder:
                    found = QUESTIONS[question](count, design, args.seed, Path(folder) / "node", apps=args.apps)
                yield {"question": question, "apps": args.apps, "seed": args.seed, **asdict(found)}


def _designs(count: int, *, mesh: bool) -> list[Design]:
    """Up to LINK_KEPT_MAX nodes the two are one."""
    return [CHOSEN, MESH] if mesh and count > LINK_KEPT_MAX else [CHOSEN]


if __name__ == "__main__":
    main()
