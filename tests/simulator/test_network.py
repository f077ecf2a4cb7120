"""The network: what arrives, when, and what becomes of it when ways are lost and ends are gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from tests.simulator.network import LATENCY_S
from tests.simulator.stream import WINDOW_BYTES, SimulatedStream
from tests.simulator.world import World, run_world

ADDRESS = "there:1"
LONG_S = 300.0


class Ends:
    """Two machines, `here` and `there`, and the ends of a connection that here has dialled."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network = world.network
        self.here, self.there = world.machine("here"), world.machine("there")
        self.accepted: list[SimulatedStream] = []
        self.dialled: SimulatedStream

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async def accept(stream: SimulatedStream) -> None:
            self.accepted.append(stream)
            await trio.sleep_forever()

        async with self.there.process():
            self.network.listen(ADDRESS, accept)
            task_status.started()
            await trio.sleep_forever()

    @property
    def other(self) -> SimulatedStream:
        return self.accepted[-1]


@asynccontextmanager
async def ends(world: World) -> AsyncIterator[Ends]:
    both = Ends(world)
    await world.nursery.start(both.serve)
    async with both.here.process():
        both.dialled = await world.network.dial(ADDRESS)
        yield both


def in_world(test: Callable[[World], Awaitable[None]]) -> Callable[[int], None]:
    @pytest.mark.parametrize("seed", range(5))
    def run(seed: int) -> None:
        run_world(seed, test)

    return run


async def receive_exactly(stream: SimulatedStream, count: int) -> bytes:
    found = b""
    while len(found) < count:
        data = await stream.receive_some(count - len(found))
        assert data
        found += data
    return found


async def arrives(stream: SimulatedStream, within_s: float = LONG_S) -> bool:
    """Whether one byte, or the end, does."""
    with trio.move_on_after(within_s):
        await stream.receive_some(1)
        return True
    return False


@in_world
async def test_bytes_arrive_in_order_after_the_latency(world: World) -> None:
    async with ends(world) as both:
        began = world.now
        assert LATENCY_S[0] * 2 <= began <= LATENCY_S[1] * 2.5
        await both.dialled.send_all(b"abc")
        await both.dialled.send_all(bytearray(b"def"))
        assert await receive_exactly(both.other, 6) == b"abcdef"
        assert LATENCY_S[0] <= world.now - began <= LATENCY_S[1] * 1.3
        await both.other.send_all(b"back")
        assert await receive_exactly(both.dialled, 4) == b"back"
        assert both.other.peer_ip == both.here.ip != both.there.ip
        assert both.network.bytes_sent() == {("here", "there"): 60 + 126, ("there", "here"): 60 + 64}


@in_world
async def test_a_window_is_sent_and_not_one_byte_more(world: World) -> None:
    async with ends(world) as both:
        await both.dialled.send_all(bytes(WINDOW_BYTES))
        with trio.move_on_after(LONG_S) as scope:
            await both.dialled.send_all(b"x")
        assert scope.cancelled_caught
        await receive_exactly(both.other, 1)
        await both.dialled.send_all(b"y")
        assert (await receive_exactly(both.other, WINDOW_BYTES))[-1:] == b"y"


@in_world
async def test_a_narrow_way_takes_its_time(world: World) -> None:
    async with ends(world) as both:
        both.network.slow("here", "there", latency_s=1.0, jitter_s=0.0, bytes_s=1000.0)
        began = world.now
        await both.dialled.send_all(bytes(5000))
        await receive_exactly(both.other, 5000)
        assert 6.05 <= world.now - began <= 6.07
        both.network.heal()
        assert both.network.way("here", "there").latency_s <= LATENCY_S[1]


@in_world
async def test_what_a_lost_way_holds_goes_on_when_it_is_healed(world: World) -> None:
    async with ends(world) as both:
        both.network.asymmetric("here", "there")
        await both.dialled.send_all(b"ab")
        await both.other.send_all(b"x")
        assert await arrives(both.dialled)
        assert not await arrives(both.other)
        both.network.heal()
        assert await receive_exactly(both.other, 2) == b"ab"


@in_world
async def test_who_hears_nothing_back_sends_no_more_than_a_window(world: World) -> None:
    async with ends(world) as both:
        both.network.asymmetric("there", "here")
        await both.dialled.send_all(bytes(WINDOW_BYTES))
        await receive_exactly(both.other, WINDOW_BYTES)
        with trio.move_on_after(LONG_S) as scope:
            await both.dialled.send_all(b"x")
        assert scope.cancelled_caught
        both.network.heal()
        await both.dialled.send_all(b"y")
        assert await arrives(both.other)


