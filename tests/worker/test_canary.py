"""A canary in a worker of this process. tests/node/test_workers_canary.py asks real ones."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from edged import worker as worker_package
from edged.errors import CompileFailed
from edged.http.canary import canary_host
from edged.limits import CANARY_RETRY_S
from edged.wasm.engine import PoolConfig
from edged.worker import canary
from edged.worker.canary import Canary
from edged.worker.worker import Worker, open_worker
from tests.host.fakes import FakeExchange, head

SMALL = PoolConfig(instances=10, core_instances=100, memories=50, tables=50)


def exchange(authority: str, client: str = "127.0.0.1") -> FakeExchange:
    return FakeExchange(replace(head(authority=authority), client=(client, 4711)))


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Worker, Canary]]:
    settled = trio.Event()
    async with open_worker(folder / "cache", SMALL) as worker, trio.open_nursery() as nursery:
        made = Canary(worker, 1, folder / "sources", settled.set)
        nursery.start_soon(made.run)
        await settled.wait()
        assert made.settled
        yield worker, made
        nursery.cancel_scope.cancel()


async def test_its_guest_answers_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as (worker, canary):
        before = worker.statistics()
        for _ in range(3):
            asked = exchange(canary_host(1))
            await canary.handle(asked)
            assert (asked.status, asked.body) == (200, b"ok")
        assert worker.statistics() == before
        assert (before.apps, before.requests_served) == (0, 0)


async def test_another_workers(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, canary):
        asked = exchange(canary_host(11))
        await canary.handle(asked)
        assert (asked.status, json.loads(asked.body)["code"]) == (421, "http.host-unknown")
        assert (b"edged-worker", b"1") in asked.headers


@pytest.mark.parametrize(
    ("authority", "client", "answers"),
    [
        (canary_host(1), "127.0.0.1", True),
        (canary_host(2), "::1", True),
        (canary_host(1), "203.0.113.9", False),
        ("shop.test", "127.0.0.1", False),
    ],
)
async def test_only_this_machines_own_requests(tmp_path: Path, authority: str, client: str, answers: bool) -> None:
    async with open_worker(tmp_path / "cache", SMALL) as worker:
        assert Canary(worker, 1, tmp_path, lambda: None).answers(exchange(authority, client)) is answers


async def test_before_it_is_loaded(tmp_path: Path) -> None:
    async with open_worker(tmp_path / "cache", SMALL) as worker:
        asked = exchange(canary_host(1))
        await Canary(worker, 1, tmp_path, lambda: None).handle(asked)
        assert (asked.status, json.loads(asked.body)["code"]) == (503, "node.not-ready")
        assert (b"edged-worker", b"1") in asked.headers


async def test_it_is_loaded_again_where_it_could_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_worker(tmp_path / "cache", SMALL) as worker, trio.open_nursery() as nursery:
        tried: list[float] = []

        async def load(*_arguments: object) -> None:
            tried.append(trio.current_time())
            if len(tried) == 3:
                nursery.cancel_scope.cancel()
            raise CompileFailed("the disk is full")

        monkeypatch.setattr(worker, "load", load)
        made = Canary(worker, 1, tmp_path, lambda: None)
        nursery.start_soon(made.run)
    assert [at - tried[0] for at in tried] == pytest.approx([0.0, CANARY_RETRY_S, 2 * CANARY_RETRY_S])
    assert made.settled, "a worker does not wait for it for ever"


def test_its_component_is_packaged() -> None:
    folder = Path(worker_package.__file__).parent
    assert canary._FILE.parent == folder
    assert canary._FILE.read_text().startswith(";; The canary")
