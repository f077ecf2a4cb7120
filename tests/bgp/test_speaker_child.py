"""The speaker with the real child, ExaBGP in it, and routers on loopback. Needs no root."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import trio

from bgp.announcement import GRACEFUL_SHUTDOWN, Announcement, Attributes
from bgp.peer import SpeakerConfig
from bgp.speaker import Speaker
from bgp.status import PeerStatus
from tests.bgp import sink
from tests.bgp.parent import HANG_S, ROOT, config_of, peer_of

V4 = ip_network("203.0.113.10/32")
V6 = ip_network("2001:db8:a::10/128")
OUTSIDE = ip_network("192.0.2.0/24")
PLAIN = [Announcement(V4), Announcement(V6)]


def command(descriptor: int) -> list[str]:
    return [sys.executable, "-m", "bgp.child", "--fd", str(descriptor), "--allow", str(V4), "--allow", str(V6)]


class Running:
    """A speaker that runs, and a way to wait for what it says of itself."""

    def __init__(self, config: SpeakerConfig) -> None:
        self._news = trio.Event()
        self.speaker = Speaker(config, command, changed=self._changed)

    def _changed(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._news.wait()

    async def another_child(self, pid: int | None) -> int:
        await self.until(lambda: self.speaker.pid not in (None, pid))
        assert self.speaker.pid is not None
        return self.speaker.pid

    def peer(self, number: int = 0) -> PeerStatus:
        return self.speaker.peers()[number]


@asynccontextmanager
async def running(config: SpeakerConfig) -> AsyncIterator[Running]:
    async with trio.open_nursery() as nursery:
        with trio.fail_after(HANG_S):
            it = Running(config)
            await nursery.start(it.speaker.run)
            yield it
            await it.speaker.stop()


def both(table: dict[str, sink.Update]) -> bool:
    return table.keys() == {str(V4), str(V6)}


async def test_a_set_reaches_the_router_and_is_proven_and_so_is_its_end() -> None:
    async with sink.listening() as router, running(config_of(peer_of(router))) as it:
        it.speaker.set(PLAIN)
        assert await it.speaker.wait_sent([V4, V6], HANG_S)
        session = await router.session()
        await session.table(both)
        assert it.peer().state == "established"
        assert it.peer().hold_s == 9
        assert set(it.peer().announced) == {str(V4), str(V6)}
        it.speaker.set([])
        assert await it.speaker.wait_withdrawn([V4, V6], HANG_S)
        await session.table(lambda table: not table)
        assert it.peer().announced == ()


async def test_withdrawals_are_proven_when_each_of_two_routers_was_sent_them() -> None:
    async with sink.listening() as first, sink.listening(65102) as second:
        config = config_of(peer_of(first, "a"), peer_of(second, "b", local="127.0.0.3"))
        async with running(config) as it:
            it.speaker.set(PLAIN)
            sessions = [await first.session(), await second.session()]
            for session in sessions:
                await session.table(both)
            it.speaker.set(PLAIN[1:])
            assert await it.speaker.wait_withdrawn([V4], HANG_S)
            assert it.speaker.proven(V4)
            for session in sessions:
                await session.table(lambda table: table.keys() == {str(V6)})


async def test_the_last_resort_replaces_the_plain_announcement() -> None:
    async with sink.listening() as router, running(config_of(peer_of(router))) as it:
        it.speaker.set(PLAIN)
        assert await it.speaker.wait_sent([V4], HANG_S)
        it.speaker.set([Announcement(V4, Attributes(prepend=3, communities=(GRACEFUL_SHUTDOWN,))), PLAIN[1]])
        assert await it.speaker.wait_sent([V4, V6], HANG_S)
        session = await router.session()
        await session.table(lambda table: str(V4) in table and len(table[str(V4)].as_path) == 4)
        assert session.announced[str(V4)].communities == (GRACEFUL_SHUTDOWN,)


async def test_a_child_that_was_killed_is_back_with_all_its_routes() -> None:
    async with sink.listening() as router, running(config_of(peer_of(router))) as it:
        it.speaker.set(PLAIN)
        await (await router.session()).table(both)
        pid = await it.another_child(None)
        os.kill(pid, signal.SIGKILL)
        await (await router.session()).ended()
        await (await router.session(1)).table(both)
        assert await it.another_child(pid) != pid
        await it.until(lambda: it.speaker.status().state == "running")
        assert it.speaker.status().restarts == 1
        assert it.speaker.status().error == "signal SIGKILL"
        assert it.peer().flaps == 1


async def test_a_child_that_was_stopped_is_killed_and_another_has_all_its_routes() -> None:
    async with sink.listening() as router, running(config_of(peer_of(router))) as it:
        it.speaker.set(PLAIN)
        await (await router.session()).table(both)
        os.kill(await it.another_child(None), signal.SIGSTOP)
        await (await router.session()).ended()
        await (await router.session(1)).table(both)
        assert "did not come in time" in it.speaker.status().error
        assert await it.speaker.wait_sent([V4, V6], HANG_S)


async def test_a_withdrawal_that_a_stopped_child_cannot_send_is_proven_by_its_end() -> None:
    async with sink.listening() as router, running(config_of(peer_of(router))) as it:
        it.speaker.set(PLAIN)
        session = await router.session()
        await session.table(both)
        os.kill(await it.another_child(None), signal.SIGSTOP)
        it.speaker.set([])
        assert await it.speaker.wait_withdrawn([V4, V6], HANG_S)
        await session.ended()


async def test_a_prefix_that_the_child_refuses_is_an_alarm_and_never_on_the_wire() -> None:
    async with sink.listening() as router, running(config_of(peer_of(router))) as it:
        it.speaker.set(PLAIN)
        session = await router.session()
        await session.table(both)
        it.speaker.set([*PLAIN[1:], Announcement(OUTSIDE)])
        await it.until(lambda: it.speaker.alarms() != ())
        assert "192.0.2.0/24" in it.speaker.alarms()[0]
        assert await it.speaker.wait_withdrawn([V4], HANG_S), "what is to go goes all the same"
        await session.table(lambda table: table.keys() == {str(V6)})
        it.speaker.set(PLAIN)
        await session.table(both)
        assert not any(OUTSIDE in one.announced for one in session.got if isinstance(one, sink.Update))
        await it.until(lambda: it.speaker.alarms() == ())


async def test_a_stop_says_cease_and_leaves_no_process() -> None:
    async with sink.listening() as router, running(config_of(peer_of(router))) as it:
        pid = await it.another_child(None)
        session = await router.session()
        await it.speaker.stop()
        notification = await session.ended()
        assert notification is not None
        assert (notification.code, notification.subcode) == (6, 2)
        assert not _lives(pid)
        assert it.speaker.status().state == "stopped"
        assert it.speaker.pid is None


async def test_another_configuration_says_cease_and_comes_back_at_once() -> None:
    async with sink.listening() as router, running(config_of(peer_of(router))) as it:
        it.speaker.set(PLAIN)
        session = await router.session()
        await session.table(both)
        it.speaker.configure(config_of(peer_of(router, hold_s=30)))
        assert await session.ended() is not None
        await (await router.session(1)).table(both)
        await it.until(lambda: it.peer().hold_s == 30)
        assert it.speaker.status().restarts == 0


async def test_a_router_that_says_wrong_as_is_quoted_with_what_to_do() -> None:
    async with sink.listening(answers=False) as router, running(config_of(peer_of(router))) as it:
        session = await router.connection()
        await session.until(lambda one: isinstance(one, sink.Open))
        await session.send(router.open_message() + sink.notification_message(2, 2))
        await it.until(lambda: "wrong AS number" in it.peer().error)
        assert it.peer().state != "established"
        assert "asn" in it.peer().remedy


async def test_a_child_whose_parent_was_killed_says_cease_and_ends() -> None:
    program = """
