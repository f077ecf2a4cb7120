"""A fleet in this process: real records, releases and chunks behind real calls; nodes' rollouts are the test's to say.

The wire is left out: a call is parsed and allowed as on a node, and answered by the node's own handlers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from edged.errors import EdgedError, LinkError, RemoteError
from edged.event import Event
from edged.fleet.board import Board
from edged.fleet.calls import arguments
from edged.fleet.certificate import Identity, make_identity
from edged.fleet.deployment import Deployment
from edged.fleet.node_calls import NodeCalls
from edged.fleet.peer import Peer, fingerprint_of
from edged.fleet.roster import Key, Node, Region, Roster
from edged.fleet.servable import Servable
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.limits import MiB
from edged.publish.link import Client
from edged.publish.push import Package
from edged.publish.signer import Signer
from registry.chunk_store import ChunkStore
from registry.errors import RegistryError
from registry.keys import SigningKey
from registry.release import Entry, Release
from registry.release_store import ReleaseStore

NOW = 1_900_000_000


class FakeFleet:
    """Nodes `a` (eu) and `b` (us), the publisher `ada` who may deploy anything, `eve` who may deploy only `eve-*`.

    Attributes:
        nodes: by address.
        signer: of ada.
    """

    def __init__(
        self,
        folder: Path,
        regions: tuple[str, ...] = ("eu", "us"),
        *,
        now: float = NOW,
        addresses: tuple[str, ...] = ("a.example:7400", "b.example:7400", "c.example:7400"),
    ) -> None:
        self.folder = folder
        self.root = SigningKey.generate()
        self.ada = make_identity("ada", now=now)
        self.eve = make_identity("eve", now=now)
        names = "abcdefgh"[: len(regions)]
        self.identities = {name: make_identity(name, now=now) for name in names}
        self.roster = Roster(
            fleet="demo",
            epoch=1,
            version=1,
            previous="",
            domain="edged.localhost",
            regions=tuple(map(Region, regions)),
            nodes=tuple(
                Node(name, region, address, identity.certificate, "http://127.0.0.1:8080")
                for (name, identity), region, address in zip(self.identities.items(), regions, addresses, strict=False)
            ),
            keys=(
                Key("ada", self.ada.certificate, frozenset({"deploy", "read"}), ("*",)),
                Key("eve", self.eve.certificate, frozenset({"deploy"}), ("eve-*",)),
            ),
            root_keys=(self.root.public.raw,),
            threshold=1,
        )
        self.roster_envelope = self.roster.seal([self.root])
        self.nodes = {node.address: FakeNode(self, node) for node in self.roster.nodes}
        self.signer = Signer(self.ada, self.roster)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(self.nodes)

    @property
    def first(self) -> FakeNode:
        return self.nodes[self.addresses[0]]

    def connect_as(self, identity: Identity) -> Callable[[str], Any]:
        """How that party connects."""

        @asynccontextmanager
        async def connect(address: str) -> AsyncIterator[Client]:
            await trio.lowlevel.checkpoint()
            node = self.nodes.get(address)
            if node is None or node.is_down:
                raise LinkError("nobody there")
            node.connections += 1
            async with trio.open_nursery():  # as a real connection has one
                yield FakeClient(node, self._peer(identity))

        return connect

    def _peer(self, identity: Identity) -> Peer:
        key = next(key for key in self.roster.keys if key.certificate == identity.certificate)
        return Peer(key.name, "key", fingerprint_of(key.certificate), key.roles, key.apps, key.regions)

    def package(
        self, app: str = "shop", files: dict[str, bytes] | None = None, signer: Signer | None = None
    ) -> Package:
        """A release on the publisher's machine."""
        chunks = ChunkStore(self.folder / "publisher", 64 * MiB)
        entries = []
        for path, data in sorted((files or {"spin.toml": b"x" * 1000}).items()):
            file = self.folder / "file"
            file.write_bytes(data)
            entries.append(Entry(path, chunks.put_file(file)))
        release = Release(app, "1.0", tuple(entries), {})
        envelope = (signer or self.signer).sign_release(release.encode())
        return Package(app, release.digest, envelope, release.chunks(), chunks)


