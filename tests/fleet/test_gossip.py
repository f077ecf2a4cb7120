"""Records and reports get around: at once to some, by comparison to all, whoever was away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from edged.errors import EdgedError, ProtocolError, RequestInvalid
from edged.fleet.depth import Depth
from edged.fleet.peer import Peer
from edged.fleet.record import Key
from edged.limits import REPORT_INTERVAL_S_HIGHEST, SPREAD_PEER_COUNT, SPREAD_QUEUE_MAX, SYNC_INTERVAL_S_HIGHEST
from tests.fleet import kit
from tests.fleet.fakes import settle, table
from tests.fleet.nodes import TestNode, all_linked, link


def made(tmp_path: Path, *names: str) -> list[TestNode]:
    nodes = [TestNode(name, tmp_path / name) for name in names]
    for node in nodes:
        node.begin()
    return nodes


async def until_equal(nodes: list[TestNode], clock: MockClock) -> None:
    """In so few rounds that each node has compared with each other one, very probably; the seeds are fixed."""
    for _ in range(20):
        if len({node.state.heads_hash() for node in nodes}) == 1:
            return
        clock.jump(SYNC_INTERVAL_S_HIGHEST)
        await settle()
    raise AssertionError("the nodes do not agree")


async def test_a_comparison_brings_both_to_the_same(tmp_path: Path) -> None:
    one, two = made(tmp_path, "n1", "n2")
    one.state.accept(kit.signed("here"), kit.NOW)
    two.state.accept(kit.signed("there"), kit.NOW)
    async with link(one, two) as to_two:
        await one.gossip.compare_with(to_two)
    assert one.state.deployments().keys() == two.state.deployments().keys() == {"here", "there"}
    assert one.state.heads_hash() == two.state.heads_hash()


async def test_a_new_record_is_everywhere_at_once(tmp_path: Path, mock_clock: MockClock) -> None:
    nodes = made(tmp_path, "n1", "n2", "n3", "n4")
    assert len(nodes) <= SPREAD_PEER_COUNT + 1
    async with all_linked(*nodes), trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(node.gossip.run)
        await trio.testing.wait_all_tasks_blocked()
        await trio.to_thread.run_sync(nodes[0].state.accept, kit.signed(), kit.NOW)
        while len({node.state.heads_hash() for node in nodes}) > 1:
            await trio.lowlevel.checkpoint()  # the clock stands still: no comparison has any part in it
        nursery.cancel_scope.cancel()
    assert all(node.state.head("shop") is not None for node in nodes)


async def test_a_new_epoch_comes_over_links_of_the_old_one(tmp_path: Path) -> None:
    """What the old epoch left is accepted by nobody any more, but the roster has to get there first."""
    one, two = made(tmp_path, "n1", "n2")
    held = one.state.roster
    assert held is not None
    async with link(one, two) as to_two:
        newer = replace(held, version=2, epoch=2, previous=held.digest).seal([kit.root()])
        assert one.state.accept(newer, kit.NOW).kind == "accepted"
        await one.gossip.compare_with(to_two)
        assert two.state.roster is not None
        assert two.state.roster.epoch == 2
        for epoch, outcome in ((1, "stale"), (2, "accepted")):
            assert await to_two.call("offer", records=[kit.signed(epoch=epoch)]) == {"outcomes": [outcome]}


async def test_who_was_away_catches_up(tmp_path: Path, mock_clock: MockClock) -> None:
    nodes = made(tmp_path, "n1", "n2", "n3")
    for sequence in (1, 2, 3):
        for app in ("a", "b", "c"):
            nodes[0].state.accept(kit.signed(app, sequence), kit.NOW)
    nodes[1].state.accept(kit.signed("d"), kit.NOW)
    async with all_linked(*nodes), trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(node.gossip.run)
        await until_equal(nodes, mock_clock)
        nursery.cancel_scope.cancel()
    for node in nodes:
        assert {app: d.sequence for app, d in node.state.deployments().items()} == {"a": 3, "b": 3, "c": 3, "d": 1}


async def test_reports_go_around_direct_and_as_hearsay(tmp_path: Path, mock_clock: MockClock) -> None:
    one, two = made(tmp_path, "n1", "n2")
    one.board.put(one.report(), 0)
    two.board.put(two.report(), 0)
    async with link(one, two) as to_two:
        await one.gossip.report_to(to_two)
        assert {report.node for report in one.board.all()} == {"n1", "n2"}
        assert {report.node for report in two.board.all()} == {"n1", "n2"}
        assert not one.board.seen(["n2"], trio.current_time())[0].is_hearsay
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.gossip.run)
            await settle()
            beat = one.beat
            mock_clock.jump(REPORT_INTERVAL_S_HIGHEST)
            await settle()
            assert one.beat > beat
            nursery.cancel_scope.cancel()


async def test_in_a_large_fleet_reports_go_to_who_lacks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    monkeypatch.setattr("edged.fleet.gossip.LINK_KEPT_MAX", 1)
    one, two = made(tmp_path, "n1", "n2")
    two.board.put(two.report(), 0)
    calls: list[tuple[str, int]] = []

    async def dispatch(peer: Peer, call: str, args: dict[str, Any]) -> Any:
        answer = await two.dispatch(peer, call, args)
        calls.append((call, len(answer["reports"])))
        return answer

    async with link(one, two, dispatch) as to_two:
        await one.gossip.report_to(to_two)
        assert {report.node for report in one.board.all()} == {"n1", "n2"}
        assert {report.node for report in two.board.all()} == {"n1", "n2"}
        await one.gossip.report_to(to_two)
        assert [(beat.node, beat.beat) for beat in two.board.beats()] == [("n2", 1), ("n1", 2)]
    assert calls == [("beats", 1), ("beats", 1)]


async def test_a_peer_that_answers_nonsense_does_no_harm(tmp_path: Path, mock_clock: MockClock) -> None:
    one, bad, good = made(tmp_path, "n1", "n2", "n3")
    good.state.accept(kit.signed(), kit.NOW)
    nonsense = table(**{call: lambda _peer, _args: {"x": [1]} for call in ("heads", "reports", "offer")})
    async with link(one, bad, nonsense) as to_bad, link(one, good):
        with pytest.raises(ProtocolError):
            await one.gossip.compare_with(to_bad)
        with pytest.raises(RequestInvalid):
            await one.gossip.report_to(to_bad)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.gossip.run)
            await until_equal([one, good], mock_clock)
            nursery.cancel_scope.cancel()


async def test_a_peer_that_went_away(tmp_path: Path) -> None:
    one, two = made(tmp_path, "n1", "n2")
    async with link(one, two) as to_two:
        to_two.close("gone")
        with pytest.raises(EdgedError):
            await one.gossip.compare_with(to_two)


async def test_news_before_it_runs_and_after_do_not_matter(tmp_path: Path) -> None:
    [one] = made(tmp_path, "n1")
    one.state.accept(kit.signed(), kit.NOW)  # notice() is called: nobody is there to hear it
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.gossip.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    one.state.accept(kit.signed(sequence=2), kit.NOW)
    assert one.state.deployments()["shop"].sequence == 2


async def test_as_many_news_as_may_wait_and_one_more(tmp_path: Path) -> None:
    [one] = made(tmp_path, "n1")
    for number in range(SPREAD_QUEUE_MAX):
        assert one.gossip.depth() == Depth("news", number, number, SPREAD_QUEUE_MAX)
        one.gossip._enqueue(Key("deployment", f"a{number}"))
    one.gossip._enqueue(Key("deployment", "one-more"))
    assert one.gossip.depth() == Depth("news", SPREAD_QUEUE_MAX, SPREAD_QUEUE_MAX, SPREAD_QUEUE_MAX)
