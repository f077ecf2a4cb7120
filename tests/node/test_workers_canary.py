"""Real workers with a canary: whom it answers, and when; a worker that hangs; clients that are to go elsewhere."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio

from edged.anycast.probe import Round, Target
from edged.anycast.prober import Prober
from edged.http.canary import canary_host
from edged.node.log_tail import LogTail
from edged.node.pool_event import WorkerCrashed
from edged.node.sockets import Addresses
from edged.node.workers import WorkerPool
from edged.worker.table import Settings, Site
from tests.node.checkouts import checkout, site

_LONGEST_S = 120.0  # a test that waits for longer hangs; nothing is measured with it
_HOST = "127.0.0.1"
_HERE = [ip_address(_HOST)]
_HOGS = 8


class Pool:
    """A pool and a prober of it, and what the prober says."""

    def __init__(self, cache: Path, count: int, *, canary: bool = True) -> None:
        self.count = count
        self.crashes: list[WorkerCrashed] = []
        self.rounds: list[Round] = []
        self.hung: list[int] = []
        self._news = trio.Event()
        self.workers = WorkerPool(
            Settings(0, str(cache), canary=canary),
            count,
            Addresses(plain=[(_HOST, 0)]),
            LogTail(),
            emit=lambda event: self.crashes.append(event) if isinstance(event, WorkerCrashed) else None,
            pass_on=lambda line: None,
        )
        self.target = Target(ip_address(_HOST), self.workers.plain[0][1])
        self.prober = Prober(
            [self.target], count, listening=self.workers.listening, observed=self._observed, hung=self._hung
        )

    async def serve(self, *sites: Site) -> None:
        self.workers.set(sites)
        with trio.fail_after(_LONGEST_S):
            await self.workers.wait_until(lambda pool: len(pool.listening()) == self.count)
            await self.workers.wait_until(
                lambda pool: all(each.serving == self.count for each in pool.sites().values())
            )

    async def next(self, count: int = 1) -> Round:
        wanted = len(self.rounds) + count
        with trio.fail_after(_LONGEST_S):
            while len(self.rounds) < wanted:
                await self._news.wait()
        return self.rounds[-1]

    async def get(self, host: str, stream: trio.SocketStream | None = None) -> bytes:
        """An answer; the connection ends with it unless it is given."""
        if stream is not None:
            await stream.send_all(f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            return bytes(await stream.receive_some())
        with trio.fail_after(_LONGEST_S):
            async with await trio.open_tcp_stream(*self.workers.plain[0]) as own:
                await own.send_all(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
                return b"".join([data async for data in own])

    def signal(self, worker: int, number: signal.Signals) -> None:
        pid = self.workers.pids()[worker]
        assert pid is not None
        os.kill(pid, number)

    def _hung(self, worker: int) -> None:
        self.hung.append(worker)
        self.workers.cut(worker)

    def _observed(self, round_: Round) -> None:
        self.rounds.append(round_)
        self._news.set()
        self._news = trio.Event()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("cache")
    return folder


@asynccontextmanager
async def running(pool: Pool, sites: Sequence[Site], *, probing: bool = True) -> AsyncIterator[Pool]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.workers.run)
        await pool.serve(*sites)
        async with trio.open_nursery() as asking:
            if probing:
                asking.start_soon(pool.prober.run)
            yield pool
            asking.cancel_scope.cancel()
        pool.workers.stop()


def everything(tmp_path: Path, guest: str = "hello") -> Site:
    """An app that answers for all hosts there are."""
    return site(checkout(tmp_path / guest, guest), "shop", hosts=("*",))


async def test_each_worker_answers_beside_an_app_that_has_every_host(cache: Path, tmp_path: Path) -> None:
    async with running(Pool(cache, 2), [everything(tmp_path)]) as pool:
        found = await pool.next(3)
        assert (found.serving(_HERE), found.detail(_HERE)) == ("all", "")
        assert (await pool.get("any.test")).endswith(b"hello")
        await pool.workers.wait_until(lambda workers: workers.traffic()["shop"].served == 1)
        assert pool.workers.traffic()["shop"].served == 1, "what the canary answers is nobody's traffic"


async def test_another_workers_canary_is_not_here(cache: Path) -> None:
    async with running(Pool(cache, 1), [], probing=False) as pool:
        assert re.fullmatch(rb"HTTP/1.1 200 OK\r\n.*\r\n\r\nok", await pool.get(canary_host(0)), re.DOTALL)
        said = await pool.get(canary_host(1))
        assert said.startswith(b"HTTP/1.1 421")
        assert b"\r\nedged-worker: 0\r\n" in said


async def test_without_the_canary_its_host_is_one_like_any(cache: Path, tmp_path: Path) -> None:
    async with running(Pool(cache, 1, canary=False), [replace(everything(tmp_path), hosts=("a.test",))]) as pool:
        assert (await pool.get(canary_host(0))).startswith(b"HTTP/1.1 421")
        assert (await pool.next()).serving(_HERE) == "none"
        await pool.serve(replace(everything(tmp_path / "again"), key="shop@1.2"))
        assert (await pool.get(canary_host(0))).endswith(b"hello")


async def test_guests_that_compute_without_end_do_not_look_like_a_worker_that_hangs(
    cache: Path, tmp_path: Path
) -> None:
    loop = replace(everything(tmp_path, "loop"), limits={"cpu_s_max": 1000.0})
    async with running(Pool(cache, 2), [loop], probing=False) as pool, trio.open_nursery() as nursery:
        for _ in range(_HOGS):
            nursery.start_soon(pool.get, "any.test")
        await pool.workers.wait_until(lambda workers: workers.statistics().requests_active == _HOGS)
        nursery.start_soon(pool.prober.run)
        await pool.next()
        for _ in range(8):
            await pool.next()
        answered = [round_.serving(_HERE) for round_ in pool.rounds]
        assert answered.count("none") == 0
        assert pool.hung == []
        assert pool.workers.statistics().requests_active == _HOGS
        nursery.cancel_scope.cancel()
        for worker in range(pool.count):
            pool.signal(worker, signal.SIGKILL)  # or they have time to end what they began


async def test_a_worker_that_hangs_is_cut_off_and_the_others_serve_on(cache: Path, tmp_path: Path) -> None:
    async with running(Pool(cache, 2), [everything(tmp_path)]) as pool:
        await pool.next(2)
        before = len(pool.rounds)
        pool.signal(1, signal.SIGSTOP)
        while not pool.hung:
            await pool.next()
        for _ in range(20):  # the kernel gives none of them to the one that is gone
            assert (await pool.get("any.test")).endswith(b"hello")
        with trio.fail_after(_LONGEST_S):
            await pool.workers.wait_until(lambda workers: workers.statistics().restarts == 1)
            await pool.workers.wait_until(lambda workers: len(workers.listening()) == 2)
        while (await pool.next()).serving(_HERE) != "all":
            pass
        assert pool.hung == [1]
        assert [(crash.worker, crash.reason) for crash in pool.crashes] == [(1, "signal SIGKILL")]
        assert {round_.serving(_HERE) for round_ in pool.rounds[before:]} == {"all", "some"}


async def test_the_only_worker_is_ended_and_what_waits_for_it_is_its_successors(cache: Path, tmp_path: Path) -> None:
    async with running(Pool(cache, 1), [everything(tmp_path)]) as pool:
        await pool.next(2)
        pool.signal(0, signal.SIGSTOP)
        said: list[bytes] = []

        async def wait_for_one() -> None:
            said.append(await pool.get("any.test"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_one)
        assert pool.hung == [0]
        assert said[0].endswith(b"hello")
        while (await pool.next()).serving(_HERE) != "all":
            pass


async def test_clients_are_to_go_elsewhere(cache: Path, tmp_path: Path) -> None:
    async with running(Pool(cache, 2), [everything(tmp_path)], probing=False) as pool, trio.open_nursery() as nursery:
        kept = [await trio.open_tcp_stream(*pool.workers.plain[0]) for _ in range(4)]
        for stream in kept:
            assert b"connection: close" not in await pool.get("any.test", stream)
        await pool.workers.wait_until(lambda workers: workers.statistics().connections_open == 4)
        pool.workers.set_closing(True)
        with trio.fail_after(_LONGEST_S):
            for stream in kept:
                assert await stream.receive_some() == b""
                await stream.aclose()
            await pool.workers.wait_until(lambda workers: workers.statistics().connections_open == 0)
        async with await trio.open_tcp_stream(*pool.workers.plain[0]) as stream:
            assert b"connection: close" in await pool.get("any.test", stream)
        nursery.start_soon(pool.prober.run)
        assert (await pool.next()).serving(_HERE) == "all", "whoever leaves still serves"
        nursery.cancel_scope.cancel()
        pool.workers.set_closing(False)
        await pool.serve(replace(everything(tmp_path / "again"), key="shop@1.2"))
        async with await trio.open_tcp_stream(*pool.workers.plain[0]) as stream:
            for _ in range(2):
                assert b"connection: close" not in await pool.get("any.test", stream)
