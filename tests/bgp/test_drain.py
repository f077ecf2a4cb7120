"""A drain, step by step, against a node that writes down what it was told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import trio

from bgp.drain import Drain, DrainTimes
from bgp.status import DrainReport

TIMES = DrainTimes(close_s=0, shift_s=2, proof_s=1, linger_s=30, linger_s_least=5)


class Node:
    """Attributes:
    told: what, and when.
    reason: of the shift.
    """

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []
        self.away: list[tuple[float, int]] = []  # when, and after how many other words
        self.reason = ""
        self.announced = True
        self.proven_after_s = 0.25
        self.open: Callable[[], int] = lambda: 0
        self.reports: list[DrainReport] = []
        self.drain = Drain(self, TIMES, wall_clock=lambda: 1e9 + trio.current_time(), changed=self.reports.append)
        self._start = trio.current_time()

    def _tell(self, what: str) -> None:
        self.told.append((round(self.now(), 6), what))

    def now(self) -> float:
        return trio.current_time() - self._start

    def stay_away(self, reason: str) -> None:
        self.away.append((self.now(), len(self.told)))

    def close_connections(self, on: bool) -> None:
        self._tell("close" if on else "keep")

    def shift(self, reason: str) -> bool:
        self.reason = reason
        self._tell("shift")
        return self.announced

    def withdraw(self) -> None:
        self._tell("withdraw")

    def undrain(self) -> None:
        self._tell("undrain")

    async def wait_proven(self, timeout_s: float) -> bool:
        with trio.move_on_after(timeout_s):
            await trio.sleep(self.proven_after_s)
            return True
        return False

    def connections(self) -> int:
        return self.open()

    async def cease(self) -> None:
        self._tell("cease")

    def steps(self) -> list[str]:
        return [report.step for report in self.reports]


@pytest.fixture
async def node() -> Node:
    return Node()


async def test_all_steps(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    report = await node.drain.run("an operator asked")
    assert node.away == [(0.0, 0)]
    assert node.told[:3] == [(0.0, "close"), (0.0, "shift"), (2.0, "withdraw")]
    assert {what for _, what in node.told[3:]} == {"withdraw"}  # said again at the end, and harmless
    assert node.now() == pytest.approx(2 + 0.25 + 5)
    assert node.steps() == ["closing", "shifting", "withdrawing", "lingering", "drained"]
    assert report == node.drain.report == node.reports[-1]
    assert report.reason == node.reason == "an operator asked"
    assert report.withdrawal_proven
    assert report.connections_left == 0
    assert report.ended - report.started == pytest.approx(node.now())
    assert all(each.ended == 0 for each in node.reports[:-1])


async def test_connections_have_time_to_end_before_routers_turn_away(
    autojump_clock: trio.testing.MockClock, node: Node
) -> None:
    node.drain = Drain(node, replace(TIMES, close_s=1), wall_clock=lambda: 0.0, changed=node.reports.append)
    await node.drain.run("")
    assert node.told[:3] == [(0.0, "close"), (1.0, "shift"), (3.0, "withdraw")]


@pytest.mark.parametrize("hurried", ["cut_short", "undrain"])
async def test_who_is_hurried_while_connections_end_shifts_nothing(
    autojump_clock: trio.testing.MockClock, node: Node, hurried: str
) -> None:
    node.drain = Drain(node, replace(TIMES, close_s=1), wall_clock=lambda: 0.0, changed=node.reports.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.drain.run, "")
        await trio.sleep(0.5)
        getattr(node.drain, hurried)()
    assert node.now() == 0.5
    assert "shift" not in [what for _, what in node.told]
    assert ("withdraw" in [what for _, what in node.told]) == (hurried == "cut_short")


async def test_leaving_ends_the_sessions_last(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    await node.drain.run("SIGTERM", leave=True)
    assert [what for _, what in node.told].count("cease") == 1
    assert node.told[-1][1] == "cease"


async def test_a_withdrawal_that_is_never_proven(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    node.proven_after_s = 100
    assert not (await node.drain.run("")).withdrawal_proven
    assert node.now() == pytest.approx(2 + 1 + 5)


async def test_nothing_is_announced_so_nothing_shifts(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    node.announced = False
    await node.drain.run("")
    assert node.told[2] == (0.0, "withdraw")


@pytest.mark.parametrize(("closed_at", "end"), [(4.0, 7.25), (20.0, 20.05), (100.0, 32.25)])
async def test_stragglers(autojump_clock: trio.testing.MockClock, node: Node, closed_at: float, end: float) -> None:
    node.open = lambda: 3 if node.now() < closed_at else 0
    report = await node.drain.run("")
    assert node.now() == pytest.approx(end, abs=0.11)
    assert report.connections_left == (3 if closed_at > end else 0)
    assert report.step == "drained"


@pytest.mark.parametrize("at", [1.0, 2.1, 4.0])
async def test_cut_short(autojump_clock: trio.testing.MockClock, node: Node, at: float) -> None:
    node.open = lambda: 2
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.drain.run, "")
        await trio.sleep(at)
        node.drain.cut_short()
    assert node.now() == at
    assert "withdraw" in [what for _, what in node.told]
    assert node.steps()[-1] == "cut short"
    assert node.reports[-1].connections_left == 2


@pytest.mark.parametrize("at", [1.0, 2.1, 4.0])
async def test_undone(autojump_clock: trio.testing.MockClock, node: Node, at: float) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.drain.run, "")
        await trio.sleep(at)
        node.drain.undrain()
    assert node.now() == at
    assert [what for _, what in node.told[-2:]] == ["undrain", "keep"]
    assert node.steps()[-1] == "undrained"
    assert ("withdraw" in [what for _, what in node.told]) == (at > 2)
    await node.drain.run("again")
    assert node.steps()[-1] == "drained"


async def test_undone_while_leaving(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: node.drain.run("SIGTERM", leave=True))
        await trio.sleep(1)
        node.drain.undrain()
    assert "cease" not in [what for _, what in node.told]


async def test_undone_after_its_end(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    await node.drain.run("")
    node.drain.undrain()
    assert node.steps()[-1] == "undrained"
    assert [what for _, what in node.told[-2:]] == ["undrain", "keep"]


async def test_undrain_of_a_node_that_started_drained(mock_clock: trio.testing.MockClock, node: Node) -> None:
    node.drain.undrain()
    assert node.told == [(0.0, "undrain"), (0.0, "keep")]
    assert node.reports == []


async def test_one_at_a_time(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    ends: list[DrainReport] = []

    async def run(reason: str, leave: bool) -> None:
        ends.append(await node.drain.run(reason, leave=leave))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "an operator asked", False)
        await trio.sleep(1)
        nursery.start_soon(run, "SIGTERM", True)
    assert [each.reason for each in ends] == ["an operator asked"] * 2
    assert node.steps() == ["closing", "shifting", "withdrawing", "lingering", "drained"]
    assert node.told[-1][1] == "cease"


async def test_who_is_drained_leaves_at_once(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    await node.drain.run("an operator asked")
    before = node.now()
    report = await node.drain.run("SIGTERM", leave=True)
    assert node.now() == before
    assert node.told[-1] == (before, "cease")
    assert report.reason == "an operator asked"


async def test_cancelled(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    """Who stops waiting for a drain does not leave the prefix half-way."""
    with trio.move_on_after(1):
        await node.drain.run("")
    assert node.told[-1][1] == "withdraw"
    assert node.steps()[-1] == "cut short"
    node.drain.undrain()
    assert node.steps()[-1] == "undrained"


async def test_one_that_fails_keeps_no_other_waiting(autojump_clock: trio.testing.MockClock, node: Node) -> None:
    """Whatever goes wrong in a drain, the SIGTERM that follows is not to wait for its end for ever."""

    def broken() -> int:
        raise OSError("nobody counts")

    node.open = broken
    with pytest.raises(OSError, match="nobody counts"):
        await node.drain.run("an operator asked")
    node.open = lambda: 0
    with trio.fail_after(60):
        await node.drain.run("SIGTERM", leave=True)
    assert node.told[-1][1] == "cease"
