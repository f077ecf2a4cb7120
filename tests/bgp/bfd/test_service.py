"""All sessions of a node on a network of the test, by a clock of the test."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
import trio

from bgp.bfd.network import MULTIHOP_PORT, SINGLE_HOP_PORT, Datagram, Endpoint
from bgp.bfd.packet import Packet, State
from bgp.bfd.service import Bfd
from bgp.bfd.session import Session
from bgp.errors import BfdUnavailable
from bgp.peer import BfdTimes, Peer
from bgp.prefix import Address
from bgp.status import BfdState

OURS, ROUTER = ip_address("192.0.2.11"), ip_address("192.0.2.1")
OURS6, ROUTER6 = ip_address("2001:db8::11"), ip_address("2001:db8::1")
TIMES = BfdTimes(100, 3)


def peer(name: str = "router", **changes: object) -> Peer:
    fields: dict[str, object] = {"address": ROUTER, "local_address": OURS, "bfd": TIMES, **changes}
    return Peer(name=name, asn=64500, **fields)  # type: ignore[arg-type]


class _Receiver:
    def __init__(self) -> None:
        self.send_nowait, self._receive = self._pair()
        self.broken = False

    def _pair(self):  # type: ignore[no-untyped-def]
        send, receive = trio.open_memory_channel[Datagram | None](1000)
        return send.send_nowait, receive.receive

    async def receive(self) -> Datagram:
        datagram = await self._receive()
        if datagram is None:
            raise BfdUnavailable("the interface is gone")
        return datagram

    def close(self) -> None:
        pass


class _Sender:
    def __init__(self, network: FakeNetwork, remote: Address) -> None:
        self._network, self._remote = network, remote

    async def send(self, data: bytes, port: int) -> None:
        await trio.lowlevel.checkpoint()
        self._network.sent.append((self._remote, port, Packet.decode(data)))
        router = self._network.routers.get((self._remote, port))
        if router is not None:
            router.receive(data)

    def close(self) -> None:
        pass


class FakeNetwork:
    """Attributes:
    sent: to whom, to which port, what.
    refused: how often sockets cannot be had.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[Address, int, Packet]] = []
        self.receivers: dict[Endpoint, _Receiver] = {}
        self.routers: dict[tuple[Address, int], Router] = {}
        self.refused = 0

    def receiver(self, endpoint: Endpoint) -> _Receiver:
        self._refuse()
        self.receivers[endpoint] = _Receiver()
        return self.receivers[endpoint]

    def sender(self, local: Address, interface: str, remote: Address) -> _Sender:
        self._refuse()
        return _Sender(self, remote)

    def _refuse(self) -> None:
        if self.refused:
            self.refused -= 1
            raise BfdUnavailable("no BFD: Address already in use")

    def deliver(self, source: Address, data: bytes, *, port: int = SINGLE_HOP_PORT, ttl: int = 255) -> None:
        local = OURS if source.version == 4 else OURS6
        self.receivers[Endpoint(local, "", port)].send_nowait(Datagram(data, source, ttl))


class Router:
    """The other side: a session of its own at one port."""

    def __init__(self, network: FakeNetwork, address: Address = ROUTER, port: int = SINGLE_HOP_PORT) -> None:
        self.session = Session(TIMES, 99, random.Random(2), trio.current_time())
        self.silent, self.ttl = False, 255
        self._network, self._address, self._port = network, address, port
        network.routers[address, port] = self

    def receive(self, data: bytes) -> None:
        if not self.silent:
            self.session.receive(Packet.decode(data), trio.current_time())
            self._flush()

    def _flush(self) -> None:
        for each in self.session.take():
            if not self.silent:
                self._network.deliver(self._address, each.encode(), port=self._port, ttl=self.ttl)

    async def run(self) -> None:
        while True:
            self.session.advance(trio.current_time())
            self._flush()
            # Also what a packet moved forward is noticed.
            await trio.sleep_until(min(self.session.deadline(), trio.current_time() + 0.02))


Change = tuple[str, BfdState]


@asynccontextmanager
async def running(
    network: FakeNetwork, *peers: Peer, routers: tuple[Router, ...] = ()
) -> AsyncIterator[tuple[Bfd, list[Change]]]:
    changes: list[Change] = []
    bfd = Bfd(peers, changed=lambda *change: changes.append(change), network=network, rng=random.Random(1))
    async with trio.open_nursery() as nursery:
        await nursery.start(bfd.run)
        await trio.testing.wait_all_tasks_blocked()
        for router in routers:
            nursery.start_soon(router.run)
        yield bfd, changes
        nursery.cancel_scope.cancel()


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


