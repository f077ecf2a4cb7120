"""The gates of all prefixes of a node, and what they make of what it sees. Pure; the clock is passed.

Round, Facts ── evidence_of ──> bgp.gate.Gate, one for each prefix ── entries() ──> bgp.announcer.Announcer
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from bgp.announcement import Announcement, Withdrawal
from bgp.announcer import Entry
from bgp.gate import Gate, GateTimes
from bgp.prefix import Network
from bgp.status import GateState, Level, PrefixStatus
from edged.anycast.config import BgpTable
from edged.anycast.evidence import Facts, evidence_of
from edged.anycast.probe import Round


class Gates:
    """See the module. Times are seconds of a clock that never goes back.

    Args:
        changed: told of each prefix whose gate came to another state: prefix, state, level, reason.
    """

    def __init__(
        self,
        table: BgpTable,
        changed: Callable[[Network, GateState, Level, str], None],
        times: GateTimes | None = None,
    ) -> None:
        self._table = table
        self._changed = changed
        self._times = times
        self._gates: dict[Network, Gate] = {}
        self._told: dict[Network, GateState] = {}

    def configure(self, prefixes: Collection[Network], now: float, *, drained: bool) -> None:
        """These are the prefixes from now on. Those that are there already stay as they are.

        Args:
            drained: new ones are drained, as the node is.
        """
        for prefix in self._gates.keys() - set(prefixes):
            del self._gates[prefix]
            self._told.pop(prefix, None)
        for prefix in prefixes:
            if prefix not in self._gates:
                self._gates[prefix] = Gate(now, self._times)
                if drained:
                    self._gates[prefix].drain(now, "drained before the node's start")
        self._tell()

    @property
    def prefixes(self) -> frozenset[Network]:
        return frozenset(self._gates)

    def observe(self, round_: Round, facts: Facts, now: float) -> None:
        for prefix, gate in self._gates.items():
            gate.observe(evidence_of(round_, self._table.addresses_of(prefix), facts), now)
        self._tell()

    def advance(self, now: float) -> None:
        """Do what time alone makes due."""
        for gate in self._gates.values():
            gate.advance(now)
        self._tell()

    def deadline(self) -> float | None:
        """When to call `advance`, if nothing else is called before."""
        return min((due for gate in self._gates.values() if (due := gate.deadline()) is not None), default=None)

    def stay_away(self, now: float, reason: str) -> None:
        """Drain those that announce nothing, so that they do not begin to."""
        for gate in self._gates.values():
            if gate.level == "withdrawn":
                gate.drain(now, reason)
        self._tell()

    def drain(self, now: float, reason: str) -> bool:
        """Whether anything is still announced, as a last resort."""
        for gate in self._gates.values():
            gate.drain(now, reason)
        self._tell()
        return any(gate.level != "withdrawn" for gate in self._gates.values())

    def withdraw(self, now: float) -> None:
        for gate in self._gates.values():
            gate.withdraw(now)
        self._tell()

    def undrain(self, now: float) -> None:
        for gate in self._gates.values():
            gate.undrain(now)
        self._tell()

    def entries(self) -> tuple[Entry, ...]:
        """Every prefix, announced or withdrawn."""
        return tuple(self._entry(prefix, gate) for prefix, gate in self._gates.items())

    def statuses(self, to_unix_s: float, proven: Callable[[Network], bool]) -> tuple[PrefixStatus, ...]:
        """
        Args:
            to_unix_s: what makes unix seconds of the clock's.
            proven: whether what is desired of a prefix is on the wire to every established peer.
        """
        return tuple(
            PrefixStatus(
                prefix=str(prefix),
                state=gate.state,
                since=gate.since + to_unix_s,
                reason=gate.reason,
                desired=gate.level,
                announced=gate.level if proven(prefix) else "",
                hold_until=gate.hold_until + to_unix_s if gate.hold_until else 0.0,
                flaps=gate.flaps,
            )
            for prefix, gate in self._gates.items()
        )

    def _entry(self, prefix: Network, gate: Gate) -> Entry:
        if gate.level == "withdrawn":
            return Withdrawal(prefix, gate.reason)
        return Announcement(prefix, self._table.attributes(gate.level))

    def _tell(self) -> None:
        for prefix, gate in self._gates.items():
            if self._told.get(prefix) != gate.state:
                self._told[prefix] = gate.state
                self._changed(prefix, gate.state, gate.level, gate.reason)
