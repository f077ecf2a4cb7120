"""A world in one process: machines, their network, and time that passes when nothing else is to be done.

    run_world(seed, main):  trio.run with the agenda for a clock, the scheduler seeded
        World ── machines ── disk, clock, process
              ├─ network ── ways, faults
              ├─ agenda ... time; what will happen by itself
              └─ trace .... of all that happened: same seed, same trace

Same seed and same `main`: same world, byte for byte, in every process that was started with the same PYTHONHASHSEED
(`fixed_hashing`). What breaks it: real time, chance that is not from `World.random`, the order of sets of objects whose
hash is their address, real I/O.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

import outcome
import structlog
import trio

from tests.simulator.agenda import Agenda
from tests.simulator.machine import Machine, current_process
from tests.simulator.network import Network
from tests.simulator.seams import simulated
from tests.simulator.trace import Trace

T = TypeVar("T")


class World:
    """See the module. Made by `run_world`.

    Attributes:
        seed: all chance comes from it.
        trace: of all that happened.
        machines: by name, in the order in which they were made.
        log_counts: by event name: what processes logged while they lived.
        log_seen: called with the machine's name and the fields of each line, "event" among them.
        nursery: of the world outside: publishers, faults. What one of its tasks raises ends the world.
    """

    def __init__(self, seed: int, trace: Trace) -> None:
        self.seed = seed
        self.trace = trace
        self.machines: dict[str, Machine] = {}
        self.agenda = Agenda()
        self.network = Network(self)
        self.log_counts: Counter[str] = Counter()
        self.log_seen: Callable[[str, MutableMapping[str, Any]], None] | None = None
        self.nursery: trio.Nursery

    def machine(self, name: str) -> Machine:
        """The one of that name; a new one the first time."""
        found = self.machines.get(name)
        if found is None:
            found = self.machines[name] = Machine(self, name, len(self.machines) + 1)
        return found

    def random(self, purpose: str) -> random.Random:
        """Chance of its own for each purpose, so that more of it for one changes nothing for another."""
        return random.Random(f"{self.seed} {purpose}")

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return trio.current_time()

    def logged(self, _logger: object, _method: str, fields: MutableMapping[str, Any]) -> str:
        """In place of structlog's processors. A process that is gone logs nothing."""
        process = current_process()
        if process is None or process.is_alive:
            name = "" if process is None else process.machine.name
            self.log_counts[fields["event"]] += 1
            self.trace.note("log", name, fields["event"])
            if self.log_seen is not None:
                self.log_seen(name, fields)
        raise structlog.DropEvent


def run_world(seed: int, main: Callable[[World], Awaitable[T]], *, trace: Trace | None = None) -> T:
    """Runs a world until `main` returns; what it raises is raised.

    Args:
        trace: in which to find, even after a failure, what happened.
    """
    world = World(seed, Trace() if trace is None else trace)

    async def outside() -> outcome.Outcome[T]:
        async with trio.open_nursery() as world.nursery:
            world.nursery.start_soon(world.agenda.run)
            result = await outcome.acapture(main, world)
            world.nursery.cancel_scope.cancel()
        return result

    with simulated(world):
        return trio.run(outside, clock=world.agenda).unwrap()


def fixed_hashing(module: str) -> None:
    """Starts this program anew unless hashes are the same in every process; does not return then.

    Args:
        module: that `python -m` runs.
    """
    if os.environ.get("PYTHONHASHSEED") != "0":
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)
