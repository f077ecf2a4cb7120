"""Nodes that talk over production links, peers and servers while machines die and ways are lost: the world itself, put
to the test. Whether it is deterministic, and how fast it is:

    python -m tests.simulator.talk --seeds 1:4 [--nodes 10] [--seconds 10] [--speed]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from edged.errors import EdgedError
from edged.fleet.client import Peers
from edged.fleet.peer import Anchors, Peer
from edged.fleet.server import Server
from edged.fleet.session import Hello
from tests.simulator import parties
from tests.simulator.handshake import Dialer, serving
from tests.simulator.machine import Machine
from tests.simulator.trace import Trace
from tests.simulator.world import World, fixed_hashing, run_world

_TALKERS = 3  # tasks of a node that call others
_BYTES_MAX = 5_000


async def _answer(_peer: Peer, call: str, args: dict[str, Any]) -> Any:
    if call == "thread":
        return await trio.to_thread.run_sync(lambda: args["number"])
    return args["number"]


class _Nodes:
    """All of them.

    Attributes:
        answered: calls.
    """

    def __init__(self, world: World, count: int) -> None:
        self._world = world
        nodes = [parties.node(number) for number in range(count)]
        self.names = [node.name for node in nodes]
        self.answered = 0
        self._anchors = Anchors(
            (node.certificate, Peer(node.name, "node", parties.identity(node.name).fingerprint, address=node.address))
            for node in nodes
        )

    async def forever(self, name: str) -> None:
        """Its machine is started again whenever it ended."""
        machine = self._world.machine(name)
        while True:
            await machine.live(self._program)
            await trio.sleep(3)

    async def _program(self, machine: Machine) -> None:
        identity = parties.identity(machine.name)
        hello = Hello(parties.FLEET, 1, 1, machine.name, "0")
        rng = self._world.random(f"{machine.name} {machine.process_count}")
        server = Server(identity, lambda: self._anchors, lambda: hello, _answer)
        self._world.network.listen(parties.address_of(machine.name), serving(server, identity, lambda: self._anchors))
        peers = Peers(identity, lambda: self._anchors, lambda: hello, rng, _answer, connect=Dialer(machine).connect)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peers.run)
            for _ in range(_TALKERS):
                nursery.start_soon(self._talk, peers, rng)

    async def _talk(self, peers: Peers, rng: random.Random) -> None:
        while True:
            await trio.sleep(rng.uniform(0.5, 1.5))
            links = peers.open()
            if not links:
                continue
            call, number, data = rng.choice(("thread", "loop")), rng.random(), bytes(rng.randrange(_BYTES_MAX))
            try:
                assert await rng.choice(links).call(call, number=number, data=data) == number
            except EdgedError:
                continue
            self.answered += 1


async def _fault(world: World, names: list[str], rng: random.Random) -> None:
    machine = world.machines[rng.choice(names)]
    some, (one, other) = rng.sample(names, len(names) // 2), rng.sample(names, 2)
    match rng.randrange(8):
        case 0:
            machine.kill()
        case 1:
            machine.power_cut()
        case 2:
            machine.crash_at(awaits=rng.randrange(1, 200), kind=rng.choice(("killed", "power cut")))
        case 3:
            world.network.partition(some)
        case 4:
            world.network.asymmetric(one, other)
        case 5:
            world.network.cut(one, other)
        case 6:
            await world.network.swizzle(some, rng, 5)
        case _:
            world.network.heal()


def talking(count: int, seconds: float) -> Callable[[World], Awaitable[dict[str, int]]]:
    """A world of so many nodes and seconds. It returns figures."""

    async def main(world: World) -> dict[str, int]:
        nodes = _Nodes(world, count)
        for name in nodes.names:
            world.machine(name)
            world.nursery.start_soon(nodes.forever, name)
        rng = world.random("faults")
        while world.now < seconds:
            await trio.sleep(rng.uniform(1, 5))
            await _fault(world, nodes.names, rng)
        return {
            "calls": nodes.answered,
            "dials": world.network.dial_count,
            "lives": sum(machine.process_count for machine in world.machines.values()),
            "works": world.agenda.done,
            "bytes": sum(world.network.bytes_sent().values()),
        }

    return main


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1:4", help="first:end")
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the world's time")
    parser.add_argument("--speed", action="store_true", help="say how long it took, too")
    options = parser.parse_args()
    first, end = map(int, options.seeds.split(":"))
    for seed in range(first, end):
        trace, began = Trace(), time.process_time()
        found = run_world(seed, talking(options.nodes, options.seconds), trace=trace)
        words = [f"{seed} {trace.digest()} lines {trace.count}", *(f"{name} {count}" for name, count in found.items())]
        if options.speed:
            took_s = time.process_time() - began
            words += [f"{took_s:.2f} s", f"{options.seconds / took_s:.1f} times real time"]
        sys.stdout.write(", ".join(words) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    fixed_hashing("tests.simulator.talk")
    _main()
