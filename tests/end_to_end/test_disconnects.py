"""Ten thousand requests whose client goes at a random point: nothing of them stays."""

from __future__ import annotations

import os
import random
from functools import partial
from pathlib import Path

import structlog.testing
import trio

from edged import manifest
from edged.app import LoadOptions
from edged.http.listener import Listener, ListenOptions, serve
from edged.wasm.engine import PoolConfig
from edged.worker.worker import Served, Worker, open_worker
from tests.guests import wat

REQUESTS = 10_000
AT_ONCE = 40
SEED = 7

MANIFEST = """
spin_manifest_version = 2
[application]
name = "disconnects"
"""
GUESTS = ("hello", "echo", "sleep", "output")


def write_app(folder: Path) -> None:
    lines = [MANIFEST]
    for guest in GUESTS:
        (folder / f"{guest}.wat").write_text(wat.text(guest))
        lines.append(f'[[trigger.http]]\nroute = "/{guest}/..."\ncomponent = "{guest}"')
        lines.append(f'[component.{guest}]\nsource = "{guest}.wat"')
    (folder / "spin.toml").write_text("\n".join(lines))


def request(chance: random.Random) -> bytes:
    guest = chance.choice(GUESTS)
    argument = {"sleep": "/1", "output": "/200000"}.get(guest, "")
    body = bytes(chance.randrange(0, 5_000))
    head = f"POST /{guest}{argument} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def one_client(port: int, chance: random.Random) -> None:
    """Send a part of a request, read a part of the answer, and go: closed in order or reset."""
    whole = request(chance)
    part = whole if chance.random() < 0.5 else whole[: chance.randrange(len(whole) + 1)]
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    try:
        await stream.send_all(part)
        if part is whole:
            for _ in range(chance.randrange(4)):
                if not await stream.receive_some(chance.randrange(1, 5_000)):
                    break
        if chance.random() < 0.5:
            linger = b"\x01\0\0\0\0\0\0\0"  # on, 0 seconds: closing sends a reset
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)
    except trio.BrokenResourceError:
        pass  # the server may have been first: a reset answers what came after its error
    finally:
        await trio.aclose_forcefully(stream)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_ten_thousand_disconnects_leave_nothing(tmp_path: Path) -> None:
    write_app(tmp_path)
    async with open_worker(tmp_path / "cache", PoolConfig(instances=200, core_instances=2_000)) as worker:
        worker.set([Served(await worker.load(manifest.load(tmp_path), LoadOptions(sources=tmp_path / "sources")))])
        async with trio.open_nursery() as nursery:
            listener: Listener = await nursery.start(partial(serve, worker.handle, ListenOptions()))
            port = listener.addresses[0][1]
            await storm(port, AT_ONCE * 5, random.Random(SEED))
            await settled(worker, listener)
            files, tasks = open_files(), trio.lowlevel.current_statistics().tasks_living
            with structlog.testing.capture_logs():  # what goes wrong on purpose, ten thousand times
                await storm(port, REQUESTS, random.Random(SEED + 1))
            await settled(worker, listener)
            assert worker.statistics().requests_served > REQUESTS / 4, "many were whole"
            assert (open_files(), trio.lowlevel.current_statistics().tasks_living) == (files, tasks)
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 200 OK\r\n")
            await stream.aclose()
            nursery.cancel_scope.cancel()


async def storm(port: int, count: int, chance: random.Random) -> None:
    limit = trio.CapacityLimiter(AT_ONCE)

    async def client(seed: int) -> None:
        async with limit:
            await one_client(port, random.Random(seed))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(client, chance.getrandbits(32))


async def settled(worker: Worker, listener: Listener) -> None:
    """Return when every request and connection has ended; the loop turns meanwhile, and fails if they never do."""
    with trio.fail_after(60):
        while True:
            alive, seen = worker.statistics(), listener.statistics()
            if (alive.instances, alive.requests_active, seen.exchanges_active, seen.connections_open) == (0, 0, 0, 0):
                return
            await trio.lowlevel.checkpoint()
