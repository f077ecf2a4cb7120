"""A node with [bgp] as its router sees it: real `edged node` processes, a router in Python, all on loopback. No root.

Anycast addresses are below 127.0.0.0/8, all of which are this machine's. What the router heard is waited for, and how
long anything took is asked of nobody.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from edged.limits import ANYCAST_PREPEND_COUNT
from tests.bgp import sink
from tests.fleets import WAIT_S, Done, Event, Fleet, FleetNode, Loopback, descendants, made, set_prefixes

ASN, ROUTER_ASN = 65200, 65101
GRACEFUL_SHUTDOWN = (65535, 0)
CEASE_SHUTDOWN = (6, 2)


@dataclass(frozen=True, slots=True)
class Announcing:
    """A fleet of one node, and its router."""

    fleet: Fleet
    node: FleetNode
    router: sink.Router
    prefix: str

    async def run(self, *arguments: str, check: bool = True) -> Done:
        return await trio.to_thread.run_sync(partial(self.fleet.run, *arguments, check=check))

    async def said(self, event: str, *, since: int = 0, **fields: object) -> Event:
        """Waits until the node has logged it."""

        def wanted(one: Event) -> bool:
            return one.get("event") == event and all(one.get(name) == value for name, value in fields.items())

        return await trio.to_thread.run_sync(partial(self.node.wait_for, wanted, since=since))

    def speaker(self) -> int:
        """Pid of the child that speaks BGP."""
        started = [one["pid"] for one in self.node.events if one.get("event") == "bgp.child-started"]
        return int(started[-1])


@asynccontextmanager
async def announcing(
    folder: Path, *, drain: str = "shift_s = 0.5\nlinger_s = 0.5\n", workers: int = 1
) -> AsyncIterator[Announcing]:
    place = Loopback()
    address = place.address("vip")
    prefix = f"{address}/32"
    async with sink.listening(ROUTER_ASN, hold_s=30) as router:
        bgp = (
            f"[bgp]\nasn = {ASN}\n"
            f'[[bgp.peer]]\naddress = "127.0.0.1"\nport = {router.port}\nasn = {ROUTER_ASN}\n'
            f'local_address = "{place.address("n1")}"\n[bgp.drain]\n{drain}'
        )
        making = made(
            folder, place, {"n1": "eu"}, workers=workers, config=bgp, listen=[f"{address}:8080"], prefixes=[prefix]
        )
        fleet = await trio.to_thread.run_sync(making.__enter__)
        try:
            with trio.fail_after(WAIT_S):
                yield Announcing(fleet, fleet["n1"], router, prefix)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(making.__exit__, None, None, None)


async def test_drain_undrain_and_stop(tmp_path: Path) -> None:
    async with announcing(tmp_path) as one:
        session = await one.router.session()
        plain = await session.update(announces=one.prefix)
        assert plain.as_path == (ASN,)
        assert GRACEFUL_SHUTDOWN not in plain.communities

        mark = len(session.got)
        done = await one.run("drain", "--json")
        assert (done.last["step"], done.last["withdrawal_proven"]) == ("drained", True)
        assert {each["step"] for each in done.events} >= {"shifting", "drained"}
        shunned = await session.update(announces=one.prefix, after=mark)
        assert shunned.as_path == (ASN,) * (1 + ANYCAST_PREPEND_COUNT)
        assert GRACEFUL_SHUTDOWN in shunned.communities
        await session.update(withdraws=one.prefix, after=session.got.index(shunned))
        assert not session.over

        # Over a restart as well; who stops is not waited for, since nobody is sent there.
        mark = one.node.mark()
        assert await trio.to_thread.run_sync(one.node.stop) == 0
        last = await session.ended()
        assert last is not None
        assert (last.code, last.subcode) == CEASE_SHUTDOWN
        await trio.to_thread.run_sync(one.node.start)
        again = await one.router.session(1)
        await one.said("anycast.prefix", since=mark, state="drained")
        assert again.announced == {}

        back = await one.run("undrain", "--json")
        assert back.last["prefixes"][0]["level"] == "plain"
        await again.update(announces=one.prefix)
        assert not (one.node.state / "drained").exists()

        mark = len(again.got)
        assert await trio.to_thread.run_sync(one.node.stop) == 0
        shunned = await again.update(announces=one.prefix, after=mark)
        assert GRACEFUL_SHUTDOWN in shunned.communities
        await again.update(withdraws=one.prefix, after=again.got.index(shunned))
        last = await again.ended()
        assert last is not None
        assert (last.code, last.subcode) == CEASE_SHUTDOWN


async def test_the_speaker_is_killed_then_the_node(tmp_path: Path) -> None:
    """A new speaker says what the old one did. Without its node a speaker takes leave, and nothing is left running."""
    async with announcing(tmp_path) as one:
        first = await one.router.session()
        await first.update(announces=one.prefix)
        os.kill(one.speaker(), signal.SIGKILL)
        await first.ended()
        second = await one.router.session(1)
        assert (await second.update(announces=one.prefix)).as_path == (ASN,)

        process = one.node.process
        assert process is not None
        children = descendants(process.pid)
        assert one.speaker() in children
        handles = [os.pidfd_open(pid) for pid in children]
        process.kill()
        last = await second.ended()
        assert last is not None
        assert (last.code, last.subcode) == CEASE_SHUTDOWN
        for ended in handles:
            await trio.lowlevel.wait_readable(ended)
            os.close(ended)


async def test_a_signal_cuts_a_drain_short(tmp_path: Path) -> None:
    async with announcing(tmp_path, drain="shift_s = 60\nlinger_s = 60\n") as one:
        session = await one.router.session()
        await session.update(announces=one.prefix)
        process = one.node.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        await one.said("anycast.drain", step="shifting")
        process.send_signal(signal.SIGTERM)
        await one.said("anycast.drain", step="cut short")
        last = await session.ended()
        assert last is not None
        assert (last.code, last.subcode) == CEASE_SHUTDOWN
        assert await trio.to_thread.run_sync(process.wait) == 0


async def test_rosters_add_and_take_away(tmp_path: Path) -> None:
    """One more prefix is announced; a roster that takes all away by mistake changes nothing, and is an alarm; one that
    says how many may go withdraws them."""
    async with announcing(tmp_path) as one:
        session = await one.router.session()
        await session.update(announces=one.prefix)
        mark = one.node.mark()
        await sign(one, [])
        await one.said("anycast.alarm", since=mark, subject="roster")
        assert list(session.announced) == [one.prefix]

        await sign(one, [], "allow_removal = 1\n")
        await session.table(lambda table: not table)


async def sign(one: Announcing, prefixes: list[str], more: str = "") -> None:
    """Publish a roster with these prefixes: the node reads the operator's file at its own pace, so it is told."""
    file = one.fleet.operator / "fleet.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("allow_removal")]
    file.write_text("\n".join(lines) + "\n")
    set_prefixes(file, prefixes, more=more)
    await one.run("fleet", "sign", "-C", str(one.fleet.operator), "--yes")
    await one.run("fleet", "publish", "-C", str(one.fleet.operator))