import sys, trio
from ipaddress import IPv4Address, ip_address, ip_network
from bgp.announcement import Announcement
from bgp.peer import Peer, SpeakerConfig
from bgp.speaker import Speaker

async def main():
    peer = Peer("up", ip_address("127.0.0.1"), 65101, ip_address("127.0.0.2"), port=int(sys.argv[1]))
    argv = lambda fd: [sys.executable, "-m", "bgp.child", "--fd", str(fd), "--allow", "203.0.113.10/32"]
    speaker = Speaker(SpeakerConfig(65200, IPv4Address("10.9.9.9"), (peer,)), argv)
    async with trio.open_nursery() as nursery:
        await nursery.start(speaker.run)
        speaker.set([Announcement(ip_network("203.0.113.10/32"))])
        await speaker.wait_sent([ip_network("203.0.113.10/32")], 60.0)
        print(speaker.pid, file=sys.stderr, flush=True)

trio.run(main)
"""
    with trio.fail_after(HANG_S):
        async with sink.listening() as router:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-c", program, str(router.port)],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            try:
                session = await router.session()
                assert process.stderr is not None
                async with process.stderr:
                    pid = await _number(process.stderr)
                process.kill()
                notification = await session.ended()
            finally:
                process.kill()
                await process.wait()
            assert notification is not None
            assert (notification.code, notification.subcode) == (6, 2)
            while _lives(pid):  # it said its last word, and is about to be gone
                await trio.lowlevel.checkpoint()


async def _number(stream: trio.abc.ReceiveStream) -> int:
    """A line with nothing but a number."""
    text = b""
    while not text.endswith(b"\n"):
        text += bytes(await stream.receive_some())
    return int(text)


def _lives(pid: int) -> bool:
    """There is such a process, and it is no zombie that init has yet to take."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
