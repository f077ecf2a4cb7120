"""Seeds that are run, one after the other or several at once, each with what became of it."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context

from tests.simulator.mutants import mutated
from tests.simulator.scenario import PROFILES, Result, run
from tests.simulator.trace import Trace


@dataclass(frozen=True)
class Ran:
    """One seed.

    Attributes:
        result: None where the run itself ended by an exception.
        failure: why it is no good; "" if it is.
        cpu_s: that it took.
    """

    seed: int
    profile: str
    result: Result | None
    failure: str
    cpu_s: float


def run_one(
    seed: int, profile: str, nodes: int | None = None, mutant: str | None = None, trace: Trace | None = None
) -> Ran:
    """In this process, whose hashes must be fixed.

    Args:
        mutant: a mistake that production code is to have meanwhile; None for none.
    """
    began = time.process_time()
    result, failure = None, ""
    try:
        with nullcontext() if mutant is None else mutated(mutant):
            result = run(seed, PROFILES[profile], nodes=nodes, trace=trace)
        failure = "" if result.broken is None else str(result.broken)
    except Exception:
        failure = traceback.format_exc()
    gc.collect()  # a world is full of cycles, and none is left for the next
    return Ran(seed, profile, result, failure, time.process_time() - began)


def run_many(seeds: Sequence[int], profile: str, nodes: int | None, mutant: str | None, jobs: int) -> Iterator[Ran]:
    """In processes of their own, in the order in which they end. Whoever wants no more may close it.

    Args:
        jobs: processes at once; each runs many seeds.
    """
    gc.collect()
    gc.freeze()  # modules stay, and are not looked through after each seed
    if jobs == 1 or len(seeds) == 1:
        yield from (run_one(seed, profile, nodes, mutant) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=gc.freeze) as pool:
        try:
            for future in as_completed([pool.submit(run_one, seed, profile, nodes, mutant) for seed in seeds]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