async def test_up_silent_and_up_again(autojump_clock: trio.testing.MockClock, network: FakeNetwork) -> None:
    router = Router(network)
    async with running(network, peer(), routers=(router,)) as (bfd, changes):
        await trio.sleep(5)
        assert bfd.states() == {"router": "up"}
        assert router.session.state == State.UP
        assert changes[-1] == ("router", "up")
        changes.clear()
        await trio.sleep(60)
        assert changes == []
        router.silent = True
        await trio.sleep(0.31)
        assert changes == [("router", "down")]
        router.silent = False
        await trio.sleep(5)
        assert bfd.states() == {"router": "up"}


async def test_both_families_and_who_has_none(autojump_clock: trio.testing.MockClock, network: FakeNetwork) -> None:
    routers = Router(network), Router(network, ROUTER6)
    six = peer("six", address=ROUTER6, local_address=OURS6)
    async with running(network, peer(), six, peer("plain", bfd=None), routers=routers) as (bfd, _):
        await trio.sleep(5)
        assert bfd.states() == {"router": "up", "six": "up"}


async def test_two_peers_of_one_router(autojump_clock: trio.testing.MockClock, network: FakeNetwork) -> None:
    router = Router(network)
    async with running(network, peer("a"), peer("b", port=1790), routers=(router,)) as (bfd, changes):
        await trio.sleep(5)
        assert bfd.states() == {"a": "up", "b": "up"}
        assert len({each.my_discriminator for _, _, each in network.sent}) == 1
        assert [name for name, state in changes if state == "up"] == ["a", "b"]


async def test_a_neighbour_that_speaks_the_port_of_several_hops(
    autojump_clock: trio.testing.MockClock, network: FakeNetwork
) -> None:
    """FRR does, with ttl-security."""
    router = Router(network, port=MULTIHOP_PORT)
    async with running(network, peer(ttl_security=True), routers=(router,)) as (bfd, _):
        await trio.sleep(5)
        assert bfd.states() == {"router": "up"}
        assert network.sent[-1][1] == MULTIHOP_PORT


async def test_several_hops(autojump_clock: trio.testing.MockClock, network: FakeNetwork) -> None:
    """RFC 5883: one port, and no TTL is expected."""
    router = Router(network, port=MULTIHOP_PORT)
    router.ttl = 61
    async with running(network, peer(multihop=4), routers=(router,)) as (bfd, _):
        await trio.sleep(5)
        assert bfd.states() == {"router": "up"}
        assert [endpoint.port for endpoint in network.receivers] == [MULTIHOP_PORT]


async def test_who_guesses_no_discriminator_ends_no_session_of_several_hops(
    autojump_clock: trio.testing.MockClock, network: FakeNetwork
) -> None:
    """A source address is easily forged, and no TTL tells a stranger from a router several hops away."""
    router = Router(network, port=MULTIHOP_PORT)
    async with running(network, peer(multihop=4), routers=(router,)) as (bfd, changes):
        await trio.sleep(5)
        changes.clear()
        for state in (State.DOWN, State.ADMIN_DOWN):
            network.deliver(ROUTER, Packet(state, 5, 0, 255, 0, 0).encode(), port=MULTIHOP_PORT)
        await trio.sleep(5)
        assert changes == []
        assert bfd.dropped == 2


async def test_a_router_several_hops_away_that_begins_anew_is_met_again(
    autojump_clock: trio.testing.MockClock, network: FakeNetwork
) -> None:
    router = Router(network, port=MULTIHOP_PORT)
    async with running(network, peer(multihop=4), routers=(router,)) as (bfd, changes):
        await trio.sleep(5)
        changes.clear()
        router.session = Session(TIMES, 100, random.Random(3), trio.current_time())
        await trio.sleep(5)
        assert changes[0] == ("router", "down")
        assert bfd.states() == {"router": "up"}


