"""Whole nodes as far as the wire is concerned, with real stores and records, and links between them in memory."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from trio.testing import memory_stream_pair

from edged.fleet.board import Board
from edged.fleet.calls import Dispatcher
from edged.fleet.fetch import Fetcher
from edged.fleet.gossip import Gossip
from edged.fleet.link import Dispatch, Link
from edged.fleet.node_calls import NodeCalls
from edged.fleet.peer import Peer
from edged.fleet.report import NodeReport
from edged.fleet.servable import Servable
from edged.fleet.session_event import Hello
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.fleet.view import Record
from registry.chunk_store import ChunkStore
from registry.digest import Digest
from registry.dsse import sign
from registry.release import RELEASE_TYPE, Entry, Release
from registry.release_store import ReleaseStore
from tests.fleet import kit
from tests.fleet.fakes import rng

HELLO = Hello("demo", 1, 1, "", "0.1")


class TestNode:
    """One node.

    Attributes:
        links: to others, by `link`.
    """

    __test__ = False

    def __init__(self, name: str, folder: Path, **fetching: Any) -> None:
        self.name = name
        self.identity = kit.identity(name)
        self.state = FleetState(RecordStore(folder / "records"), now=kit.NOW, accepted=self._accepted)
        self.chunks = ChunkStore(folder / "registry", 2**30)
        self.releases = ReleaseStore(folder / "registry", self.chunks)
        self.board = Board(name, self._is_node, 0.0)
        self.servable = Servable(self.releases, self._named)
        self.calls = NodeCalls(
            self.state,
            self.releases,
            self.chunks,
            self.board,
            identity=self.identity,
            servable=self.servable,
            clock=lambda: kit.NOW,
            monotonic=lambda: 0.0,
        )
        self.dispatch: Dispatch = Dispatcher(self.calls.handlers())
        self.links: list[Link] = []
        self.beat = 0
        self.gossip = Gossip(self.state, self.board, self, self.report, rng=rng(), clock=lambda: kit.NOW)
        self.fetcher = Fetcher(self, self.releases, self.chunks, self.servable, clock=lambda: kit.NOW, **fetching)

    def open(self) -> list[Link]:
        return [link for link in self.links if link.is_open]

    def report(self) -> NodeReport:
        self.beat += 1
        return NodeReport(self.name, "eu", 1, self.beat, kit.NOW)

    def begin(self) -> None:
        """Take the roster."""
        assert self.state.begin(kit.roster().seal([kit.root()]), kit.NOW).kind == "accepted"

    def add_release(self, files: Mapping[str, bytes], app: str = "shop") -> Digest:
        """A release that is here, chunks and all."""
        return self.releases.put(self.make_release(files, app))

    def make_release(self, files: Mapping[str, bytes], app: str = "shop", by: str = "operator") -> bytes:
        """Its envelope; the chunks are here."""
        blobs = self.chunks.put_files([io.BytesIO(files[path]) for path in sorted(files)])
        entries = tuple(Entry(path, blob) for path, blob in zip(sorted(files), blobs, strict=True))
        made = Release(app, "1", entries, {})
        return sign(RELEASE_TYPE, made.encode(), kit.identity(by).key).encode()

    def _is_node(self, name: str) -> bool:
        return any(node.name == name for node in self.state.nodes())

    def _named(self) -> set[Digest]:
        return {d for deployment in self.state.deployments().values() for d in deployment.regions.values()}

    def _accepted(self, record: Record) -> None:
        self.gossip.notice(record)


@asynccontextmanager
async def link(one: TestNode, other: TestNode, dispatch: Dispatch | None = None) -> AsyncIterator[Link]:
    """A link that `one` opened to `other`.

    Args:
        dispatch: answers at the other end, in place of the other node's.
    """
    ours, theirs = memory_stream_pair()
    there = Peer(other.name, "node", other.identity.fingerprint)
    here = Peer(one.name, "node", one.identity.fingerprint)
    opened = Link(ours, HELLO, there)
    answering = Link(theirs, HELLO, here, dispatch or other.dispatch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answering.run)
        await nursery.start(opened.run)
        one.links.append(opened)
        yield opened
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def client(node: TestNode, peer: Peer) -> AsyncIterator[Link]:
    """A link into a node, of a party that the test makes up."""
    ours, theirs = memory_stream_pair()
    opened = Link(ours, HELLO, Peer(node.name, "node", node.identity.fingerprint))
    answering = Link(theirs, HELLO, peer, node.dispatch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answering.run)
        await nursery.start(opened.run)
        yield opened
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def all_linked(*nodes: TestNode) -> AsyncIterator[None]:
    """Each to each other."""
    async with AsyncExitStack() as stack:
        for one in nodes:
            for other in nodes:
                if one is not other:
                    await stack.enter_async_context(link(one, other))
        yield


def key_peer(name: str) -> Peer:
    """A publisher, as the roster of `kit` has it."""
    found = next(key for key in kit.roster().keys if key.name == name)
    return Peer(name, "key", kit.identity(name).fingerprint, found.roles, found.apps, found.regions)
