"""`edged.anycast` of a node, from what the node has."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial

from edged import child
from edged.anycast.anycast import Anycast
from edged.anycast.surroundings import Surroundings
from edged.anycast.targets import Listening
from edged.fleet.report import AppReport, Stage
from edged.fleet.roster_prefixes import read_allowed
from edged.node.config import NodeConfig
from edged.node.workers import WorkerPool

_SETTLED: tuple[Stage, ...] = ("live", "failed", "reverted", "held", "idle")


def open_anycast(
    config: NodeConfig,
    pool: WorkerPool,
    reports: Callable[[], Mapping[str, AppReport]],
    expelled: Callable[[], str],
    rng: random.Random,
) -> Anycast | None:
    """None where the node.toml has no `[bgp]`.

    Args:
        reports: of apps.
        expelled: why this node is to announce nothing, "" where it may.
    """
    if config.bgp is None:
        return None
    state_dir = config.node.state_dir
    listening = [Listening(host, port) for host, port in pool.plain]
    listening += [Listening(host, port, tls=True) for host, port in pool.tls]
    around = Surroundings(
        workers=pool,
        worker_count=pool.statistics().workers_total,
        listening=listening,
        connections=lambda: pool.statistics().connections_open,
        applied=lambda: is_settled(reports()),
        allowed=partial(read_allowed, state_dir),
        state_dir=state_dir,
        expelled=expelled,
        command=lambda fd: child.command("speaker", "--fd", str(fd), "--state-dir", str(state_dir)),
    )
    return Anycast(config.bgp, around, rng=rng)


def is_settled(reports: Mapping[str, AppReport]) -> bool:
    """Whether every app that the fleet places here runs, or was found not to. One that waits for other regions runs as
    it was."""
    return all(
        report.stage in _SETTLED or (report.stage == "waiting" and report.running > 0) for report in reports.values()
    )
