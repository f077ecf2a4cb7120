"""Which source ports of ours lead to which worker. Pure.

Workers share a port by SO_REUSEPORT. The kernel chooses among their sockets by a hash of both addresses and both ports,
so that a source port which led to a worker leads there again, for as long as the same sockets listen.
"""

from __future__ import annotations

from collections.abc import Collection

from edged.anycast.probe import Target
from edged.limits import CANARY_PORTS_PER_WORKER


class SourcePorts:
    """See the module. A port is used by one connection at a time."""

    def __init__(self) -> None:
        self._ports: dict[tuple[Target, int], list[int]] = {}
        """Those of a worker, longest unused first."""
        self._taken: set[tuple[Target, int]] = set()

    def learned(self, target: Target, worker: int, port: int) -> None:
        """A connection from this port was answered by this worker."""
        if port in self._ports.get((target, worker), ()):
            return
        self.lost(target, port)
        known = self._ports.setdefault((target, worker), [])
        if len(known) < CANARY_PORTS_PER_WORKER:
            known.append(port)

    def lost(self, target: Target, port: int) -> None:
        """The port is of no use: it led to another worker, or somebody else has it."""
        for (at, _), known in self._ports.items():
            if at == target and port in known:
                known.remove(port)

    def clear(self) -> None:
        """Other sockets listen now."""
        self._ports.clear()

    def take(self, target: Target, worker: int) -> int | None:
        """A port that leads to this worker, for one connection; None where all are in use, or none is known."""
        known = self._ports.get((target, worker), [])
        for port in known:
            if (target, port) not in self._taken:
                self._taken.add((target, port))
                known.remove(port)
                known.append(port)
                return port
        return None

    def give_back(self, target: Target, port: int) -> None:
        """The connection that it was taken for is closed."""
        self._taken.discard((target, port))

    def unknown(self, target: Target, workers: Collection[int]) -> set[int]:
        """Those of the workers that no port leads to."""
        return {worker for worker in workers if not self._ports.get((target, worker))}

    def scarce(self, target: Target, workers: Collection[int]) -> set[int]:
        """Those that have fewer ports than they may."""
        return {worker for worker in workers if len(self._ports.get((target, worker), ())) < CANARY_PORTS_PER_WORKER}