class FakeNode:
    """One node.

    Attributes:
        is_down: nobody answers at its address.
        lose: name of a call -> how many of them are answered before the link breaks.
        calls: names of those that were made.
        before: called with the name of a call before it is answered.
        alarms: of its status.
        rollout: what becomes of a deployment here: items of `watch`.
    """

    def __init__(self, fleet: FakeFleet, node: Node) -> None:
        folder = fleet.folder / node.name
        self.fleet = fleet
        self.node = node
        self.chunks = ChunkStore(folder, 64 * MiB)
        self.releases = ReleaseStore(folder, self.chunks)
        self.state = FleetState(RecordStore(folder / "records"), now=NOW)
        assert self.state.begin(fleet.roster_envelope, NOW).kind == "accepted"
        servable = Servable(self.releases, lambda: ())
        board = Board(node.name, lambda _name: True, 0.0)
        identity = fleet.identities[node.name]
        calls = NodeCalls(
            state=self.state,
            releases=self.releases,
            chunks=self.chunks,
            board=board,
            identity=identity,
            servable=servable,
            clock=lambda: float(NOW),
        )
        self.handlers: dict[str, Any] = {
            **calls.handlers(), "status": self._status, "watch": self._watch, "logs": self._logs
        }  # fmt: skip
        self.is_down = False
        self.connections = 0
        self.lose: dict[str, int] = {}
        self.calls: list[str] = []
        self.before: Callable[[str], None] = lambda _name: None
        self.rollout: Callable[[str, int], AsyncIterator[dict[str, object]]] = self.all_live
        self.lines: list[dict[str, object]] = []
        self.silent: set[str] = set()
        self.alarms: list[str] = []

    def head(self, app: str = "shop") -> Deployment | None:
        return self.state.deployments().get(app)

    async def all_live(self, app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        """Every region goes through all stages."""
        heads = [head for node in self.fleet.nodes.values() if (head := node.head(app)) is not None]
        head = max(heads, key=lambda head: head.sequence)  # as if it had spread
        if not head.regions:
            for node in self.fleet.roster.nodes:
                yield progress(node.region, node.name, "removed")
        for stage in ("waiting", "fetch", "verify", "compile", "probe", "live"):
            for node in self.fleet.roster.nodes:
                if node.region in head.regions:
                    yield progress(node.region, node.name, stage)
        await trio.sleep_forever()

    async def _status(self, _peer: Peer) -> dict[str, object]:
        found = status(self.fleet, self.state.deployments(), answered_by=self.node.name, silent=self.silent)
        return found | {"alarms": list(self.alarms)}

    def _watch(self, _peer: Peer, app: str, sequence: int) -> AsyncIterator[dict[str, object]]:
        return self.rollout(app, sequence)

    async def _logs(self, _peer: Peer, app: str, tail: int, follow: bool) -> AsyncIterator[dict[str, object]]:
        for line in self.lines[-tail:] if tail else []:
            yield line
        if follow:
            await trio.sleep_forever()


class FakeClient:
    """A connection of one party to one node."""

    def __init__(self, node: FakeNode, peer: Peer) -> None:
        self._node = node
        self._peer = peer
        self._is_lost = False

    async def call(self, name: str, /, *, timeout_s: float = 30.0, **args: Any) -> Any:
        await trio.lowlevel.checkpoint()
        with _remote():
            return await self._handler(name, args)

    async def stream(self, name: str, /, **args: Any) -> Any:
        with _remote():
            items = self._handler(name, args)
        async with aclosing(items):
            async for item in items:
                self._check(name)
                yield item

    def _handler(self, name: str, args: dict[str, Any]) -> Any:
        self._check(name)
        self._node.calls.append(name)
        self._node.before(name)
        return self._node.handlers[name](self._peer, **arguments(self._peer, name, args))

    def _check(self, name: str) -> None:
        left = self._node.lose.get(name)
        if left is not None:
            self._node.lose[name] = left - 1
            self._is_lost = self._is_lost or left <= 0
        if self._is_lost or self._node.is_down:
            raise LinkError("the link broke")


class _remote:
    """Errors as they come over the wire."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (EdgedError, RegistryError)) and not isinstance(error, LinkError):
            raise RemoteError(error.message, remedy=error.remedy, code=error.code) from None


def progress(region: str, node: str, stage: str, **more: object) -> dict[str, object]:
    """An item of `watch`."""
    return {
        "region": region,
        "node": node,
        "stage": stage,
        "bytes_done": 0,
        "bytes_total": 0,
        "bytes_saved": 0,
        "error_code": "",
        "error": "",
        "sequence": 1,
    } | more


def status(
    fleet: FakeFleet, deployments: Any = (), *, answered_by: str = "a", silent: set[str] | frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The answer to `status` of a fleet in which all is well."""
    nodes = fleet.roster.nodes
    state = {node.name: "silent" if node.name in silent else "up" for node in nodes}
    return {
        "format": 1,
        "time": float(NOW),
        "answered_by": answered_by,
        "fleet": {
            "name": "demo",
            "domain": "edged.localhost",
            "epoch": 1,
            "roster_version": 1,
            "prefixes": [],
            "keys": [{"name": "ada", "roles": ["deploy", "read"], "certificate_days": 360.5}],
        },
        "regions": [
            {
                "name": region.name,
                "nodes_up": sum(state[node.name] == "up" for node in nodes if node.region == region.name),
                "nodes_total": sum(node.region == region.name for node in nodes),
                "requests_s": 12.5,
                "p50_ms": 2.0,
                "p99_ms": 15.0,
            }
            for region in fleet.roster.regions
        ],
        "nodes": [
            {
                "name": node.name,
                "region": node.region,
                "address": node.address,
                "url": node.url,
                "state": state[node.name],
                "since": float(NOW - 3600),
                "heard_s": 200.0 if node.name in silent else 1.0,
                "hearsay": False,
                "version": "0.1.0",
                "roster_version": 1,
                "in_sync": True,
                "workers_ready": 4,
                "workers_total": 4,
                "requests_s": 12.5,
                "p50_ms": 2.0,
                "p99_ms": 15.0,
                "certificate_days": 350.2,
                "disk_free_bytes": 50 * 1024**3,
                "disk_used_bytes": 10 * MiB,
                "alarms": [],
            }
            for node in nodes
        ],
        "apps": [
            {
                "name": app,
                "epoch": deployment.epoch,
                "sequence": deployment.sequence,
                "issued": deployment.issued,
                "message": deployment.message,
                "hosts": list(deployment.hosts),
                "state": "live",
                "regions": dict(deployment.regions),
                "nodes": [
                    {
                        "node": node.name,
                        "region": node.region,
                        "state": state[node.name],
                        "desired": deployment.sequence,
                        "running": deployment.sequence,
                        "release": deployment.regions[node.region],
                        "stage": "live",
                        "error_code": "",
                        "error_message": "",
                        "since": float(NOW),
                        "requests": 1000,
                        "failures": 0,
                    }
                    for node in nodes
                    if node.region in deployment.regions
                ],
            }
            for app, deployment in sorted(dict(deployments).items())
            if deployment.regions
        ],
        "alarms": [],
    }


class Shown(list[Event]):
    """Events, in order."""

    def kinds(self) -> list[str]:
        """Names, without the same twice in a row."""
        names = [event.name for event in self]
        return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]

    def last(self, kind: type[Event]) -> Any:
        return [event for event in self if isinstance(event, kind)][-1]