@pytest.mark.parametrize(("ttl", "state"), [(255, "init"), (254, "down"), (0, "down")])
async def test_strangers_have_another_ttl(
    autojump_clock: trio.testing.MockClock, network: FakeNetwork, ttl: int, state: BfdState
) -> None:
    async with running(network, peer()) as (bfd, _):
        network.deliver(ROUTER, Packet(State.DOWN, 5, 0, 3, 1_000_000, 1).encode(), ttl=ttl)
        await trio.sleep(0.1)
        assert bfd.states() == {"router": state}
        assert bfd.dropped == (state == "down")


@pytest.mark.parametrize(
    ("source", "data"),
    [
        (ip_address("192.0.2.2"), Packet(State.DOWN, 5, 0, 3, 1_000_000, 1).encode()),
        (ROUTER, b""),
        (ROUTER, b"\xff" * 512),
        (ROUTER, Packet(State.DOWN, 5, 6, 3, 1_000_000, 1).encode()),
    ],
)
async def test_nobodys_packets_change_nothing_but_a_counter(
    autojump_clock: trio.testing.MockClock, network: FakeNetwork, source: Address, data: bytes
) -> None:
    async with running(network, peer()) as (bfd, changes):
        for _ in range(3):
            network.deliver(source, data)
        await trio.sleep(0.1)
        assert bfd.dropped == 3
        assert changes == []


async def test_no_socket_is_an_alarm_until_there_is_one(
    autojump_clock: trio.testing.MockClock, network: FakeNetwork
) -> None:
    network.refused = 3
    router = Router(network)
    async with running(network, peer()) as (bfd, _):
        assert bfd.alarms() == ("no BFD: Address already in use",)
        assert bfd.states() == {"router": "down"}
        await trio.sleep(5.1)
        assert bfd.alarms() == ()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(router.run)
            await trio.sleep(5)
            assert bfd.states() == {"router": "up"}
            nursery.cancel_scope.cancel()


async def test_a_socket_that_breaks_is_made_anew(autojump_clock: trio.testing.MockClock, network: FakeNetwork) -> None:
    router = Router(network)
    async with running(network, peer(), routers=(router,)) as (bfd, _):
        await trio.sleep(5)
        network.receivers[Endpoint(OURS, "", SINGLE_HOP_PORT)].send_nowait(None)
        await trio.sleep(1)
        assert bfd.alarms() == ("the interface is gone",)
        assert bfd.states() == {"router": "down"}
        await trio.sleep(10)
        assert bfd.alarms() == ()
        assert bfd.states() == {"router": "up"}


async def test_leaving(autojump_clock: trio.testing.MockClock, network: FakeNetwork) -> None:
    router = Router(network)
    async with running(network, peer(), routers=(router,)) as (bfd, _):
        await trio.sleep(5)
        start = trio.current_time()
        await bfd.leave()
        assert trio.current_time() - start < 1
        assert router.session.state == State.DOWN
        assert router.session.remote_state == State.ADMIN_DOWN
        assert bfd.states() == {"router": "admin-down"}


async def test_leaving_those_who_do_not_hear(autojump_clock: trio.testing.MockClock, network: FakeNetwork) -> None:
    router = Router(network)
    async with running(network, peer(), routers=(router,)) as (bfd, _):
        await trio.sleep(5)
        router.silent = True
        start = trio.current_time()
        await bfd.leave()
        assert trio.current_time() - start <= 0.3  # its detection time: it may hear, but it will not answer
        assert network.sent[-1][2].state == State.ADMIN_DOWN


async def test_leaving_without_a_socket_waits_no_longer_than_said(
    autojump_clock: trio.testing.MockClock, network: FakeNetwork
) -> None:
    network.refused = 1000
    async with running(network, peer()) as (bfd, _):
        start = trio.current_time()
        await bfd.leave()
        assert trio.current_time() - start == pytest.approx(1.0)


async def test_what_waits_after_a_pause_is_read_first(mock_clock: trio.testing.MockClock, network: FakeNetwork) -> None:
    """The process was stopped for a while; the router's packets are there, and so it is not silent."""
    async with running(network, peer()) as (bfd, changes):
        ours = network.sent[0][2].my_discriminator
        network.deliver(ROUTER, Packet(State.INIT, 5, ours, 3, 100_000, 100_000).encode())
        await trio.testing.wait_all_tasks_blocked()
        assert bfd.states() == {"router": "up"}
        changes.clear()
        network.deliver(ROUTER, Packet(State.UP, 5, ours, 3, 100_000, 100_000).encode())
        mock_clock.jump(10)
        await trio.testing.wait_all_tasks_blocked()
        assert changes == []
