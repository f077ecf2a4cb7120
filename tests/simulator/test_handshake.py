"""Who is let in over a simulated network: as over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from edged.errors import LinkError, PeerUntrusted
from edged.fleet.certificate import Identity
from edged.fleet.peer import ANYONE, Anchors, Peer
from edged.fleet.server import Server
from edged.fleet.session import Hello
from edged.limits import LINK_HANDSHAKE_TIMEOUT_S, LINK_PER_ADDRESS_MAX
from tests.simulator import parties
from tests.simulator.handshake import Dialer, serving
from tests.simulator.world import World, run_world

HERE, THERE, STRANGER = (parties.identity(name) for name in ("here", "there", "stranger"))
ADDRESS = "there:1"
HELLO = Hello("sim", 1, 1, "", "0")


def anchors(*identities: Identity) -> Anchors:
    return Anchors((each.certificate, Peer(each.name, "node", each.fingerprint)) for each in identities)


async def who(peer: Peer, _call: str, _args: dict[str, Any]) -> list[str]:
    return [peer.name, peer.kind]


@asynccontextmanager
async def served(world: World) -> AsyncIterator[tuple[Dialer, Server]]:
    server = Server(THERE, lambda: anchors(HERE), lambda: HELLO, who)

    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        async with world.machine("there").process():
            world.network.listen(ADDRESS, serving(server, THERE, lambda: anchors(HERE)))
            task_status.started()
            await trio.sleep_forever()

    await world.nursery.start(serve)
    async with world.machine("here").process():
        yield Dialer(world.machine("here")), server


def test_both_ends_know_each_other() -> None:
    async def main(world: World) -> None:
        async with served(world) as (dialer, server):
            async with dialer.connect(ADDRESS, HERE, anchors(THERE), hello=HELLO) as link:
                assert await link.call("who") == ["here", "node"]
                assert link.peer.name == "there"
                assert server.statistics().connections == 1
            async with dialer.connect(ADDRESS, None, anchors(THERE), hello=HELLO) as link:
                assert server.statistics().peers[ANYONE.kind] == 1
            await trio.sleep(1)
            assert server.statistics().connections == 0

    run_world(1, main)


@pytest.mark.parametrize(
    ("ours", "trusted", "fingerprint"),
    [
        pytest.param(STRANGER, anchors(THERE), None, id="we are a stranger there"),
        pytest.param(HERE, anchors(STRANGER), None, id="it is a stranger here"),
        pytest.param(HERE, anchors(THERE, STRANGER), STRANGER.fingerprint, id="it is another"),
    ],
)
def test_strangers_are_refused(ours: Identity, trusted: Anchors, fingerprint: str | None) -> None:
    async def main(world: World) -> None:
        async with served(world) as (dialer, server):
            with pytest.raises(PeerUntrusted):
                async with dialer.connect(ADDRESS, ours, trusted, hello=HELLO, fingerprint=fingerprint):
                    pass
            await trio.sleep(1)
            assert server.statistics().refused == 1

    run_world(1, main)


@pytest.mark.parametrize("name", ["here", "there"])
@pytest.mark.parametrize("years", [-21, 21])
def test_a_clock_that_is_very_wrong_finds_certificates_not_valid(name: str, years: int) -> None:
    async def main(world: World) -> None:
        async with served(world) as (dialer, _):
            world.machine(name).clock.jump(years * 365.25 * 86_400)
            with pytest.raises(PeerUntrusted):
                async with dialer.connect(ADDRESS, HERE, anchors(THERE), hello=HELLO):
                    pass
            world.machine(name).clock.set()
            async with dialer.connect(ADDRESS, HERE, anchors(THERE), hello=HELLO):
                pass

    run_world(1, main)


def test_a_handshake_that_does_not_end_does() -> None:
    async def main(world: World) -> None:
        async with served(world) as (dialer, server):
            stream = await world.network.dial(ADDRESS)
            garbage = await world.network.dial(ADDRESS)
            await garbage.send_all(b"GET / HTTP/1.1\r\n")
            assert await garbage.receive_some() == b""
            began = world.now
            assert await stream.receive_some() == b""
            assert LINK_HANDSHAKE_TIMEOUT_S - 1 < world.now - began < LINK_HANDSHAKE_TIMEOUT_S + 1
            assert server.statistics().refused == 2
            world.network.stall("here", "there")
            with pytest.raises(LinkError, match="did not answer"):
                async with dialer.connect(ADDRESS, HERE, anchors(THERE), hello=HELLO):
                    pass

    run_world(1, main)


def test_the_caps_are_those_of_the_server() -> None:
    async def main(world: World) -> None:
        async with served(world) as (_, server):
            streams = [await world.network.dial(ADDRESS) for _ in range(LINK_PER_ADDRESS_MAX)]
            assert server.statistics().connections == LINK_PER_ADDRESS_MAX
            one_more = await world.network.dial(ADDRESS)
            assert await one_more.receive_some() == b""
            assert all(stream.is_open for stream in streams)

    run_world(1, main)
