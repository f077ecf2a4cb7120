"""Minutes of faults at a fleet that serves and is pushed to: what failed, what was lost, and how long it took to mend.

plan ── strikes, and what mends them, in the order of time ──> nodes, links, disks, clocks, certificates, peers
meanwhile: clients ask each node; somebody pushes every few seconds; who ends is started again, as systemd does
at the end: all is mended; every node has the same records, runs what they say, and has lost nothing
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.anycast.chaos import hogs
from benchmarks.chaos.picture import to_svg
from benchmarks.chaos.plan import Strike, plan
from benchmarks.chaos.run_folder import run_folder
from benchmarks.chaos.stage import NODES, may_run, staged
from benchmarks.chaos.striking import Striking
from benchmarks.chaos.verdict import ended, to_markdown, verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10.0, help="of strikes; mending comes after")
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same plan")
    parser.add_argument("--pause", type=float, default=5.0, help="between two strikes, on average, in seconds")
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second at each node")
    parser.add_argument("--hogs", type=int, default=0, help="processes that compute all the while")
    parser.add_argument("--json", action="store_true", help="the verdict as JSON")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw what happened when")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep all files of the run there")


def measure(arguments: argparse.Namespace) -> int:
    """0 if nothing was that must not be."""
    if reason := may_run():
        raise SystemExit(f"no lab here: {reason}")
    seconds = arguments.minutes * 60
    strikes = plan(arguments.seed, seconds, tuple(NODES), arguments.pause)
    with run_folder(arguments.logs) as folder, hogs(arguments.hogs):
        found = struck(folder, strikes, seconds, rate=arguments.rate, said=_to_stderr)
    found = {"seed": arguments.seed, "minutes": arguments.minutes, **found}
    if arguments.picture is not None:
        arguments.picture.write_text(to_svg(found))
    print(json.dumps(found, indent=2) if arguments.json else to_markdown(found))
    return 1 if found["problems"] else 0


def struck(
    folder: Path, strikes: Sequence[Strike], seconds: float, *, rate: float, said: Callable[[str], None]
) -> dict[str, Any]:
    """The verdict of one run.

    Args:
        rate: requests a second at each node.
        said: told each thing that is done.
    """
    with staged(folder) as stage:
        return judged(Striking(stage, said), strikes, seconds, rate=rate)


def judged(striking: Striking, strikes: Sequence[Strike], seconds: float, *, rate: float) -> dict[str, Any]:
    """The same at a fleet that stands already; its nodes are stopped afterwards."""
    striking.stage.begin_load(rate)
    striking.run(strikes, seconds)
    converged_s = striking.settle()
    answers = striking.stage.end_load()
    return verdict(striking, answers, ended(striking), converged_s)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
