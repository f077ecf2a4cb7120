"""Announcing put together: what is announced after which evidence, and what never changes it. A clock that jumps."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from bgp.kernel_settings import SettingProblem
from bgp.limits import DRAIN_CLOSE_S, GATE_PARTIAL_S, GATE_WARM_S
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer
from bgp.wire import NotificationSeen
from edged.anycast.anycast import Anycast
from edged.anycast.config import MetadataTable
from edged.anycast.probe import Round
from edged.limits import (
    ANYCAST_APPLIED_S_MAX,
    ANYCAST_DISK_FREE_BYTES_MIN,
    ANYCAST_DISK_LOOK_S,
    ANYCAST_DRAINED_WRITE_S_MAX,
    ANYCAST_METADATA_AGAIN_S,
    ANYCAST_METADATA_RETRY_S,
    ANYCAST_PREPEND_COUNT,
    ANYCAST_REACH_INTERVAL_S,
    ANYCAST_REACH_LOOK_S,
    ANYCAST_ROSTER_SPREAD_S,
)
from tests.anycast.fakes import ADDRESS, OTHER, PREFIX, ROUTER, TABLE, World, answers
from tests.fleet.fakes import settle

PLAIN, SHUNNED = {str(PREFIX): 0}, {str(PREFIX): ANYCAST_PREPEND_COUNT}
GOOD = answers(True, True)
GOOD_ON_BOTH = answers(True, True, addresses=(ADDRESS, OTHER.network_address))


@asynccontextmanager
async def running(world: World) -> AsyncIterator[Anycast]:
    anycast = world.make()
    # The prober asks real sockets: here the test says what workers answer.
    anycast._probe = trio.sleep_forever  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        await nursery.start(anycast.run)
        await settle()
        yield anycast
        nursery.cancel_scope.cancel()


STEP_S = 0.25


async def pass_s(seconds: float) -> None:
    """Time goes on, once all that is due is done, in threads as well."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    for _ in range(int(seconds / STEP_S)):
        await settle()
        clock.jump(STEP_S)
    await settle()


async def during(anycast: Anycast, work: Callable[[], Awaitable[object]], seconds: float = 60.0) -> None:
    """Time goes on, with good answers, until some work is done."""
    async with trio.open_nursery() as nursery:

        async def do() -> None:
            await work()
            nursery.cancel_scope.cancel()

        nursery.start_soon(do)
        await warm(anycast, seconds)
        raise AssertionError(f"not done in {seconds} s")


