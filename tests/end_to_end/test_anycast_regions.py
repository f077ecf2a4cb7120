"""Three regions and their clients, by real routers: who answers whom, and what clients lose when a node, or a part of
it, goes. Requests that failed are counted, never how long anything took.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from benchmarks.anycast.route_watch import RouteWatch
from benchmarks.anycast.stage import CLIENTS, NODE, ROUTER, Stage, staged
from edged.limits import ANYCAST_PREPEND_COUNT
from tests.anycast_net import AnycastNet
from tests.fleets import WAIT_S, descendants
from tests.lab.anycast import may_run
from tests.lab.failover import Failover, analyse

REGION = "ams"
GRACEFUL_SHUTDOWN = (65535, 0)
RATE = 40.0
"""Requests a second of each client."""
RESETS_MAX = 3
"""Of each client: requests on the wire when routers turn away, at most 60 ms of `RATE`, to Edinburgh and back."""
WINDOW_S_MAX = 4.0
"""In which requests may fail when something is killed: routers are told at once; busy cores take their time."""

pytestmark = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("net"), "hold 9") as stage:
        yield stage


@pytest.fixture(autouse=True)
def settled(stage: Stage) -> Iterator[None]:
    """Before each test; and a test that failed leaves nothing for the next."""
    stage.wait_settled()
    yield
    process = stage.node.process
    if process is None or process.poll() is not None:
        stage.start()
    if (stage.node.state / "drained").exists():
        stage.undrain()


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_the_nearest_region_answers(stage: Stage, v6: bool) -> None:
    wanted = {"c-ams": "ams", "c-dal": "dal", "c-sin": "sin", "c-edi": "ams"}
    assert {client: stage.net.ask(client, v6=v6).body for client in wanted} == wanted


def test_a_drain_fails_no_request(stage: Stage) -> None:
    assert_clean(during(stage, stage.drain, seconds=9.0, v6=True))
    assert_gone(stage.net)
    assert {stage.net.ask(client).body for client in CLIENTS} <= {"dal", "sin"}
    stage.undrain()
    stage.wait_settled()


def test_sigterm_fails_no_request(stage: Stage) -> None:
    with ending(stage):
        assert_clean(during(stage, stage.terminate, seconds=8.0))
        assert_gone(stage.net)
        assert {stage.net.ask(client).body for client in CLIENTS} <= {"dal", "sin"}
    stage.start()


def test_the_speaker_is_killed(stage: Stage) -> None:
    """Routers turn away and come back: what failed is what was on the wire then."""
    seen = during(stage, lambda: stage.send(signal.SIGKILL, stage.speaker))
    assert_bounded(seen)
    stage.wait_settled()


def test_one_of_two_workers_is_killed(stage: Stage) -> None:
    """Only what it was about to answer is lost, and no router hears of it."""
    with unmoved(stage):
        seen = during(stage, lambda: stage.send(signal.SIGKILL, stage.workers[0]))
    assert_bounded(seen)
    assert {each.now for each in seen} == {REGION}


def test_all_workers_are_killed(stage: Stage) -> None:
    seen = during(stage, lambda: stage.send(signal.SIGKILL, *stage.workers))
    assert_bounded(seen)
    stage.start()


def test_the_supervisor_is_killed(stage: Stage) -> None:
    """Its children end with it, and the speaker takes leave."""
    with ending(stage):
        seen = during(stage, lambda: stage.send(signal.SIGKILL, stage.supervisor))
        assert_bounded(seen)
        assert_gone(stage.net)
        assert {stage.net.ask(client).body for client in CLIENTS} <= {"dal", "sin"}
    stage.start()


def test_one_of_two_workers_hangs(stage: Stage) -> None:
    """It is cut off and another takes its place; no router hears of it."""
    hung = stage.workers[0]
    with unmoved(stage), ended(hung):
        seen = during(stage, lambda: stage.send(signal.SIGSTOP, hung))
    assert {each.now for each in seen} == {REGION}


def test_all_workers_hang(stage: Stage) -> None:
    """The data path is dead: withdrawn, and back when others serve."""
    mark = stage.node.mark()
    seen = during(stage, lambda: stage.send(signal.SIGSTOP, *stage.workers), seconds=6.0)
    assert_bounded(seen)
    assert any(each.elsewhere_s is not None for each in seen)
    stage.node.wait_for(
        lambda event: event.get("event") == "anycast.prefix" and event["state"] in ("down", "hold-down"), since=mark
    )
    stage.wait_settled()  # by itself
    stage.start()  # or it would hold back for longer in the next test


def test_a_full_disk_is_a_last_resort(stage: Stage) -> None:
    def shunned() -> None:
        for prefix in map(str, stage.net.internet.prefixes):
            route = stage.net.lab.wait_announced(
                ROUTER, NODE, prefix, lambda seen: seen is not None and GRACEFUL_SHUTDOWN in seen.communities
            )
            assert route is not None
            assert route.as_path == (stage.net.internet.asn,) * (1 + ANYCAST_PREPEND_COUNT)

    stage.fill_disk()
    try:
        shunned()
        assert stage.net.ask("c-ams").body  # somebody answers all the same
    finally:
        stage.free_disk()
        stage.start()


def test_without_peers_registry_and_names_nothing_is_withdrawn(stage: Stage) -> None:
    with unmoved(stage):
        try:
            seen = during(stage, stage.cut_off_nodes, seconds=8.0)
        finally:
            stage.join_nodes()
    assert [dict(each.failures) for each in seen] == [{}] * len(seen)
    assert {each.now for each in seen} == {REGION}


def during(stage: Stage, strike: Callable[[], float], *, seconds: float = 4.0, v6: bool = False) -> Sequence[Failover]:
    """What clients saw who asked all the while, each request on a new connection and once."""
    with ExitStack() as stack:
        loads = [
            stack.enter_context(stage.net.load(CLIENTS, seconds=1.0 + seconds, rate=RATE, v6=each))
            for each in ((False, True) if v6 else (False,))
        ]
        time.sleep(1.0)  # of load before anything happens; nothing is waited for
        event = strike()
    seen = [analyse(load.answers(client), event, REGION) for load in loads for client in CLIENTS]
    assert all(each.asked > RATE for each in seen)
    return seen


def assert_clean(seen: Sequence[Failover]) -> None:
    for each in seen:
        assert each.unanswered == 0, each
        assert each.failed <= RESETS_MAX, each


def assert_bounded(seen: Sequence[Failover]) -> None:
    """Rate times window; somebody answers after it."""
    for each in seen:
        assert each.failed <= RATE * WINDOW_S_MAX, each
        assert each.window_s <= WINDOW_S_MAX, each
        assert each.now, each


def assert_gone(net: AnycastNet) -> None:
    """No router has a way to the node."""
    for prefix in map(str, net.internet.prefixes):
        net.lab.wait_announced(ROUTER, NODE, prefix, lambda seen: seen is None)
        for router in net.internet.routers:
            assert NODE not in net.lab.route(router, prefix)


@contextmanager
def unmoved(stage: Stage) -> Iterator[None]:
    """No router anywhere changes its route of any prefix."""
    prefixes = list(map(str, stage.net.internet.prefixes))
    nodes = stage.net.fleet.nodes.values()
    marks = [node.mark() for node in nodes]
    with ExitStack() as stack:
        watches = [
            stack.enter_context(RouteWatch(stage.net.lab, router, prefixes)) for router in stage.net.internet.routers
        ]
        yield
    moved = [change for watch in watches for prefix in prefixes for change in watch.changes(prefix)]
    why = [event for node, mark in zip(nodes, marks, strict=True) for event in node.events[mark:]]
    said = [event for event in why if str(event.get("event")).startswith(("anycast", "bgp"))]
    assert not moved, "\n".join(map(str, [*moved, *said]))


@contextmanager
def ended(*pids: int) -> Iterator[None]:
    """These processes end."""
    handles = [os.pidfd_open(pid) for pid in pids]
    try:
        yield
        for handle in handles:
            assert select.select([handle], [], [], WAIT_S)[0], "a process is left over"
    finally:
        for handle in handles:
            os.close(handle)


@contextmanager
def ending(stage: Stage) -> Iterator[None]:
    """The node and all of its processes end."""
    with ended(stage.supervisor, *descendants(stage.supervisor)):
        yield
