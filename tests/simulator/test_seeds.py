"""A fixed set of seeds, each a fleet under faults in a process of its own. `make sim SEEDS=n` runs more of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

_SEEDS = ((0, 4), (4, 8), (8, 12))
_TIMEOUT_S = 900.0  # never reached but by a run that hangs; a machine that does other things too takes its time


def runs(profile: str, seeds: str, *options: str) -> list[dict[str, Any]]:
    """What became of seeds: "FIRST:END"."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.simulator",
            "--profile",
            profile,
            "--seeds",
            seeds,
            "--jobs",
            "1",
            "--json",
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert done.stdout, done.stderr[-4000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)["runs"]
    return found


@pytest.mark.parametrize("seeds", [f"{first}:{end}" for first, end in _SEEDS])
def test_a_fleet_under_faults_keeps_its_promises_and_recovers(seeds: str) -> None:
    failures = {run["seed"]: run["failure"] for run in runs("small", seeds) if run["failure"]}
    assert not failures, "\n".join(f"seed {seed}: {why}" for seed, why in failures.items())


def test_without_faults_all_that_is_published_is_live_everywhere_and_a_run_is_the_same_in_every_process() -> None:
    (one,), (other,) = runs("calm", "1:2"), runs("calm", "1:2")
    assert not one["failure"]
    assert one["result"]["published"] > 0
    assert one["result"]["digest"] == other["result"]["digest"]


@pytest.mark.parametrize("mutant", ["save-nothing", "take-either-of-two", "place-before-saved"])
def test_a_mistake_is_found(mutant: str) -> None:
    """Three of those in mutants.py, that cost little; docs/track-record.md has all."""
    found = runs("small", "300:310", "--first", "--mutant", mutant)
    assert [run["failure"] for run in found if run["failure"]]
