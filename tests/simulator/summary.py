"""What became of many seeds, as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.simulator.runs import Ran

_SHARES = (("half within", 0.5), ("nine in ten within", 0.9), ("all within", 1.0))


def table(runs: Sequence[Ran]) -> str:
    """Lines of what befell fleets, how often and in how many seeds; and of what it took.

    Args:
        runs: one at least.
    """
    return "\n".join((*_faults(runs), "", *_figures(runs)))


def _faults(runs: Sequence[Ran]) -> Iterator[str]:
    times: Counter[str] = Counter()
    seeds: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for ran in runs:
        faults = {} if ran.result is None else ran.result.faults
        times.update(faults)
        seeds.update(faults.keys())
        failed.update(faults.keys() if ran.failure else ())
    yield f"{'what befell them':24}{'times':>9}{'seeds':>9}{'failed':>9}"
    for kind in sorted(times):
        yield f"{kind:24}{times[kind]:9}{seeds[kind]:9}{failed[kind]:9}"


def _figures(runs: Sequence[Ran]) -> Iterator[str]:
    results = [ran.result for ran in runs if ran.result is not None]
    well = [result.converged_s for result in results if result.broken is None]
    cpu_s, virtual_s = sum(ran.cpu_s for ran in runs), sum(result.virtual_s for result in results)
    for what, figure in (
        ("seeds", f"{len(runs)}, {sum(bool(ran.failure) for ran in runs)} failed"),
        ("nodes", f"{sum(result.nodes for result in results)}"),
        ("changes acknowledged", f"{sum(result.published for result in results)}"),
        ("bytes sent", f"{sum(result.bytes_sent for result in results) / 1e6:.1f} MB"),
        ("virtual time", f"{virtual_s:.0f} s, {virtual_s / max(cpu_s, 1e-9):.0f} for each of a processor"),
        ("processor, each seed", f"{cpu_s / len(runs):.2f} s; {_spread([ran.cpu_s for ran in runs], 2)}"),
        ("well after last fault", _spread(well, 0) if well else "never"),
    ):
        yield f"{what:24}{figure}"


def _spread(values: Sequence[float], digits: int) -> str:
    ordered = sorted(values)
    found = ((word, ordered[round(share * (len(ordered) - 1))]) for word, share in _SHARES)
    return ", ".join(f"{word} {value:.{digits}f} s" for word, value in found)