@pytest.mark.parametrize("fault", ["partition", "rest", "stall", "clog", "clog the other"])
def test_nothing_passes_until_the_fault_is_healed(fault: str) -> None:
    async def main(world: World) -> None:
        async with ends(world) as both:
            match fault:
                case "partition":
                    both.network.partition(["here"], ["there"])
                case "rest":
                    both.network.partition(["here"])
                case "stall":
                    both.network.stall("here", "there")
                case "clog":
                    both.network.clog("here")
                case _:
                    both.network.clog("there")
            for stream in (both.dialled, both.other):
                await stream.send_all(b"x")
            assert not await arrives(both.dialled)
            assert not await arrives(both.other)
            with trio.move_on_after(LONG_S) as scope:
                await both.network.dial(ADDRESS)
            assert scope.cancelled_caught
            both.network.heal()
            assert await arrives(both.dialled)
            assert await arrives(both.other)
            await both.network.dial(ADDRESS)

    run_world(1, main)


@in_world
async def test_the_same_part_of_a_partition_is_not_parted(world: World) -> None:
    async with ends(world) as both:
        both.network.partition(["here", "there"], ["elsewhere"])
        await both.dialled.send_all(b"x")
        assert await arrives(both.other)


@in_world
async def test_a_swizzle_leaves_all_ways_open(world: World) -> None:
    async with ends(world) as both:
        began = world.now
        await both.network.swizzle(["here", "there"], world.random("swizzle"), 10)
        assert 0 < world.now - began <= 20
        await both.dialled.send_all(b"x")
        assert await arrives(both.other)


@in_world
async def test_a_cut_resets_both_ends(world: World) -> None:
    async with ends(world) as both:
        both.network.cut("there", "here")
        for stream in (both.dialled, both.other):
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        await both.network.dial(ADDRESS)


@in_world
async def test_what_was_sent_before_the_end_arrives(world: World) -> None:
    async with ends(world) as both:
        await both.dialled.send_all(b"last")
        await both.dialled.aclose()
        assert await receive_exactly(both.other, 4) == b"last"
        assert await both.other.receive_some() == b""
        with pytest.raises(trio.ClosedResourceError):
            await both.dialled.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            await both.dialled.receive_some()
        await both.other.send_all(b"to nobody")
        await trio.sleep(LONG_S)
        with pytest.raises(trio.BrokenResourceError):
            await both.other.send_all(b"x")


@in_world
async def test_nobody_listens(world: World) -> None:
    async with ends(world) as both:
        with pytest.raises(OSError, match="no host"):
            await both.network.dial("nowhere:1")
        both.there.kill()
        began = world.now
        with pytest.raises(OSError, match="refused"):
            await both.network.dial(ADDRESS)
        assert world.now > began


@in_world
async def test_a_killed_process_closes_its_connections(world: World) -> None:
    async with ends(world) as both:
        await both.other.send_all(b"last")
        both.there.kill()
        assert await receive_exactly(both.dialled, 4) == b"last"
        assert await both.dialled.receive_some() == b""


@in_world
async def test_a_killed_process_that_had_not_read_all_resets(world: World) -> None:
    async with ends(world) as both:
        await both.dialled.send_all(b"unread")
        await trio.sleep(1)
        both.there.kill()
        with pytest.raises(trio.BrokenResourceError):
            await both.dialled.receive_some()


@in_world
async def test_a_machine_without_power_tells_nobody_until_it_has_it_again(world: World) -> None:
    async with ends(world) as both:
        both.there.power_cut()
        await both.dialled.send_all(b"x")
        assert not await arrives(both.dialled)
        with trio.move_on_after(LONG_S) as scope:
            await both.network.dial(ADDRESS)
        assert scope.cancelled_caught
        await world.nursery.start(both.serve)
        with pytest.raises(trio.BrokenResourceError):
            await both.dialled.receive_some()
        await both.network.dial(ADDRESS)


@in_world
async def test_who_gives_up_dialling_leaves_nothing_open(world: World) -> None:
    async with ends(world) as both:
        both.network.slow("there", "here", latency_s=100.0)
        with trio.move_on_after(50):
            await both.network.dial(ADDRESS)
        assert len(both.accepted) == 2
        assert await both.other.receive_some() == b""


@in_world
async def test_spoilt_bytes_differ_in_one_bit(world: World) -> None:
    async with ends(world) as both:
        both.network.spoil("here", "there", 1.0)
        await both.dialled.send_all(bytes(100))
        found = await receive_exactly(both.other, 100)
        assert sum(byte.bit_count() for byte in found) == 1


@in_world
async def test_one_task_at_a_time(world: World) -> None:
    async with ends(world) as both:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(both.dialled.receive_some)
            await trio.sleep(1)
            with pytest.raises(trio.BusyResourceError):
                await both.dialled.receive_some()
            nursery.cancel_scope.cancel()
        await both.dialled.send_all(bytes(WINDOW_BYTES))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(both.dialled.send_all, b"x")
            await trio.sleep(1)
            with pytest.raises(trio.BusyResourceError):
                await both.dialled.send_all(b"x")
            nursery.cancel_scope.cancel()
