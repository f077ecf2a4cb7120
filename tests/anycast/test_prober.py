"""The prober against listeners that share a port. tests/node/test_workers_canary.py has it with real workers."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme

from edged.anycast.probe import Round, Target
from edged.anycast.prober import Prober
from edged.http.tls import TlsFiles
from edged.limits import (
    CANARY_ANSWER_BYTES_MAX,
    CANARY_FAST_INTERVAL_S,
    CANARY_INTERVAL_S,
    CANARY_SILENT_COUNT,
    CANARY_TIMEOUT_S,
    HUNG_ALONE_S_MAX,
    HUNG_S_MAX,
)
from tests.anycast.listeners import HOST, group

HERE = [ip_address(HOST)]


@pytest.fixture(autouse=True)
def patient(autojump_clock: trio.testing.MockClock) -> None:
    """Packets on the loopback take none of the clock's time, and on a busy machine some real time."""
    autojump_clock.autojump_threshold = 0.02  # real seconds


@pytest.fixture
def tls_files(tmp_path: Path) -> TlsFiles:
    """For a name that is none of the canary's."""
    issued = trustme.CA().issue_cert("shop.test")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    return TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem")


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_each_worker_is_asked(autojump_clock: trio.testing.MockClock, count: int) -> None:
    async with group(count) as workers:
        for _ in range(5):
            found = await workers.next()
            assert (found.serving(HERE), found.detail(HERE)) == ("all", "")
            assert [probe.worker for probe in found.probes] == list(range(count))
        asked = [worker.asked for worker in workers.workers.values()]
        await workers.next(10)
        assert [worker.asked for worker in workers.workers.values()] == [each + 10 for each in asked], (
            "a port that led to a worker leads there again"
        )
        assert workers.hung == []


async def test_over_tls(autojump_clock: trio.testing.MockClock, tls_files: TlsFiles) -> None:
    async with group(2, tls_files) as workers:
        for _ in range(3):
            assert (await workers.next()).serving(HERE) == "all"


async def test_as_often(autojump_clock: trio.testing.MockClock) -> None:
    async with group(2) as workers:
        await workers.next()
        began = trio.current_time()
        await workers.next(4)
        assert trio.current_time() - began == pytest.approx(4 * CANARY_INTERVAL_S, abs=0.01)
        workers.workers[0].status = 500
        await workers.next(2)  # one that finds it, and one that comes sooner
        began = trio.current_time()
        await workers.next(4)
        assert trio.current_time() - began == pytest.approx(4 * CANARY_FAST_INTERVAL_S, abs=0.01)


async def test_a_worker_that_has_ended_is_no_reason_to_wait(autojump_clock: trio.testing.MockClock) -> None:
    async with group(2) as workers:
        await workers.next(3)
        workers.end(0)
        began = trio.current_time()
        assert (await workers.next()).serving(HERE) == "some"
        assert trio.current_time() - began == pytest.approx(CANARY_FAST_INTERVAL_S, abs=0.01)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, b"ok", "it answers 500: ok"),
        (200, b"ok?", "it answers 200: ok?"),
        (200, b"", "it answers 200: "),
        (200, b"x" * CANARY_ANSWER_BYTES_MAX, f"it answers 200: {'x' * 120}"),
        (200, b"x" * (CANARY_ANSWER_BYTES_MAX + 1), f"its answer has more than {CANARY_ANSWER_BYTES_MAX} bytes"),
    ],
)
async def test_another_answer(autojump_clock: trio.testing.MockClock, status: int, body: bytes, why: str) -> None:
    async with group(2) as workers:
        await workers.next()
        workers.workers[1].status, workers.workers[1].body = status, body
        found = await workers.next()
        assert [(probe.ok, probe.why, probe.silent) for probe in found.probes] == [
            (True, "", False),
            (False, why, False),
        ]
        assert found.serving(HERE) == "some"
        for worker in workers.workers.values():
            worker.status, worker.body = status, body
        assert (await workers.next()).serving(HERE) == "none"
        await workers.next(50)
        assert workers.hung == [], "whoever answers does not hang"


