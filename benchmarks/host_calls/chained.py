"""What a request from one component to another of its app costs, beside the same in plain Python: one ASGI app that
calls another through httpx, in the same process.

Both ways a request comes in, another one is sent and answered, and its body is passed on. What is compared is what the
second request adds to the first.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from edged import manifest
from edged.app import LoadOptions
from edged.worker.worker import Served, open_worker
from tests.guests import wat
from tests.host.fakes import FakeExchange, head

MANIFEST = """
spin_manifest_version = 2
[application]
name = "chained"
[[trigger.http]]
route = "/..."
component = "fetch"
[[trigger.http]]
route = "/direct"
component = "hello"
[component.fetch]
source = "fetch.wat"
allowed_outbound_hosts = ["http://hello.spin.internal"]
[component.hello]
source = "hello.wat"
"""
CALLS = 300

Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]
Receive = Callable[[], Awaitable[Scope]]


async def hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The called app."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def _edged(rounds: int) -> tuple[list[float], list[float]]:
    """Microseconds of a request that is passed on, and of one that is not."""
    passed, direct = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for guest in ("fetch", "hello"):
            (folder / f"{guest}.wat").write_text(wat.text(guest))
        model = manifest.parse(MANIFEST.encode(), folder / "spin.toml")
        async with open_worker(folder / "cache") as worker:
            worker.set([Served(await worker.load(model, LoadOptions(sources=folder)))])

            async def ask(target: str) -> float:
                started = perf_counter()
                for _ in range(CALLS):
                    exchange = FakeExchange(head(target=target))
                    await worker.handle(exchange)
                    assert exchange.body == b"hello", exchange.body
                return (perf_counter() - started) / CALLS * 1e6

            for _ in range(rounds):
                passed.append(await ask("/hello.spin.internal/"))
                direct.append(await ask("/direct"))
    return passed, direct


async def _plain(rounds: int) -> list[float]:
    """Microseconds of a request through httpx to an app in this process."""
    times = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(hello), base_url="http://hello") as client:
        for _ in range(rounds):
            started = perf_counter()
            for _ in range(CALLS):
                response = await client.get("/")
                assert response.content == b"hello"
            times.append((perf_counter() - started) / CALLS * 1e6)
    return times


async def measure(rounds: int) -> dict[str, Any]:
    """One row: what a chained call adds to a request, and the peer's call."""
    passed, direct = await _edged(rounds)
    plain = await _plain(rounds)
    ours = statistics.median(a - b for a, b in zip(passed, direct, strict=True))
    peer = statistics.median(plain)
    return {
        "call": "service chaining, guest to guest",
        "edged_us": round(ours, 1),
        "peer": "httpx to an ASGI app in the process",
        "peer_us": round(peer, 1),
        "ratio": round(ours / peer, 2),
    }