async def warm(anycast: Anycast, seconds: float = 3.0, round_: Round = GOOD) -> None:
    """Good answers for a while."""
    for _ in range(int(seconds / 0.5)):
        anycast.observe(round_)
        await pass_s(0.5)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_announced_once_it_is_warm(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        assert world.announced == {}
        await warm(anycast, 1.5)
        assert world.announced == {}
        await warm(anycast)
        assert world.announced == PLAIN
        (prefix,) = anycast.status().prefixes
        assert (prefix.state, prefix.desired, prefix.announced) == ("up", "plain", "plain")


async def test_apps_are_waited_for_and_not_for_ever(mock_clock: MockClock, world: World) -> None:
    world.applied = False
    async with running(world) as anycast:
        await warm(anycast, ANYCAST_APPLIED_S_MAX - 1)
        assert world.announced == {}
        await warm(anycast, 4)
        assert world.announced == PLAIN


async def test_an_app_that_does_not_load_withdraws_nothing(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        world.applied = False
        await warm(anycast, 2 * ANYCAST_APPLIED_S_MAX)
        assert world.announced == PLAIN


async def test_withdrawn_when_no_worker_answers(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        for _ in range(2):
            anycast.observe(answers(False, False))
        assert world.announced == PLAIN
        anycast.observe(answers(False, False))
        assert world.announced == {}
        assert "nothing came back" in anycast.status().prefixes[0].reason


@pytest.mark.parametrize("evidence", ["lag", "address"])
async def test_withdrawn_for_lag_and_for_an_address_that_is_gone(
    mock_clock: MockClock, world: World, evidence: str
) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        for _ in range(3):
            if evidence == "address":
                world.absent = {ADDRESS}
            anycast.observe(answers(True, True, lag_s=1.1 if evidence == "lag" else 0.0))
        assert world.announced == {}


async def test_one_worker_of_two_is_the_last_resort_after_a_while(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        for _ in range(int(GATE_PARTIAL_S / 0.5)):
            assert world.announced == PLAIN
            anycast.observe(answers(True, False))
            await pass_s(0.5)
        assert world.announced == SHUNNED


@pytest.mark.parametrize("free", [ANYCAST_DISK_FREE_BYTES_MIN, ANYCAST_DISK_FREE_BYTES_MIN - 1, None])
async def test_a_full_disk_is_the_last_resort(mock_clock: MockClock, world: World, free: int | None) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        world.disk_fails = free is None
        world.free_bytes = free or 0
        await warm(anycast, ANYCAST_DISK_LOOK_S + 2)
        is_fine = free == ANYCAST_DISK_FREE_BYTES_MIN
        assert world.announced == (PLAIN if is_fine else SHUNNED)
        assert any("disk" in alarm for alarm in anycast.status().alarms) != is_fine


async def test_fail_open(mock_clock: MockClock, world: World) -> None:
    """The rosters cannot be read, the provider is gone, routers are down: nothing of what is announced changes."""
    async with running(world) as anycast:
        await warm(anycast)
        told = len(world.speaker.sets)
        world.roster_fails = True
        anycast.roster_changed()
        world.speaker.state, world.speaker.error = "idle", "hold timer expired"
        await warm(anycast, 300)
        assert (world.announced, len(world.speaker.sets)) == (PLAIN, told)
        assert any("records cannot be read" in alarm for alarm in anycast.status().alarms)
        world.roster_fails = False
        anycast.roster_changed()
        await warm(anycast)
        assert (world.announced, anycast.status().alarms) == (PLAIN, ())


async def test_a_roster_that_is_refused_is_an_alarm(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        world.refused = "the roster would take away 2 prefixes"
        anycast.roster_changed()
        await warm(anycast)
        assert world.announced == PLAIN
        assert world.refused in anycast.status().alarms


async def test_a_new_prefix_is_announced_after_another_child_has_read_the_roster(
    mock_clock: MockClock, world: World
) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        world.prefixes = (PREFIX, OTHER)
        anycast.roster_changed()
        both = answers(True, True, addresses=(ADDRESS, OTHER.network_address))
        for _ in range(int(2 * ANYCAST_ROSTER_SPREAD_S + 8)):
            anycast.observe(both)
            # Never before there is a child that may announce it.
            assert world.speaker.restarts or str(OTHER) not in world.announced
            await pass_s(0.5)
        assert world.announced == PLAIN | {str(OTHER): 0}
        assert world.speaker.restarts == 1


async def test_a_prefix_that_the_roster_takes_away_goes_at_once(mock_clock: MockClock, world: World) -> None:
    world.prefixes = (PREFIX, OTHER)
    both = answers(True, True, addresses=(ADDRESS, OTHER.network_address))
    async with running(world) as anycast:
        for _ in range(8):
            anycast.observe(both)
            await pass_s(0.5)
        assert world.announced == PLAIN | {str(OTHER): 0}
        world.prefixes = (PREFIX,)
        anycast.roster_changed()
        await warm(anycast, 1)
        assert world.announced == PLAIN
        assert world.speaker.restarts == 0


async def test_prefixes_that_the_node_names_and_the_roster_does_not(mock_clock: MockClock, world: World) -> None:
    world.table = replace(TABLE, prefixes=(PREFIX, OTHER))
    async with running(world) as anycast:
        await warm(anycast)
        assert world.announced == PLAIN
        assert any(str(OTHER) in alarm for alarm in anycast.status().alarms)


async def test_more_prefixes_than_a_node_may_have_change_nothing(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        world.prefixes = tuple(ip_network(f"203.0.113.{number}/32") for number in range(10, 15))
        anycast.roster_changed()
        await warm(anycast, ANYCAST_ROSTER_SPREAD_S + 2)
        assert world.announced == PLAIN
        assert any("at most 4" in alarm for alarm in anycast.status().alarms)


async def test_drain_and_undrain(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        world.connections = 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anycast.drain, "a test")
            await warm(anycast, DRAIN_CLOSE_S + 1)
            assert (world.announced, world.closing) == (SHUNNED, [True])
            assert (world.folder / "drained").read_text() == "a test\n"
            await warm(anycast, 8)
            assert world.announced == {}
            report = anycast.status().drain
            assert report is not None
            assert report.step == "lingering"
            world.connections = 0
            await pass_s(1)
        status = anycast.status()
        assert status.drain is not None
        assert (status.drain.step, status.drain.withdrawal_proven) == ("drained", True)
        assert {each.reason for each in status.prefixes} == {"a test"}
        await warm(anycast, 60)
        assert world.announced == {}
        assert not world.speaker.is_stopped.is_set()

        await anycast.undrain()
        assert world.closing == [True, False]
        assert not (world.folder / "drained").exists()
        await warm(anycast, 4)
        assert world.announced == PLAIN


async def test_a_node_that_warms_up_announces_nothing_once_it_is_to_drain(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast, GATE_WARM_S - 0.5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anycast.drain, "a test")
            await warm(anycast, 1)  # it would have been warm by now, and kept connections have time to end
            assert world.announced == {}
            assert {each.state for each in anycast.status().prefixes} == {"drained"}
            await pass_s(60)


async def test_a_drained_node_is_drained_at_its_next_start(mock_clock: MockClock, world: World) -> None:
    (world.folder / "drained").write_text("by hand\n")
    async with running(world) as anycast:
        await warm(anycast, 60)
        assert world.announced == {}
        assert anycast.status().prefixes[0].state == "drained"
        await anycast.leave("the node stops")  # at once: no clock moves
        assert world.speaker.is_stopped.is_set()
    assert (world.folder / "drained").exists()


async def test_a_node_that_the_roster_takes_out_leaves_and_comes_back_with_a_later_one(
    mock_clock: MockClock, world: World
) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        anycast.roster_changed()  # one that has it still
        await warm(anycast, 2 * ANYCAST_ROSTER_SPREAD_S)
        assert (world.announced, world.closing) == (PLAIN, [])
        world.expelled = "version 7 of the roster has taken this node out"
        anycast.roster_changed()
        await warm(anycast, DRAIN_CLOSE_S + 1)
        assert (world.announced, world.closing) == (SHUNNED, [True])
        await warm(anycast, 60)
        assert world.announced == {}
        assert {each.reason for each in anycast.status().prefixes} == {world.expelled}
        await anycast.undrain()  # the roster knows better than who steers the node
        await warm(anycast, 60)
        assert world.announced == {}
        assert not (world.folder / "drained").exists()  # the roster on disk says it

        world.expelled = ""
        anycast.roster_changed()
        await warm(anycast, 60)
        assert (world.announced, world.closing) == (PLAIN, [True, False])


async def test_a_node_that_was_taken_out_announces_nothing_at_its_next_start(
    mock_clock: MockClock, world: World
) -> None:
    world.expelled = "version 7 of the roster has taken this node out"
    async with running(world) as anycast:
        await warm(anycast, 60)
        assert world.announced == {}
        world.expelled = ""
        anycast.roster_changed()
        await warm(anycast, 60)
        assert world.announced == PLAIN


async def test_a_drained_node_stays_so_when_the_roster_has_it_again(mock_clock: MockClock, world: World) -> None:
    (world.folder / "drained").write_text("by hand\n")
    world.expelled = "version 7 of the roster has taken this node out"
    async with running(world) as anycast:
        world.expelled = ""
        anycast.roster_changed()
        await warm(anycast, 60)
        assert world.announced == {}


async def test_leaving_for_good_ends_the_sessions_after_the_withdrawal(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        await during(anycast, lambda: anycast.leave("the node stops"))
        assert world.speaker.sets[-2:] == [SHUNNED, {}]
        assert world.speaker.is_stopped.is_set()
        assert not (world.folder / "drained").exists()


async def test_a_drain_that_cannot_be_written_down_goes_on(mock_clock: MockClock, world: World) -> None:
    world.folder = world.folder / "gone"
    async with running(world) as anycast:
        await warm(anycast)
        await during(anycast, lambda: anycast.drain("a test"))
        assert world.announced == {}
        assert any("forgets" in alarm for alarm in anycast.status().alarms)


async def test_a_provider_is_asked_until_it_answers(mock_clock: MockClock, world: World) -> None:
    world.table = replace(TABLE, asn=None, peers=(), metadata=MetadataTable("equinix"))
    async with running(world) as anycast:
        await warm(anycast, 2 * ANYCAST_METADATA_RETRY_S + 1)
        assert (world.metadata_asked, world.speakers) == (3, [])
        (alarm,) = anycast.status().alarms
        assert alarm.startswith("no answer [bgp.metadata-unavailable]. Check the source")
        speaker = anycast.status().speaker
        assert (speaker.state, speaker.error) == ("starting", "no answer [bgp.metadata-unavailable]")
        world.metadata = ProviderSessions(65300, (Peer("p", ROUTER.address, 65530, ROUTER.local_address),))
        await warm(anycast, ANYCAST_METADATA_RETRY_S)
        assert world.announced == PLAIN
        assert (anycast.status().asn, anycast.status().alarms) == (65300, ())
        assert anycast.router_addresses() == (ROUTER.address,)
        asked = world.metadata_asked
        await warm(anycast, 3 * ANYCAST_METADATA_AGAIN_S)
        assert world.metadata_asked == asked


async def test_a_provider_that_corrects_itself(mock_clock: MockClock, world: World) -> None:
    """While its sessions are down it is asked again, and what it says then is tried."""
    wrong = Peer("p", ROUTER.address, 65530, ROUTER.local_address)
    world.table = replace(TABLE, asn=None, peers=(), metadata=MetadataTable("equinix"))
    world.metadata = ProviderSessions(65300, (wrong,))
    async with running(world) as anycast:
        await warm(anycast)
        world.speaker.state = "connect"
        right = replace(wrong, address=ip_address("192.0.2.9"))
        world.metadata = ProviderSessions(65300, (right,))
        await warm(anycast, ANYCAST_METADATA_AGAIN_S)
        assert [peer.address for peer in world.speaker.config.peers] == [right.address]
        assert anycast.router_addresses() == (right.address,)
        assert len(world.speakers) == 1
        await warm(anycast, ANYCAST_REACH_LOOK_S)
        assert anycast.status().peers[0].address == "192.0.2.9"


async def test_why_a_session_is_down_is_asked_for_and_not_often(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        assert world.investigated == []
        # What the child says of a try that failed ("timed out") keeps nobody from looking closer.
        world.speaker.state, world.speaker.error = "connect", "timed out"
        await warm(anycast, 2 * ANYCAST_REACH_LOOK_S)
        assert (anycast.status().peers[0].error, anycast.status().peers[0].remedy) == ("found 1", "look")
        assert world.investigated == [None]
        await warm(anycast, ANYCAST_REACH_INTERVAL_S)
        assert (anycast.status().peers[0].error, world.investigated) == ("found 2", [None, None])
        world.speaker.error, world.speaker.state = "", "established"
        assert anycast.status().peers[0].error == ""


async def test_what_was_said_is_seen_at_once_and_looked_at(mock_clock: MockClock, world: World) -> None:
    """A router that refused is perhaps without power by now: what it said is one fact of several."""
    async with running(world) as anycast:
        await warm(anycast)
        world.speaker.state = "connect"
        await warm(anycast, 2 * ANYCAST_REACH_LOOK_S)
        said = NotificationSeen(ROUTER.name, "received", 2, 2)
        world.speaker.error, world.speaker.notification = "wrong AS number", said
        assert anycast.status().peers[0].error == "wrong AS number"
        await warm(anycast, 2 * ANYCAST_REACH_LOOK_S)
        assert (anycast.status().peers[0].error, world.investigated) == ("found 2", [None, said])
        world.speaker.flaps = 1  # up for a moment, and lost again
        assert anycast.status().peers[0].error == "wrong AS number"
        await warm(anycast, 2 * ANYCAST_REACH_LOOK_S)
        assert (anycast.status().peers[0].error, len(world.investigated)) == ("found 3", 3)


async def test_a_child_that_does_not_run_is_no_fault_of_routers(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        world.speaker.state, world.speaker.own_state, world.speaker.error = "idle", "fault", "its child ended"
        await warm(anycast, 3 * ANYCAST_REACH_LOOK_S)
        assert (anycast.status().peers[0].error, world.investigated) == ("its child ended", [])


async def test_a_node_that_stops_comes_back_for_nobody(mock_clock: MockClock, world: World) -> None:
    """An undrain that is late would announce a node whose workers end."""
    async with running(world) as anycast:
        await warm(anycast)
        world.connections = 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anycast.leave, "the node stops")
            await warm(anycast, 1)
            await anycast.undrain()
            await warm(anycast, 10)
            assert world.announced == {}
            world.connections = 0
            await warm(anycast, 1)
        assert world.speaker.is_stopped.is_set()
        await anycast.undrain()
        await warm(anycast, 10)
        assert world.announced == {}
        assert False not in world.closing


async def test_a_prefix_that_is_new_to_a_node_that_stops_is_not_announced(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        world.connections = 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anycast.leave, "the node stops")
            await warm(anycast, 6)
            world.prefixes = (PREFIX, OTHER)
            anycast.roster_changed()
            await warm(anycast, ANYCAST_ROSTER_SPREAD_S + 5, GOOD_ON_BOTH)
            assert not any(str(OTHER) in each for each in world.speaker.sets)
            nursery.cancel_scope.cancel()


async def test_a_new_prefix_holds_up_no_other_roster(mock_clock: MockClock, world: World) -> None:
    """What is withdrawn by a roster is withdrawn at once, and not once sessions began anew for the one before."""
    async with running(world) as anycast:
        await warm(anycast)
        world.prefixes = (PREFIX, OTHER)
        anycast.roster_changed()
        await settle()
        world.prefixes = (OTHER,)
        anycast.roster_changed()
        await settle()
        assert world.announced == {}
        await warm(anycast, ANYCAST_ROSTER_SPREAD_S + 5, GOOD_ON_BOTH)
        assert world.announced == {str(OTHER): 0}
        assert world.speaker.restarts == 1


async def test_a_roster_with_the_same_prefixes_disturbs_no_round(mock_clock: MockClock, world: World) -> None:
    async with running(world) as anycast:
        await warm(anycast)
        with trio.CancelScope() as anycast._probing:
            anycast.roster_changed()
            await settle()
            await trio.lowlevel.checkpoint()
        assert not anycast._probing.cancelled_caught


async def test_a_disk_that_hangs_keeps_nobody_from_leaving(mock_clock: MockClock, world: World) -> None:
    goes_on = threading.Event()
    async with running(world) as anycast:
        await warm(anycast)
        anycast._drained.set = lambda _reason: goes_on.wait()  # type: ignore[method-assign,assignment]
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(anycast.drain, "a test")
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(ANYCAST_DRAINED_WRITE_S_MAX)
                await trio.testing.wait_all_tasks_blocked()
                assert world.closing == [True]
                nursery.cancel_scope.cancel()
        finally:
            goes_on.set()
        assert any("takes too long" in alarm for alarm in anycast.status().alarms)


async def test_settings_of_the_kernel_that_do_harm_are_told_and_change_nothing(
    mock_clock: MockClock, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.settings = (SettingProblem("net.ipv4.conf.all.rp_filter", 1, "packets are dropped", "Set it to 2."),)
    async with running(world) as anycast:
        await warm(anycast)
        assert (world.announced, anycast.status().alarms) == (PLAIN, ())
    assert "net.ipv4.conf.all.rp_filter is 1: packets are dropped" in capsys.readouterr().out