async def test_a_worker_that_hangs_beside_others(autojump_clock: trio.testing.MockClock) -> None:
    async with group(3) as workers:
        await workers.next(2)
        workers.workers[1].hangs = True
        began = trio.current_time()
        found = await workers.next()
        assert (found.serving(HERE), found.probes[1].silent) == ("some", True)
        assert found.probes[1].why == "no answer within 500 ms"
        first = trio.current_time()
        assert first - began <= CANARY_INTERVAL_S + CANARY_TIMEOUT_S + 0.01
        await workers.next(CANARY_SILENT_COUNT - 1)
        assert trio.current_time() - first == pytest.approx(2 * CANARY_FAST_INTERVAL_S, abs=0.01)
        while not workers.hung:
            await workers.next()
        assert trio.current_time() - began <= HUNG_S_MAX + CANARY_INTERVAL_S + 0.01
        assert workers.hung == [1]
        assert all(probe.ok for round_ in workers.rounds for probe in round_.probes if probe.worker != 1)


async def test_all_hang(autojump_clock: trio.testing.MockClock) -> None:
    async with group(2) as workers:
        await workers.next(2)
        for worker in workers.workers.values():
            worker.hangs = True
        began = trio.current_time()
        assert (await workers.next()).serving(HERE) == "none"
        while not workers.hung:
            await workers.next()
        assert HUNG_ALONE_S_MAX <= trio.current_time() - began <= HUNG_ALONE_S_MAX + CANARY_INTERVAL_S
        assert workers.hung == [0, 1]


async def test_one_that_answers_again(autojump_clock: trio.testing.MockClock) -> None:
    async with group(2) as workers:
        await workers.next(2)
        workers.workers[0].hangs = True
        assert (await workers.next()).serving(HERE) == "some"
        workers.workers[0].hangs = False
        with trio.fail_after(2 * CANARY_TIMEOUT_S):
            while (await workers.next()).serving(HERE) != "all":
                pass
        await workers.next(20)
        assert workers.hung == []


async def test_a_worker_that_does_not_accept(autojump_clock: trio.testing.MockClock) -> None:
    async with group(2) as workers:
        await workers.next()
        workers.end(1)
        found = await workers.next()
        assert found.detail(HERE).endswith("it accepts no connections")
        assert (found.serving(HERE), found.probes[0].ok) == ("some", True), "whose port moved is found again at once"
        await workers.next(100)
        assert workers.hung == []
        workers.start(1)
        assert (await workers.next()).serving(HERE) == "all"


async def test_nobody_accepts(autojump_clock: trio.testing.MockClock) -> None:
    async with group(1) as workers:
        await workers.next()
        pids = workers.pids()
        workers.end(0)
        workers.pids = lambda: pids  # type: ignore[method-assign]  # not known yet
        found = await _ask_once(workers.target, pids)
        assert [(probe.why, probe.silent) for probe in found.probes] == [("no connection leads to it", False)]
        assert found.serving(HERE) == "none"


async def test_an_address_that_this_machine_does_not_have(autojump_clock: trio.testing.MockClock) -> None:
    found = await _ask_once(Target(ip_address("203.0.113.10"), 80), {0: 100})
    assert [(probe.ok, probe.silent) for probe in found.probes] == [(False, False)]


async def test_others_found_while_one_hangs_and_none_is_known(autojump_clock: trio.testing.MockClock) -> None:
    """The sockets changed: whose connections nobody answers is told from those that could not be found."""
    async with group(3) as workers:
        await workers.next()
        workers.workers[1].hangs = True
        workers.end(0)
        workers.start(0)
        found = await workers.next()
        assert [(probe.ok, probe.silent) for probe in found.probes] == [(True, False), (False, True), (True, False)]
        while not workers.hung:
            await workers.next()
        assert workers.hung == [1]


async def test_a_loop_that_is_late_says_so(mock_clock: trio.testing.MockClock) -> None:
    """And calls nobody hung: it is the one who did not look."""
    mock_clock.rate = 0.0
    async with group(1) as workers:
        await workers.next()
        assert workers.rounds[0].lag_s == 0.0
        for _ in range(CANARY_SILENT_COUNT + 2):
            mock_clock.jump(10.0)
            await workers.next()
        assert max(round_.lag_s for round_ in workers.rounds) > 5.0
        assert workers.hung == []


async def _ask_once(target: Target, pids: dict[int, int]) -> Round:
    rounds: list[Round] = []
    async with trio.open_nursery() as nursery:

        def observed(round_: Round) -> None:
            rounds.append(round_)
            nursery.cancel_scope.cancel()

        prober = Prober([target], len(pids), listening=lambda: pids, observed=observed, hung=pids.pop)
        nursery.start_soon(prober.run)
    return rounds[0]
