"""Workers in this process, as a prober sees them: listeners that share a port, each with a handler of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import trio

from edged.anycast.probe import Round, Target
from edged.anycast.prober import Prober
from edged.http.canary import CANARY_BODY, WORKER_HEADER, canary_host, is_canary
from edged.http.exchange import Exchange
from edged.http.listener import Listener, ListenOptions
from edged.http.tls import TlsFiles

HOST = "127.0.0.1"


class FakeWorker:
    """One worker: answers as a canary does, or as a test says.

    Attributes:
        status, body: of its own canary's answer.
        asked: how many requests it had.
        hangs: it answers nothing.
    """

    def __init__(self, number: int, port: int, tls: TlsFiles | None) -> None:
        self.number = number
        self.status, self.body = 200, CANARY_BODY
        self.asked = 0
        self.hangs = False
        self.listener = Listener(self._handle, ListenOptions(HOST, port, reuse_port=True, tls=tls))
        self.pid = 100 + number

    async def _handle(self, exchange: Exchange) -> None:
        self.asked += 1
        if self.hangs:
            await trio.sleep_forever()
        host = exchange.request.authority
        assert is_canary(host)
        if host == canary_host(self.number):
            exchange.respond(self.status, [])
            exchange.write(self.body)
        else:
            exchange.respond(421, [(WORKER_HEADER.encode(), b"%d" % self.number)])
        await exchange.finish()


class Group:
    """Workers on one port, a prober of them, and what it says."""

    def __init__(self, count: int, nursery: trio.Nursery, tls: TlsFiles | None) -> None:
        self._nursery = nursery
        self._tls = tls
        self._scopes: dict[int, trio.CancelScope] = {}
        self.workers: dict[int, FakeWorker] = {}
        self._port = 0
        for number in range(count):
            self.start(number)
        self.target = Target(ip_address(HOST), self._port, tls is not None)
        self.rounds: list[Round] = []
        self.hung: list[int] = []
        self._news = trio.Event()
        self.prober = Prober([self.target], count, listening=self.pids, observed=self._observed, hung=self.hung.append)

    def start(self, number: int) -> None:
        """A worker, or its successor, begins to accept."""
        worker = FakeWorker(number, self._port, self._tls)
        self._port = worker.listener.addresses[0][1]
        if number in self.workers:
            worker.pid = self.workers[number].pid + 1000
        self.workers[number] = worker
        scope = self._scopes[number] = trio.CancelScope()
        self._nursery.start_soon(self._run, worker, scope)

    def end(self, number: int) -> None:
        """It is gone, and its socket with it."""
        self._scopes.pop(number).cancel()

    def pids(self) -> dict[int, int]:
        return {number: self.workers[number].pid for number in self._scopes}

    async def next(self, count: int = 1) -> Round:
        """So many rounds later."""
        wanted = len(self.rounds) + count
        while len(self.rounds) < wanted:
            await self._news.wait()
        return self.rounds[-1]

    async def _run(self, worker: FakeWorker, scope: trio.CancelScope) -> None:
        with scope:
            await worker.listener.run()

    def _observed(self, round_: Round) -> None:
        self.rounds.append(round_)
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def group(count: int, tls: TlsFiles | None = None) -> AsyncIterator[Group]:
    async with trio.open_nursery() as nursery:
        made = Group(count, nursery, tls)
        nursery.start_soon(made.prober.run)
        yield made
        nursery.cancel_scope.cancel()
