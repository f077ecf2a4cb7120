"""What was asked of the workers, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

Address = IPv4Address | IPv6Address
Serving = Literal["all", "some", "none"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where workers accept connections.

    Attributes:
        address: one that clients come to by anycast.
        tls: the port speaks TLS. Whose certificate it has is not looked at: it is ourselves.
    """

    address: Address
    port: int
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """A request to one worker at one target.

    Attributes:
        ok: its guest answered as it should, in time.
        latency_s: from the connection's begin to the answer's end, or to when it was given up.
        why: it is not ok: a sentence without its end; "" if it is.
        silent: nothing at all came back.
    """

    worker: int
    target: Target
    ok: bool
    latency_s: float
    why: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """One request to each worker at each target, all at once.

    Attributes:
        probes: one for each worker and target, also for workers that accept no connections.
        lag_s: how late our own loop came to begin or end it.
    """

    probes: tuple[Probe, ...]
    lag_s: float

    def serving(self, addresses: Collection[Address]) -> Serving:
        """How many workers answer at all targets that have one of these addresses; `none` where there is no target."""
        answered: dict[int, bool] = {}
        for probe in self._at(addresses):
            answered[probe.worker] = answered.get(probe.worker, True) and probe.ok
        if not any(answered.values()):
            return "none"
        return "all" if all(answered.values()) else "some"

    def detail(self, addresses: Collection[Address]) -> str:
        """What the first that does not answer lacks, with how many others; "" where all do."""
        failed = [probe for probe in self._at(addresses) if not probe.ok]
        if not failed:
            return ""
        first = failed[0]
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return f"worker {first.worker} at {first.target.address} port {first.target.port}: {first.why}{others}"

    def _at(self, addresses: Collection[Address]) -> list[Probe]:
        return [probe for probe in self.probes if probe.target.address in addresses]
