"""The network between simulated machines: connections that are refused, slow, held, cut, and only work one way.

Between each two machines there are two ways, one in each direction, with latency, bandwidth and faults of their own.
What comes to where a way is lost is held there, and goes on some time after it was healed: senders retransmit, and wait
longer the longer it lasts.

    way is open  =  not in different parts of a partition, not lost, neither end clogged, the machine at its end is on
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import trio
from outcome import Error, Value

from tests.simulator.agenda import Agenda
from tests.simulator.machine import Machine, Process, current_process
from tests.simulator.stream import PACKET_BYTES, SimulatedStream, connect
from tests.simulator.trace import Trace

if TYPE_CHECKING:
    from tests.simulator.world import World

LATENCY_S = (0.0005, 0.08)  # one way, between two machines, chosen by the seed
BANDWIDTH_BYTES_S = 50e6
_RETRANSMIT_S_MAX = 10.0  # from a way's healing until what was held goes on; Linux waits for up to two minutes
_JITTER = 0.2  # of the latency

Accept = Callable[[SimulatedStream], Awaitable[None]]
"""Serves a connection that was accepted, in a task of the process that listens; closed when it returns."""


class Way:
    """One direction between two machines.

    Attributes:
        source, target: their names.
        latency_s, jitter_s: of a packet: so much, and up to so much more.
        bytes_s: bandwidth.
        spoil: the chance that a piece of data arrives with a bit turned around. TLS would notice: only a liar's do.
        is_open: what is sent arrives.
        bytes_sent: of all connections so far, packets without data included.
    """

    def __init__(self, source: Machine, target: Machine, agenda: Agenda, trace: Trace, rng: random.Random) -> None:
        self.source, self.target = source.name, target.name
        self.agenda = agenda
        self.trace = trace
        self.rng = rng
        self.latency_s = self.jitter_s = 0.0
        self.bytes_s = BANDWIDTH_BYTES_S
        self.spoil = 0.0
        self.is_open = True
        self.bytes_sent = 0
        self._free_at = 0.0
        self._held: list[Callable[[], None]] = []
        self._lost_at = 0.0

    def arrival(self, size: int) -> float:
        """When a packet that is sent now arrives."""
        self.bytes_sent += size
        self._free_at = max(self._free_at, trio.current_time()) + size / self.bytes_s
        return self._free_at + self.latency_s + self.jitter_s * self.rng.random()

    def carry(self, size: int, work: Callable[[], None]) -> None:
        """Send a packet alone; its arrival does the work."""
        self.agenda.at(self.arrival(size), self._arrived, work)

    def _arrived(self, work: Callable[[], None]) -> None:
        if self.is_open:
            work()
        else:
            self.hold(work)

    def hold(self, work: Callable[[], None]) -> None:
        """To be done some time after the way is open again; it may be lost anew by then."""
        self._held.append(work)

    def set_open(self, is_open: bool) -> None:
        """It was lost, or healed."""
        if is_open == self.is_open:
            return
        self.is_open = is_open
        if not is_open:
            self._lost_at = trio.current_time()
            return
        late_s = min(trio.current_time() - self._lost_at, _RETRANSMIT_S_MAX)
        held, self._held = self._held, []
        for work in held:
            self.agenda.after(self.rng.random() * late_s, self._arrived, work)

    def spoilt(self, data: bytes) -> bytes:
        """As it arrives."""
        if not data or not self.spoil or self.rng.random() >= self.spoil:
            return data
        at = self.rng.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self.rng.randrange(8)]) + data[at + 1 :]


class Network:
    """See the module. Machines are named by their names."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.random("network")
        self._ways: dict[tuple[str, str], Way] = {}
        self._hosts: dict[str, Machine] = {}  # of an address, also while nobody listens there
        self._listeners: dict[str, tuple[Process, Accept]] = {}
        self._parts: dict[str, int] = {}
        self._lost: set[tuple[str, str]] = set()
        self._clogged: set[str] = set()
        self.latency_s = LATENCY_S
        self.dial_count = 0

    # --- connections ---

    def listen(self, address: str, accept: Accept) -> None:
        """The process of this task accepts connections to an address until it ends.

        Args:
            address: host:port, of any form; nobody else's, now or before.
        """
        process = current_process()
        assert process is not None
        process.check()
        assert self._hosts.setdefault(address, process.machine) is process.machine, f"{address} is another machine's"
        self._listeners[address] = process, accept

    async def dial(self, address: str, certificate: bytes | None = None) -> SimulatedStream:
        """A connection from the process of this task. Waits, without end, where nobody answers at all.

        Args:
            certificate: that this end shows.

        Raises:
            OSError: refused; or there is no such host.
        """
        process = current_process()
        assert process is not None
        await trio.lowlevel.checkpoint()
        process.check()
        self.dial_count += 1
        host = self._hosts.get(address)
        if host is None:
            raise OSError(f"no host {address}")
        dial = _Dial(process, certificate, address)
        self.way(process.machine.name, host.name).carry(PACKET_BYTES, lambda: self._knock(dial, host))
        return await dial.wait()

    def _knock(self, dial: _Dial, host: Machine) -> None:
        source = dial.process.machine.name
        process, accept = self._listeners.get(dial.address, (None, None))
        there, back = self.way(source, host.name), self.way(host.name, source)
        if process is None or accept is None or dial.is_given_up or not dial.process.is_alive:
            back.carry(PACKET_BYTES, dial.refused)
            return
        ours, theirs = connect(SimulatedStream(dial.process, dial.certificate), SimulatedStream(process), there, back)
        self._world.trace.note("connection", source, host.name)
        process.start_soon(_serve, accept, theirs)
        back.carry(PACKET_BYTES, lambda: dial.done(ours))

    def cut(self, one: str, other: str) -> None:
        """All connections between two machines are reset, at both ends; new ones can be made."""
        for machine in (self._world.machines[one], self._world.machines[other]):
            for stream in machine.streams():
                if stream.other.process.machine.name in (one, other) and stream.process is not stream.other.process:
                    stream.reset()
                    stream.other.reset()

    def process_ended(self, process: Process) -> None:
        """The kernel closes its connections; without power nobody does."""
        for address, (owner, _) in list(self._listeners.items()):
            if owner is process:
                del self._listeners[address]
        for stream in list(process.streams):
            stream.vanish() if process.end_kind == "power cut" else stream.leave()
        if process.end_kind == "power cut":
            self._look()

    def machine_on(self, machine: Machine) -> None:
        """It has power again."""
        self._look()

    # --- ways and their faults ---

    def way(self, source: str, target: str) -> Way:
        """From one machine to the other."""
        found = self._ways.get((source, target))
        if found is None:
            machines = self._world.machines
            latency_s = self._latency(source, target)
            for one, other in ((source, target), (target, source)):
                way = Way(machines[one], machines[other], self._world.agenda, self._world.trace, self._rng)
                way.latency_s, way.jitter_s = latency_s, latency_s * _JITTER
                self._ways[one, other] = way
                way.set_open(self._is_open(one, other))
            found = self._ways[source, target]
        return found

    def _latency(self, source: str, target: str) -> float:
        """Of two machines, whichever is asked for first."""
        low, high = self.latency_s
        one, other = sorted((source, target))
        share = random.Random(f"{self._world.seed} latency {one} {other}").random()
        return low * math.pow(high / low, share)

    def _is_open(self, source: str, target: str) -> bool:
        return (
            self._world.machines[target].is_on
            and (source, target) not in self._lost
            and not self._clogged & {source, target}
            and self._parts.get(source) == self._parts.get(target)
        )

    def _look(self) -> None:
        for (source, target), way in self._ways.items():
            way.set_open(self._is_open(source, target))

    def partition(self, *parts: Iterable[str]) -> None:
        """Nothing passes between machines of different parts. Those that are in none are one more part together."""
        self._parts = {name: number for number, part in enumerate(parts) for name in part}
        self._note("partition", sorted(self._parts.items()))

    def asymmetric(self, source: str, target: str) -> None:
        """What the one sends to the other is lost; not the other way round."""
        self._lost.add((source, target))
        self._note("asymmetric", source, target)

    def stall(self, one: str, other: str) -> None:
        """Nothing passes between two, and nobody is told."""
        self._lost |= {(one, other), (other, one)}
        self._note("stall", one, other)

    def clog(self, name: str) -> None:
        """Nothing passes from a machine or to it."""
        self._clogged.add(name)
        self._note("clog", name)

    def unclog(self, name: str) -> None:
        """It does again, as far as other faults let it."""
        self._clogged.discard(name)
        self._note("unclog", name)

    async def swizzle(self, names: Iterable[str], rng: random.Random, within_s: float) -> None:
        """Clog machines one by one, and unclog them in another order: they see each other's failures at odd times.

        Args:
            within_s: that it lasts, about.
        """
        names = list(names)
        for step in (self.clog, self.unclog):
            rng.shuffle(names)
            for name in names:
                await trio.sleep(rng.uniform(0, within_s / len(names)))
                step(name)

    def slow(
        self,
        source: str,
        target: str,
        *,
        latency_s: float | None = None,
        jitter_s: float | None = None,
        bytes_s: float | None = None,
    ) -> None:
        """One way is other than it was, in what is given."""
        way = self.way(source, target)
        way.latency_s = way.latency_s if latency_s is None else latency_s
        way.jitter_s = way.jitter_s if jitter_s is None else jitter_s
        way.bytes_s = way.bytes_s if bytes_s is None else bytes_s
        self._note("slow", source, target, latency_s, jitter_s, bytes_s)

    def spoil(self, source: str, target: str, chance: float) -> None:
        """So many of the pieces that arrive have a bit turned around."""
        self.way(source, target).spoil = chance
        self._note("spoil", source, target, chance)

    def heal(self) -> None:
        """No fault is left. What is held goes on soon."""
        self._parts.clear()
        self._lost.clear()
        self._clogged.clear()
        for (source, target), way in self._ways.items():
            way.latency_s = self._latency(source, target)
            way.jitter_s, way.bytes_s, way.spoil = way.latency_s * _JITTER, BANDWIDTH_BYTES_S, 0.0
        self._note("heal")

    def _note(self, what: str, *details: object) -> None:
        self._world.trace.note(what, *details)
        self._look()

    def bytes_sent(self) -> dict[tuple[str, str], int]:
        """From each machine to each other, so far."""
        return {pair: way.bytes_sent for pair, way in self._ways.items()}


async def _serve(accept: Accept, stream: SimulatedStream) -> None:
    try:
        await accept(stream)
    finally:
        stream.close()


class _Dial:
    """Somebody waits for a connection."""

    def __init__(self, process: Process, certificate: bytes | None, address: str) -> None:
        self.process = process
        self.certificate = certificate
        self.address = address
        self.is_given_up = False
        self._task: trio.lowlevel.Task | None = None

    async def wait(self) -> SimulatedStream:
        """Until it is there."""
        self._task = trio.lowlevel.current_task()
        stream = await trio.lowlevel.wait_task_rescheduled(self._give_up)
        assert isinstance(stream, SimulatedStream)
        return stream

    def done(self, stream: SimulatedStream) -> None:
        """It was accepted."""
        if self._task is None:
            stream.leave()
        else:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task, Value(stream))

    def refused(self) -> None:
        """Nobody listens."""
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task, Error(OSError(f"{self.address}: connection refused")))

    def _give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        self.is_given_up = True
        return trio.lowlevel.Abort.SUCCEEDED
