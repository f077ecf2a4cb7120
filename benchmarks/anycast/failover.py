"""What clients see of each way in which a node, or a part of it, goes: in the lab, with the real daemon.

Each trial: two clients ask on new connections at a constant rate, without retry; something happens to the node that
answers them; it is mended; everything is as before. Cases take turns, in another order each time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.anycast.cases import CASES, Case
from benchmarks.anycast.route_watch import RouteWatch
from benchmarks.anycast.stage import CLIENTS, LABS, NODE, ROUTER, Stage, staged
from benchmarks.anycast.table import rows, to_markdown
from benchmarks.anycast.trial import RATE, Trial
from edged.limits import ROLLOUT_WATCH_S
from tests.lab.failover import analyse

BEFORE_S = 1.5
"""That clients ask before anything happens."""
BACK_S_MAX = 90.0
_TIMEOUT_S = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = [case.name for case in CASES]
    parser.add_argument("--case", action="append", choices=names, metavar="CASE", help=f"of: {', '.join(names)}")
    parser.add_argument("--runs", type=int, default=5, help="of each case (%(default)s)")
    parser.add_argument("--logs", type=Path, help="folder that keeps what nodes and routers logged, below each lab")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each case, in place of the table")


def measure(arguments: argparse.Namespace) -> int:
    cases = [case for case in CASES if not arguments.case or case.name in arguments.case]
    trials: list[Trial] = []
    with suppress(KeyboardInterrupt):  # what there is until then is shown
        for lab in LABS:
            its = [case for case in cases if case.lab == lab]
            if its:
                _in_lab(lab, its, arguments.runs, arguments.logs, trials)
    found = [row for case in cases for row in rows(case, [trial for trial in trials if trial.case == case.name])]
    if arguments.json:
        for row in found:
            print(json.dumps(row))
    else:
        print(to_markdown(found))
    return 0


def _in_lab(lab: str, cases: Sequence[Case], runs: int, logs: Path | None, trials: list[Trial]) -> None:
    with tempfile.TemporaryDirectory(prefix="edged-failover-") as name:
        folder = Path(name)
        try:
            with staged(folder, lab) as stage:
                # Until then two workers that end are held against the apps, which are all new.
                time.sleep(ROLLOUT_WATCH_S)
                for run in range(runs):
                    for case in random.Random(run).sample(cases, len(cases)):
                        print(f"{datetime.now(UTC):%H:%M:%S} {lab}, run {run + 1}: {case.name}", file=sys.stderr)
                        trials.append(_trial(stage, case))
        finally:
            for log in [*folder.glob("fleet/*/log"), *folder.glob("routers/*.log")] if logs is not None else []:
                assert logs is not None
                kept = logs / lab.replace(" ", "-") / (log.name if log.suffix else f"{log.parent.name}.log")
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(log, kept)


def _trial(stage: Stage, case: Case) -> Trial:
    net = stage.net
    if case.prepare is not None:
        case.prepare(stage)
    stage.wait_settled()
    prefixes = sorted(map(str, net.internet.prefixes), key=lambda prefix: ":" in prefix)
    with ExitStack() as stack:
        watches = {
            router: stack.enter_context(RouteWatch(net.lab, router, prefixes)) for router in net.internet.routers
        }
        if case.in_vain:
            stack.enter_context(stage.asked_in_vain(case.in_vain, BEFORE_S + case.seconds))
        # Not at the same moment of the daemon's and the routers' own intervals each time.
        seconds = BEFORE_S + random.uniform(0.0, 0.5)
        with net.load(CLIENTS, seconds=seconds + case.seconds, rate=RATE, timeout_s=_TIMEOUT_S) as load:
            time.sleep(seconds)
            event = case.strike(stage)
        changes = sum(len(watch.changes(each, event)) for watch in watches.values() for each in prefixes)
        healed = event
        if case.heal is not None:
            healed = time.monotonic()
            case.heal(stage)
        net.lab.wait_route(ROUTER, prefixes[0], {NODE}, timeout_s=BACK_S_MAX)
        moves = watches[ROUTER].changes(prefixes[0], event)
    back = [change.at for change in moves if change.to == NODE]
    if case.tidy is not None:
        case.tidy(stage)
    answers = {client: load.answers(client) for client in CLIENTS}
    return Trial(
        case.name,
        {client: analyse(its, event, net.internet.nodes[NODE]) for client, its in answers.items()},
        gone_s=moves[0].at - event if moves else None,
        back_s=back[-1] - healed if back else None,
        changes=changes,
        failed_at={
            client: [(round(each.begun - event, 3), each.failure) for each in its if each.failure]
            for client, its in answers.items()
        },
        load=os.getloadavg()[0],
    )
