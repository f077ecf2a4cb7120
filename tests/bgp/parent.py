"""The daemon's side of a speaker's child, as a test plays it: starts `python -m bgp.child`, says lines, reads events.

async with parent.speaking(config_of(router), allow=["203.0.113.0/24"]) as child:
    await child.say(SetAnnouncements(1, (...,)))
    await child.event(Applied)
    assert await child.ended() == 0
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import TypeVar

import trio

from bgp.announcement import Announcement, Attributes
from bgp.lines import Lines
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import Address, Family, parse_prefix
from bgp.wire import Beat, Configure, Event, Request, encode_request, parse_event
from tests.bgp.sink import Router

ROOT = Path(__file__).parents[2]
ASN = 65200
HANG_S = 120.0
"""Far beyond anything that a test waits for, on a slow and busy machine, too: a hang is a failure, not a stop."""
E = TypeVar("E", bound=Event)


def peer_of(
    router: Router,
    name: str = "up",
    *,
    local: str = "127.0.0.2",
    next_hops: Mapping[Family, Address] | None = None,
    **others: object,
) -> Peer:
    """A peer that is this router; ours is another address of loopback, to be told apart."""
    if router.address.version == 6:
        local = "::1"
    hops = {"ipv6": ip_address("2001:db8:ffff::1")} if next_hops is None and local != "::1" else next_hops or {}
    settings: dict[str, object] = {
        "name": name,
        "address": router.address,
        "asn": router.asn,
        "local_address": ip_address(local),
        "next_hops": hops,
        "port": router.port,
    } | others
    return Peer(**settings)  # type: ignore[arg-type]


def config_of(*peers: Peer, deadman_s: float = 30.0) -> SpeakerConfig:
    return SpeakerConfig(ASN, IPv4Address("10.9.9.9"), peers, deadman_s)


def announcement(prefix: str, **attributes: object) -> Announcement:
    return Announcement(parse_prefix(prefix), Attributes(**attributes))  # type: ignore[arg-type]


class Child:
    """
    Attributes:
        got: every event, in order.
        over: it has hung up.
        stderr: all of it, once it has ended.
    """

    def __init__(self, process: subprocess.Popen[bytes], sock: trio.socket.SocketType) -> None:
        self.process = process
        self.sock = sock
        self.got: list[Event] = []
        self.stderr = b""
        self.over = False
        self._news = trio.Condition()

    @property
    def pid(self) -> int:
        return self.process.pid

    async def say(self, request: Request) -> None:
        await self.say_raw(encode_request(request))

    async def say_raw(self, data: bytes) -> None:
        while data:
            data = data[await self.sock.send(data) :]

    async def event(self, cls: type[E], wanted: Callable[[E], bool] = lambda _: True, *, after: int = 0) -> E:
        """The first event of a class that is wanted, of those after so many; waits for it.

        Raises:
            AssertionError: the child ended first.
        """
        async with self._news:
            while True:
                for one in self.got[after:]:
                    if isinstance(one, cls) and wanted(one):
                        return one
                    after += 1
                assert not self.over, f"ended before what was waited for; said {self.got}"
                await self._news.wait()

    async def ended(self) -> int:
        """Waits for its end; its exit status, or minus the signal."""
        async with self._news:
            while not self.over:
                await self._news.wait()
        return await trio.to_thread.run_sync(self.process.wait)

    async def _read(self) -> None:
        lines = Lines()
        try:
            while data := await self.sock.recv(65536):
                events = [parse_event(line) for line in lines.feed(data)]
                async with self._news:
                    self.got += events
                    self._news.notify_all()
        except (trio.ClosedResourceError, OSError):
            pass
        async with self._news:
            self.over = True
            self._news.notify_all()

    async def _read_errors(self, stream: trio.abc.ReceiveStream) -> None:
        async with stream:
            async for data in stream:
                self.stderr += data


async def start(
    nursery: trio.Nursery,
    allow: Iterable[str],
    *,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = (sys.executable, "-m", "bgp.child"),
    inside: Sequence[str] = (),
) -> Child:
    """A child that was told nothing yet. Its process is the caller's to end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        argv = [*inside, *program, "--fd", str(theirs.fileno())]
        for each in allow:
            argv += ["--allow", each]
        process = subprocess.Popen(  # noqa: ASYNC220 - fork and exec; not from a thread, which would be its parent
            argv,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
    child = Child(process, trio.socket.from_stdlib_socket(ours))
    assert process.stderr is not None
    nursery.start_soon(child._read_errors, trio.lowlevel.FdStream(os.dup(process.stderr.fileno())))
    process.stderr.close()
    nursery.start_soon(child._read)
    return child


@asynccontextmanager
async def speaking(
    config: SpeakerConfig | None,
    allow: Iterable[str] = ("203.0.113.0/24", "198.51.100.0/24", "2001:db8:a::/48"),
    *,
    beats: bool = False,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = (sys.executable, "-m", "bgp.child"),
    inside: Sequence[str] = (),
) -> AsyncIterator[Child]:
    """A child that was told its configuration, if there is one. It is gone at the end, whatever happened.

    Args:
        inside: words in front of its command.
    """
    async with trio.open_nursery() as nursery:
        child = await start(nursery, allow, environment=environment, program=program, inside=inside)
        try:
            if config is not None:
                await child.say(Configure(config))
            if beats:
                nursery.start_soon(_beat, child)
            with trio.fail_after(HANG_S):
                yield child
        finally:
            nursery.cancel_scope.cancel()  # first: a beat to a process that is gone is a broken pipe
            child.process.kill()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(child.process.wait)
            child.sock.close()


async def _beat(child: Child) -> None:
    number = 0
    while True:
        await child.say(Beat(number))
        number += 1
        await trio.sleep(0.1)
