"""Parties of a fleet, and links between them, for tests."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from edged.errors import RequestInvalid
from edged.fleet.certificate import Identity, make_identity
from edged.fleet.link import Dispatch, Link, refuse_all
from edged.fleet.peer import Anchors, Kind, Peer
from edged.fleet.server import Server, serve
from edged.fleet.session import Hello

HELLO = Hello("test", 1, 1, "me", "0.1")


def identity(name: str) -> Identity:
    return make_identity(name, now=time.time())


def peer_of(who: Identity, kind: Kind = "node", **more: Any) -> Peer:
    return Peer(who.name, kind, who.fingerprint, **more)


def anchors_of(*parties: tuple[Identity, Peer]) -> Anchors:
    return Anchors((who.certificate, peer) for who, peer in parties)


def nodes(*parties: Identity) -> Anchors:
    return anchors_of(*((who, peer_of(who)) for who in parties))


def table(**handlers: Callable[..., Any]) -> Dispatch:
    """A dispatch from functions of (peer, args)."""

    async def dispatch(peer: Peer, call: str, args: dict[str, Any]) -> Any:
        if call not in handlers:
            raise RequestInvalid(f"{call!r} is not answered here")
        result = handlers[call](peer, args)
        return await result if hasattr(result, "__await__") else result

    return dispatch


@asynccontextmanager
async def linked(
    ours: Dispatch = refuse_all, theirs: Dispatch = refuse_all, *, hello: Hello = HELLO
) -> AsyncIterator[tuple[Link, Link]]:
    """Both ends of a link in memory: `ours` answers at the first, `theirs` at the second."""
    one, other = memory_stream_pair()
    left = Link(one, HELLO, Peer("right", "node", "sha256:r"), ours)
    right = Link(other, hello, Peer("left", "node", "sha256:l"), theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.run)
        await nursery.start(right.run)
        yield left, right
        nursery.cancel_scope.cancel()


@dataclass
class Served:
    """A node that listens on loopback.

    Attributes:
        anchors: whom it trusts; may be replaced, with `server.refresh`.
    """

    who: Identity
    address: str
    server: Server
    anchors: Anchors


@asynccontextmanager
async def serving(
    who: Identity, anchors: Anchors, dispatch: Dispatch = refuse_all, *, hello: Hello = HELLO
) -> AsyncIterator[Served]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        served = Served(who, f"127.0.0.1:{port}", None, anchors)  # type: ignore[arg-type]
        served.server = await nursery.start(serve, listeners, who, lambda: served.anchors, lambda: hello, dispatch)
        yield served
        nursery.cancel_scope.cancel()


async def settle() -> None:
    """Until every task waits for time to pass, and no thread is at work for one: a clock may then be moved."""
    while True:
        await wait_all_tasks_blocked()
        root = trio.lowlevel.current_root_task()
        assert root is not None
        if not any(map(_waits_for_thread, _below(root))):
            return
        await trio.lowlevel.checkpoint()


def _below(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    """All tasks of a run."""
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _below(child)


def _waits_for_thread(task: trio.lowlevel.Task) -> bool:
    """Whatever limiter it has: those of our own are not to be found otherwise."""
    code = trio.to_thread.run_sync.__code__
    return any(frame.f_code is code for frame, _ in task.iter_await_frames())


def rng() -> random.Random:
    return random.Random(4)
