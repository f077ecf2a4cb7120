"""mtr(8): the routers on the way, as its JSON says."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from edged.bench.target import Target
from edged.errors import BenchFailed
from edged.limits import BENCH_HOPS_MAX, BENCH_INTERVAL_S

_SILENT = "???"
_HOST_CHARS_MAX = 255
_PERCENT_MAX = 100.0


@dataclass(frozen=True, slots=True)
class Hop:
    """A router, or the target itself.

    Attributes:
        host: its address or name; "" if it said nothing.
        loss_percent: packets that it did not answer.
        avg_ms: of those that it did; None if there was none.
    """

    host: str
    loss_percent: float
    avg_ms: float | None


@dataclass(frozen=True, slots=True)
class Path:
    """All hops of one run; none if mtr found no way at all."""

    hops: tuple[Hop, ...] = ()

    @property
    def last(self) -> Hop | None:
        """The end of the way, or how far packets came."""
        return self.hops[-1] if self.hops else None

    def differs(self, other: Path) -> bool:
        """Whether packets go another way. A router that said nothing may be any."""
        if len(self.hops) != len(other.hops):
            return True
        pairs = zip(self.hops, other.hops, strict=True)
        return any(a.host != b.host for a, b in pairs if a.host and b.host)


def arguments(target: Target, count: int, *, names: bool) -> tuple[str, ...]:
    """The command line.

    Args:
        names: of routers, as the client's DNS has them, in place of addresses.
    """
    words = ["mtr", "--json", "-c", str(count), "-i", f"{BENCH_INTERVAL_S:g}", "-G", "1"]
    words += [] if names else ["-n"]
    words += ["-6"] if ":" in target.address else []
    return (*words, target.address)


def parse(output: bytes) -> Path:
    """What a run says.

    Raises:
        BenchFailed: it is no report of mtr.
    """
    if not output.strip():  # what it has to say where no route leads to the target, or its name is unknown
        return Path()
    try:
        document = json.loads(output)
        hubs = document["report"]["hubs"]
        if not isinstance(hubs, list) or len(hubs) > BENCH_HOPS_MAX:
            raise ValueError
        return Path(tuple(_hop(hub) for hub in hubs))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise BenchFailed("what mtr printed is no report of its own") from None


def _hop(hub: Any) -> Hop:
    host = hub["host"]
    if not isinstance(host, str) or len(host) > _HOST_CHARS_MAX:
        raise ValueError
    loss = _number(hub["Loss%"])
    if loss > _PERCENT_MAX:
        raise ValueError
    silent = host == _SILENT or loss == _PERCENT_MAX
    return Hop("" if host == _SILENT else host, loss, None if silent else _number(hub["Avg"]))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError
    return float(value)
