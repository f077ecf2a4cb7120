"""Asking each worker, on each anycast address, as a client would: a connection, a request, a guest's answer.

    run ── every 500 ms, 100 ms while an answer or a worker is missing ── round ──> observed(Round)
                                                                            └─────> hung(worker)
    round: each worker at each target ── a source port that leads to it ── visit ── its own 200 ──> Probe
                                                 └── none known: search, from any ports

Rounds may overlap: one that waits for a worker does not hold up the next. A round that ends after a later one is
forgotten.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence

import trio

from edged.anycast.probe import Probe, Round, Target
from edged.anycast.silence import Silence
from edged.anycast.source_ports import SourcePorts
from edged.anycast.visit import PortTaken, Refused, visit
from edged.limits import (
    CANARY_FAST_INTERVAL_S,
    CANARY_INTERVAL_S,
    CANARY_SEARCH_EXTRA_COUNT,
    CANARY_SEARCH_PER_WORKER,
    CANARY_SEARCH_S_MAX,
    CANARY_SEARCH_TASK_COUNT,
    CANARY_TIMEOUT_S,
)

_UNANSWERED = f"no answer within {CANARY_TIMEOUT_S * 1000:.0f} ms"
_VISITS_MAX = 3  # of one probe: where a port leads to another worker now, or is taken


class _Search:
    """One that is under way."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.unanswered = 0

    @property
    def is_stuck(self) -> bool:
        return self.unanswered > 0


class Prober:
    """See the module.

    Args:
        targets: where to ask.
        count: of workers, numbered from 0.
        listening: pids of the workers that accept connections, by number.
        observed: told each round; must not wait.
        hung: told of a worker that is to be cut off and ended, as by `edged.node.workers.WorkerPool.cut`.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        count: int,
        *,
        listening: Callable[[], Mapping[int, int]],
        observed: Callable[[Round], None],
        hung: Callable[[int], None],
    ) -> None:
        self._targets = tuple(targets)
        self._count = count
        self._listening = listening
        self._observed = observed
        self._hung = hung
        self._ports = SourcePorts()
        self._searches: dict[Target, _Search] = {}
        self._silence = Silence()
        self._pids: Mapping[int, int] = {}
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # it is ourselves that we ask
        self._begun = self._ended = 0
        """Numbers of the last round that began, and of the last that was told."""
        self._pending = 0
        self._missing = False
        """Something was not as it should be in the last round."""

    async def run(self) -> None:
        """Ask until cancelled."""
        async with trio.open_nursery() as rounds:
            due = trio.current_time()
            while True:
                now = trio.current_time()
                self._begun += 1
                rounds.start_soon(self._round, self._begun, now - due)
                due = now + CANARY_FAST_INTERVAL_S
                await trio.sleep_until(due)
                # A worker that has ended, or begun, is no news to wait for: then the next round is due at once.
                while self._is_well and due < now + CANARY_INTERVAL_S:
                    due = min(due + CANARY_FAST_INTERVAL_S, now + CANARY_INTERVAL_S)
                    await trio.sleep_until(due)

    @property
    def _is_well(self) -> bool:
        return not self._pending and not self._missing and self._listening() == self._pids

    async def _round(self, number: int, lag_s: float) -> None:
        pids = self._listening()
        if pids != self._pids:
            self._pids = dict(pids)
            self._ports.clear()  # the kernel deals connections out anew
        deadline = trio.current_time() + CANARY_TIMEOUT_S
        probes: list[Probe] = []

        async def ask(target: Target, worker: int) -> None:
            probes.append(await self._ask(target, worker, deadline))

        self._pending += 1
        async with trio.open_nursery() as nursery:
            for target in self._targets:
                for worker in range(self._count):
                    if worker in pids:
                        nursery.start_soon(ask, target, worker)
                    else:
                        probes.append(Probe(worker, target, False, 0.0, "it accepts no connections"))
        self._pending -= 1
        if number < self._ended:
            return
        self._ended = number
        now = trio.current_time()
        round_ = Round(tuple(sorted(probes, key=self._rank)), max(lag_s, now - deadline))
        self._missing = not all(probe.ok for probe in probes)
        for worker in self._silence.hung(round_, pids, now):
            self._hung(worker)
        self._observed(round_)

    def _rank(self, probe: Probe) -> tuple[int, int]:
        return self._targets.index(probe.target), probe.worker

    async def _ask(self, target: Target, worker: int, deadline: float) -> Probe:
        began = trio.current_time()

        def result(why: str = "", *, silent: bool = False) -> Probe:
            return Probe(worker, target, not why, trio.current_time() - began, why, silent)

        with trio.CancelScope(deadline=deadline):
            for _ in range(_VISITS_MAX):
                if self._ports.unknown(target, [worker]):
                    stuck = await self._search(target)
                    if self._ports.unknown(target, [worker]):
                        return result("no connection leads to it", silent=stuck)
                port = self._ports.take(target, worker)
                if port is None:
                    await trio.sleep_forever()  # all of them wait for an answer already
                    raise AssertionError("unreachable")
                try:
                    answer = await visit(target, worker, port, self._tls)
                except PortTaken:
                    self._ports.lost(target, port)
                    continue
                except Refused as refusal:
                    return result(str(refusal))
                finally:
                    self._ports.give_back(target, port)
                if answer.worker in (worker, None):
                    return result(answer.why)
                self._ports.learned(target, answer.worker, port)
            return result("its connections lead to others")
        return result(_UNANSWERED, silent=True)

    async def _search(self, target: Target) -> bool:
        """Learn ports that lead to workers. Returns whether connections were left that nobody had answered. Whoever
        comes while there is a search of that target has its result.
        """
        search = self._searches.get(target)
        if search is not None:
            await search.done.wait()
            return search.is_stuck
        search = self._searches[target] = _Search()
        try:
            await self._look(target, search)
        finally:
            del self._searches[target]
            search.done.set()
        return search.is_stuck

    async def _look(self, target: Target, search: _Search) -> None:
        tries = CANARY_SEARCH_PER_WORKER * len(self._pids) + CANARY_SEARCH_EXTRA_COUNT

        async def look() -> None:
            nonlocal tries
            while tries > 0 and (scarce := self._ports.scarce(target, self._pids)):
                tries -= 1
                search.unanswered += 1
                try:
                    answer = await visit(target, min(scarce), 0, self._tls)
                except Refused:
                    search.unanswered -= 1
                    return
                search.unanswered -= 1
                if answer.worker is not None:
                    self._ports.learned(target, answer.worker, answer.port)
            if not self._ports.scarce(target, self._pids):
                nursery.cancel_scope.cancel()

        with trio.move_on_after(CANARY_SEARCH_S_MAX):
            async with trio.open_nursery() as nursery:
                for _ in range(CANARY_SEARCH_TASK_COUNT):
                    nursery.start_soon(look)
