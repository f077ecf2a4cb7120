"""How the loop of the node that answers does, as metrics: how late it is, and how full its queues are.

`docs/metrics.md` lists each. Other nodes are not told: whoever asks every node has them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from edged.fleet.depth import Depth


@dataclass(frozen=True, slots=True)
class Loop:
    """The loop at a moment.

    Attributes:
        lag_s: how late it came to a task that waited for a time, lately.
    """

    lag_s: float = 0.0
    queues: tuple[Depth, ...] = ()


def loop_metrics(loop: Loop) -> Iterator[Metric]:
    """All of them."""
    yield GaugeMetricFamily("edged_loop_lag_seconds", "How late the loop comes to its tasks.", value=loop.lag_s)
    depth = GaugeMetricFamily("edged_queue_depth", "What waits; in the fullest of a kind.", labels=["queue"])
    highest = GaugeMetricFamily("edged_queue_depth_highest", "What waited at most, since the start.", labels=["queue"])
    limit = GaugeMetricFamily("edged_queue_depth_limit", "What may wait.", labels=["queue"])
    for queue in loop.queues:
        depth.add_metric([queue.queue], queue.now)
        highest.add_metric([queue.queue], queue.highest)
        limit.add_metric([queue.queue], queue.limit)
    yield from (depth, highest, limit)
