"""Runs seeds: `python -m tests.simulator --seeds 200`, or one of them again with its trace.

Same seed, same run: a failure says which it was, and the line that plays it again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

import click

from tests.simulator.mutants import MUTANTS
from tests.simulator.runs import Ran, run_many, run_one
from tests.simulator.scenario import PROFILES
from tests.simulator.summary import table
from tests.simulator.trace import Trace
from tests.simulator.world import fixed_hashing

_TAIL = 40
_PROGRESS_S = 10.0


def told(ran: Ran, nodes: int | None = None) -> str:
    """What a failure says: what was seen, where, and how to see it again."""
    more = "" if nodes is None else f" --nodes {nodes}"
    return (
        f"seed {ran.seed} of {ran.profile} at {_commit()}:\n{ran.failure}\n"
        f"again: python -m tests.simulator --profile {ran.profile}{more} --seed {ran.seed} --trace"
    )


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 if nothing was found."""
    options = _parse(arguments)
    if options.seed is not None:
        seeds = [options.seed]
    else:
        first, _, end = options.seeds.rpartition(":")
        seeds = list(range(int(first or 0), int(end)))
    if options.trace:
        trace = Trace(show=click.echo)
        ran = run_one(seeds[0], options.profile, options.nodes, options.mutant, trace)
        return _summarize([ran], options)
    found: list[Ran] = []
    began = shown = time.monotonic()
    for ran in run_many(seeds, options.profile, options.nodes, options.mutant, options.jobs):
        found.append(ran)
        if ran.failure and not options.json:
            click.echo(told(ran, options.nodes))
        if time.monotonic() - shown >= _PROGRESS_S and not options.json:
            shown = time.monotonic()
            failed = sum(bool(each.failure) for each in found)
            passed_s = shown - began
            left_s = passed_s / len(found) * (len(seeds) - len(found))
            click.echo(f"{len(found)} of {len(seeds)} seeds, {failed} failed, {passed_s:.0f} s, {left_s:.0f} s to go")
        if ran.failure and options.first:
            break
    return _summarize(found, options)


def _summarize(found: Sequence[Ran], options: argparse.Namespace) -> int:
    failed = [ran for ran in found if ran.failure]
    if options.json:
        click.echo(json.dumps({"commit": _commit(), "runs": [asdict(ran) for ran in found]}, default=str))
        return int(bool(failed))
    if options.trace:
        for ran in failed:
            click.echo(told(ran, options.nodes))
    click.echo(table(found))
    return int(bool(failed))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--seeds", default="20", help="so many from 0 on, or FIRST:END")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="small")
    parser.add_argument("--nodes", type=int, help="in place of what the seed says")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="a mistake that is to be found (mutants.py)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="processes at once; as many as there are processors",
    )
    parser.add_argument("--first", action="store_true", help="end with the first that fails")
    parser.add_argument("--trace", action="store_true", help="print all that happens; of one seed")
    parser.add_argument("--json", action="store_true", help="print results for machines")
    return parser.parse_args(arguments)


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no commit"


if __name__ == "__main__":
    fixed_hashing("tests.simulator")
    sys.exit(main(sys.argv[1:]))
