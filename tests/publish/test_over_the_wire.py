"""Login and push over real TLS on loopback: certificates, the roster, frames, and whom one does not talk to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from edged.errors import EdgedError, FleetUnreachable, LinkError, LoginRefused
from edged.event import Event
from edged.fleet.calls import Dispatcher
from edged.fleet.certificate import make_identity, save_identity
from edged.fleet.server import serve
from edged.fleet.session import Hello
from edged.publish.context import Context, ContextStore
from edged.publish.deployments import Wish
from edged.publish.fleet import open_fleet
from edged.publish.interrupts import Interrupts
from edged.publish.login import from_node
from edged.publish.push import Push
from registry.keys import SigningKey
from tests.publish.fakes import FakeFleet


class Served:
    """A fleet whose one node listens on loopback."""

    def __init__(self, fleet: FakeFleet, folder: Path) -> None:
        self.fleet = fleet
        self.key = folder / "ada.key"
        save_identity(fleet.ada, self.key, folder / "ada.crt")
        self.store = ContextStore(folder / "config")

    async def login(self, **other: str) -> Context:
        asked = {"fleet": "demo", "root_key": self.fleet.root.public.id} | other
        return await from_node(self.fleet.addresses, asked["fleet"], self.key, asked["root_key"])


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
    fleet = FakeFleet(folder, ("eu",), now=time.time(), addresses=(address,))
    node = fleet.first
    async with trio.open_nursery() as nursery:
        await nursery.start(
            serve,
            [listener],
            fleet.identities["a"],
            node.state.anchors,
            lambda: Hello("demo", 1, 1, "a", "0.1.0"),
            Dispatcher(node.handlers),
        )
        yield Served(fleet, folder)
        nursery.cancel_scope.cancel()


async def test_login_then_push(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        context = await there.login()
        assert context.fleet == "demo"
        assert context.roster == there.fleet.roster_envelope
        there.store.save(context, current=True)
        shown: list[Event] = []
        async with open_fleet(there.store.load(), there.store) as fleet:
            package = there.fleet.package(files={"a": bytes(range(256)) * 10_000})
            push = Push(
                fleet.link,
                fleet.author,
                package,
                Wish(package.digest),
                show=shown.append,
                interrupts=Interrupts(),
                clock=time.time,
            )
            finished = await push.run()
        assert finished.regions == {"eu": "live"}
        head = there.fleet.first.head()
        assert head is not None
        assert there.fleet.first.releases.has(head.regions["eu"])


async def test_a_newer_roster_is_kept(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        context = await there.login()
        there.store.save(context, current=True)
        roster = there.fleet.roster
        newer = replace(roster, version=2, previous=roster.digest, domain="elsewhere.example").seal([there.fleet.root])
        assert there.fleet.first.state.accept(newer, time.time()).kind == "accepted"
        async with open_fleet(there.store.load(), there.store) as fleet:
            assert fleet.author.roster.domain == "elsewhere.example"
        assert there.store.load().roster == newer
        async with open_fleet(there.store.load(), there.store) as fleet:
            assert fleet.author.roster.version == 2


async def test_another_root_key(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        with pytest.raises(LoginRefused, match="and not the one of root key"):
            await there.login(root_key=SigningKey.generate().public.id)


async def test_another_fleet(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        with pytest.raises(EdgedError, match="fleet"):
            await there.login(fleet="other")


async def test_a_key_that_the_fleet_does_not_know(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        stranger = make_identity("stranger", now=time.time())
        there.key.unlink()
        there.key.with_suffix(".crt").unlink()
        save_identity(stranger, there.key, there.key.with_suffix(".crt"))
        with pytest.raises(LinkError, match="no node answers as one of this fleet") as refused:
            await there.login()
        assert "certificate" in refused.value.remedy


async def test_somebody_else_at_the_address(tmp_path: Path) -> None:
    """A node that the roster does not have is told nothing."""
    async with served(tmp_path) as there:
        context = await there.login()
        impostor = FakeFleet(tmp_path / "impostor", ("eu",), now=time.time(), addresses=there.fleet.addresses)
        mine = replace(context, roster=impostor.roster_envelope, root_keys=(impostor.root.public.raw.hex(),))
        there.store.save(mine, current=True)
        with pytest.raises(FleetUnreachable, match="not trusted"):
            async with open_fleet(there.store.load(), there.store):
                pass
        assert there.fleet.first.calls == []


async def test_nobody_listens(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        context = await there.login()
    there.store.save(context, current=True)
    with pytest.raises(FleetUnreachable, match="cannot be reached"):
        async with open_fleet(there.store.load(), there.store):
            pass
    with pytest.raises(LinkError):
        await there.login()
