"""A pool of real worker processes."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme

from edged.bundle.lock import LOCK_ENTRY
from edged.errors import LoadCrashed
from edged.limits import (
    LOAD_CRASH_COUNT_MAX,
    LOG_LINES_BURST_MAX,
    REPORT_SILENCE_S_MAX,
    SOCKETS_WAIT_S_MAX,
    WORKER_START_S_MAX,
)
from edged.node.children import Exit
from edged.node.log_tail import LogTail
from edged.node.pool_event import PoolEvent, SiteFailed, SiteProbed, SiteReady, WorkerCrashed
from edged.node.sockets import Addresses
from edged.node.workers import WorkerPool
from edged.worker.control import Control, control_pair
from edged.worker.table import CertificateFiles, Settings, Site
from tests.node.checkouts import checkout, site

_LONGEST_S = 120.0  # a test that waits for longer hangs; nothing is measured with it


class Pool:
    """A pool that runs, and what it said."""

    def __init__(self, cache: Path, count: int, tls: Sequence[tuple[str, int]] = ()) -> None:
        self.tail = LogTail()
        self.events: list[PoolEvent] = []
        self.lines: list[bytes] = []
        self.workers = WorkerPool(
            Settings(0, str(cache)),
            count,
            Addresses(plain=[("127.0.0.1", 0)], tls=tls),
            self.tail,
            emit=self.events.append,
            pass_on=self.lines.append,
        )
        self.address = self.workers.plain[0]

    async def serve(self, *sites: Site) -> None:
        """Set these, and wait until each that should be is served by each worker."""
        self.workers.set(sites)

        def are_served() -> bool:
            said = self.workers.sites()
            return all(said[each.key].serving == self.count for each in sites if each.serve)

        await self.until(lambda: self.listening == self.count and are_served())

    @property
    def count(self) -> int:
        return self.workers.statistics().workers_total

    @property
    def listening(self) -> int:
        return self.workers.statistics().workers_ready

    def serving(self, key: str) -> bool:
        return self.workers.sites()[key].serving == self.count

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(_LONGEST_S):
            await self.workers.wait_until(lambda _pool: condition())

    def pid(self, worker: int) -> int:
        pid = self.workers.pids()[worker]
        assert pid is not None
        return pid

    def kill(self, worker: int) -> None:
        os.kill(self.pid(worker), signal.SIGKILL)

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self.address)

    @asynccontextmanager
    async def connections(self, count: int) -> AsyncIterator[list[trio.SocketStream]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(await self.connect()) for _ in range(count)]

    async def get(self, host: str, path: str = "/") -> bytes:
        """A whole answer, on a connection of its own."""
        stream = await self.connect()
        async with stream:
            await ask(stream, host, path, close=True)
            return await answer(stream)


async def ask(stream: trio.SocketStream, host: str, path: str = "/", *, close: bool = False) -> None:
    end = "connection: close\r\n\r\n" if close else "\r\n"
    await stream.send_all(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n{end}".encode())


async def answer(stream: trio.SocketStream) -> bytes:
    """Everything until the server closes."""
    with trio.fail_after(_LONGEST_S):
        return b"".join([data async for data in stream])


async def one_answer(stream: trio.SocketStream) -> bytes:
    """One answer, on a connection that stays."""
    data = b""
    with trio.fail_after(_LONGEST_S):
        while not _whole(data):
            more = await stream.receive_some()
            assert more, f"cut off after {data!r}"
            data += more
    return data


def _whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head)
    return bool(end) and found is not None and len(body) == int(found[1])


OpenPool = Callable[..., AbstractAsyncContextManager[Pool]]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("cache")
    return folder


@pytest.fixture
def running(cache: Path) -> OpenPool:
    @asynccontextmanager
    async def open_pool(count: int, tls: Sequence[tuple[str, int]] = ()) -> AsyncIterator[Pool]:
        pool = Pool(cache, count, tls)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.workers.run)
            yield pool
            pool.workers.stop()

    return open_pool


async def test_a_site_is_served_by_all_workers(running: OpenPool, tmp_path: Path) -> None:
    hello = checkout(tmp_path / "hello", "hello")
    async with running(2) as pool:
        with pytest.raises(OSError, match="connect"):
            await pool.connect()  # nothing was set yet, so nobody accepts
        await pool.serve(site(hello, "shop"))
        assert pool.events == [SiteReady("shop@1.1")]
        for _ in range(8):
            assert (await pool.get("shop.test")).startswith(b"HTTP/1.1 200")
        assert (await pool.get("other.test")).startswith(b"HTTP/1.1 421")
        await pool.until(lambda: pool.workers.traffic()["shop"].served == 8)
        assert pool.workers.traffic()["shop"].latency.count == 8
        assert pool.workers.sites()["shop@1.1"].traffic.failed == 0
    assert pool.workers.pids() == [None, None]
    assert b"child.stopped" not in b"".join(pool.lines), "those are the supervisor's own lines"


async def test_a_site_that_fails_touches_no_other(running: OpenPool, tmp_path: Path) -> None:
    good, bad = checkout(tmp_path / "good", "hello"), checkout(tmp_path / "bad", "unknown-import")
    async with running(2) as pool:
        await pool.serve(site(good, "shop"))
        pool.workers.set([site(good, "shop"), site(bad, "blog", serve=False), site(good, "shop", 2, serve=False)])
        await pool.until(lambda: pool.workers.sites()["shop@1.2"].ready == 2)
        summary = pool.workers.sites()["blog@1.1"]
        assert (summary.stage, summary.worker) == ("failed", 0)
        assert summary.failure is not None
        assert (summary.failure.code, bool(summary.failure.remedy)) == ("component.unsupported", True)
        assert [event for event in pool.events if isinstance(event, SiteFailed)] == [
            SiteFailed("blog@1.1", 0, summary.failure)
        ]
        assert pool.workers.sites()["shop@1.1"].serving == 2
        assert (await pool.get("shop.test")).startswith(b"HTTP/1.1 200")
        failed = [line for line in pool.tail.tail("blog") if line.text.startswith("site.failed")]
        assert len(failed) == 1, "the other worker was not told of it"


async def test_a_candidate_replaces_what_is_served(running: OpenPool, tmp_path: Path) -> None:
    old, new = checkout(tmp_path / "old", "hello"), checkout(tmp_path / "new", "status")
    async with running(2) as pool:
        await pool.serve(site(old, "shop"))
        pool.workers.set([site(old, "shop"), site(new, "shop", 2, serve=False)])
        await pool.until(lambda: SiteReady("shop@1.2") in pool.events)
        before = await pool.get("shop.test")
        await pool.serve(site(new, "shop", 2))
        assert before != await pool.get("shop.test")


async def test_releases_under_load_fail_no_request(running: OpenPool, tmp_path: Path) -> None:
    hello, counter = checkout(tmp_path / "hello", "hello"), checkout(tmp_path / "counter", "counter")
    served = 0
    stop = trio.Event()

    async def keep_alive(stream: trio.SocketStream) -> None:
        nonlocal served
        while not stop.is_set():
            await ask(stream, "shop.test")
            assert (await one_answer(stream)).startswith(b"HTTP/1.1 200")
            served += 1

    async def connect_anew() -> None:
        nonlocal served
        while not stop.is_set():
            assert (await pool.get("shop.test")).startswith(b"HTTP/1.1 200")
            served += 1

    async with running(2) as pool:
        old = site(hello, "shop", 1)
        await pool.serve(old)
        async with pool.connections(8) as streams, trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(keep_alive, stream)
            for _ in range(2):
                nursery.start_soon(connect_anew)
            for sequence in range(2, 12):
                new = site(counter if sequence % 2 == 0 else hello, "shop", sequence, probe="/")
                pool.workers.set([old, replace(new, serve=False)])
                await pool.until(lambda key=new.key: SiteReady(key) in pool.events)  # type: ignore[misc]
                await pool.serve(replace(old, serve=False), new)
                old = new
            await pool.serve(old)
            stop.set()
        assert served > 100
        assert pool.workers.sites().keys() == {"shop@1.11"}
        assert not [event for event in pool.events if not isinstance(event, SiteProbed | SiteReady)]
        await pool.until(lambda: pool.workers.sites()[old.key].ready == 2)


async def test_a_killed_worker_costs_the_others_nothing(running: OpenPool, tmp_path: Path) -> None:
    """Requests go on, on connections of both workers; only those of the one that is killed may be cut."""
    hello = checkout(tmp_path / "hello", "hello")
    async with running(2) as pool:
        await pool.serve(site(hello, "shop"))
        async with pool.connections(24) as streams:
            await _kill_under_load(pool, streams)
        crash = next(event for event in pool.events if isinstance(event, WorkerCrashed))
        assert crash == WorkerCrashed(1, "signal SIGKILL", ("shop@1.1",), "")
        await pool.until(lambda: pool.serving("shop@1.1"))
        assert pool.workers.statistics().restarts == 1


async def _kill_under_load(pool: Pool, streams: list[trio.SocketStream]) -> None:
    for stream in streams:
        await ask(stream, "shop.test")
        assert (await one_answer(stream)).startswith(b"HTTP/1.1 200")
    theirs = [stream for stream in streams if _owner(stream, [pool.pid(0), pool.pid(1)]) == pool.pid(0)]
    assert 0 < len(theirs) < len(streams)
    served = 0
    stop = trio.Event()

    async def load(stream: trio.SocketStream) -> None:
        nonlocal served
        while not stop.is_set():
            await ask(stream, "shop.test")
            assert (await one_answer(stream)).startswith(b"HTTP/1.1 200")
            served += 1

    async def until_served(count: int) -> None:
        with trio.fail_after(_LONGEST_S):
            while served < count:
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for stream in theirs:
            nursery.start_soon(load, stream)
        await until_served(100)
        pool.kill(1)
        await pool.until(lambda: any(isinstance(event, WorkerCrashed) for event in pool.events))
        await pool.until(lambda: pool.listening == 2)
        await until_served(served + 100)
        stop.set()


async def test_connections_in_the_queue_of_a_killed_worker_wait_for_its_successor(
    running: OpenPool, tmp_path: Path
) -> None:
    hello = checkout(tmp_path / "hello", "hello")
    async with running(1) as pool:
        await pool.serve(site(hello, "shop"))
        first = pool.pid(0)
        os.kill(first, signal.SIGSTOP)  # so that it accepts none of what comes now
        async with pool.connections(50) as streams:
            for stream in streams:
                await ask(stream, "shop.test", close=True)
            pool.kill(0)
            for stream in streams:
                assert (await answer(stream)).startswith(b"HTTP/1.1 200")
        assert pool.pid(0) != first


async def test_a_worker_ends_what_it_began(running: OpenPool, tmp_path: Path) -> None:
    upload = checkout(tmp_path / "upload", "upload")  # answers once it has the whole body
    async with running(1) as pool:
        await pool.serve(site(upload, "shop"))
        async with pool.connections(2) as (stream, idle):
            await ask(idle, "shop.test")
            await one_answer(idle)
            await stream.send_all(b"POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 6\r\n\r\nabc")
            await pool.until(lambda: pool.workers.statistics().requests_active == 1)
            pool.workers.stop()
            assert await answer(idle) == b"", "nothing was under way on it"
            await stream.send_all(b"def")
            said = await answer(stream)
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in head.lower()
        assert b"6" in body


@pytest.mark.parametrize(
    ("guest", "path", "said"),
    [("status", "/500", "the status was 500"), ("trap", "/", "guest.trap"), ("status", "/499", None)],
)
async def test_a_candidate_is_probed(
    running: OpenPool, tmp_path: Path, guest: str, path: str, said: str | None
) -> None:
    old, new = checkout(tmp_path / "old", "hello"), checkout(tmp_path / "new", guest)
    async with running(1) as pool:
        await pool.serve(site(old, "shop"))
        pool.workers.set([site(old, "shop"), site(new, "shop", 2, serve=False, probe=path)])
        await pool.until(lambda: pool.workers.sites()["shop@1.2"].stage in ("ready", "failed"))
        failure = pool.workers.sites()["shop@1.2"].failure
        if said is None:
            assert failure is None
        else:
            assert failure is not None
            assert failure.code == "app.probe-failed"
            assert said in failure.message
        assert (await pool.get("shop.test")).startswith(b"HTTP/1.1 200")
        assert pool.workers.traffic()["shop"].failed == 0, "a probe is no client"


async def test_what_is_served_already_is_not_probed_again(running: OpenPool, tmp_path: Path) -> None:
    """A worker that starts again must not lose an app to a probe whose database is away at the moment."""
    status = checkout(tmp_path / "status", "status")
    async with running(1) as pool:
        await pool.serve(site(status, "shop", probe="/500"))
        pool.kill(0)
        await pool.until(lambda: pool.listening == 0)
        await pool.until(lambda: pool.listening == 1 and pool.serving("shop@1.1"))


async def test_failures_of_guests_are_counted(running: OpenPool, tmp_path: Path) -> None:
    trap = checkout(tmp_path / "trap", "trap")
    async with running(1) as pool:
        await pool.serve(site(trap, "shop"))
        for _ in range(3):
            assert b" 500 " in await pool.get("shop.test")
        await pool.until(lambda: pool.workers.traffic()["shop"].failed == 3)
        assert pool.workers.traffic()["shop"].served == 0


async def test_a_host_that_another_app_has(running: OpenPool, tmp_path: Path) -> None:
    hello = checkout(tmp_path / "hello", "hello")
    async with running(1) as pool:
        await pool.serve(site(hello, "shop"))
        pool.workers.set([site(hello, "blog", serve=False, hosts=("SHOP.test.",)), site(hello, "shop")])
        await pool.until(lambda: pool.workers.sites()["blog@1.1"].stage == "failed")
        failure = pool.workers.sites()["blog@1.1"].failure
        assert failure is not None
        assert failure.code == "app.host-taken"
        assert pool.workers.sites()["shop@1.1"].serving == 1


async def test_sockets_of_a_worker_that_stays_away_are_closed(cache: Path) -> None:
    """What waits in them is refused, so that its client tries again and gets to another."""
    pool = Pool(cache, 1).workers
    (worker,) = pool._workers
    pool.set([])
    for retry_s, kept in ((SOCKETS_WAIT_S_MAX, True), (SOCKETS_WAIT_S_MAX + 0.1, False)):
        with worker._prepare() as start:
            assert start.descriptors
        await worker._control.aclose()
        assert worker._sockets is not None
        worker._sockets.plain[0].listen()
        with socket.create_connection(pool.plain[0]) as waiting:
            waiting.setblocking(False)
            worker._down_since = None
            worker._ended(Exit("status 70", 0.0, retry_s))
            assert (worker._sockets is not None) is kept
            with pytest.raises(BlockingIOError if kept else ConnectionResetError):
                waiting.recv(1)
    pool.sockets.close()


async def test_certificates_are_changed_without_another_worker(running: OpenPool, tmp_path: Path) -> None:
    hello = checkout(tmp_path / "hello", "hello")
    authority = trustme.CA()

    def write(*hosts: str) -> None:
        issued = authority.issue_cert(*hosts)
        (tmp_path / "crt").write_bytes(issued.cert_chain_pems[0].bytes())
        (tmp_path / "key").write_bytes(issued.private_key_pem.bytes())

    files = [CertificateFiles(("*",), str(tmp_path / "crt"), str(tmp_path / "key"))]
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def get(host: str) -> bytes:
        async with trio.SSLStream(
            await trio.open_tcp_stream(*pool.workers.tls[0]), context, server_hostname=host, https_compatible=True
        ) as stream:
            await stream.send_all(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
            return b"".join([data async for data in stream])

    async with running(1, tls=[("127.0.0.1", 0)]) as pool:
        shop = site(hello, "shop", hosts=("shop.test", "blog.test"))
        write("shop.test")
        pool.workers.set([shop], files)
        await pool.until(lambda: pool.listening == 1)
        assert (await get("shop.test")).startswith(b"HTTP/1.1 200")
        pid = pool.pid(0)
        write("blog.test")
        pool.workers.set([shop], files)
        assert (await _eventually(get, "blog.test")).startswith(b"HTTP/1.1 200")
        (tmp_path / "key").write_text("no key")
        pool.workers.set([shop], files)
        await pool.until(lambda: pool.workers.statistics().certificate_failure is not None)
        failure = pool.workers.statistics().certificate_failure
        assert failure is not None
        assert failure.code == "tls.invalid"
        assert (await get("blog.test")).startswith(b"HTTP/1.1 200"), "those before are in use"
        assert pool.pid(0) == pid


async def _eventually(get: Callable[[str], Awaitable[bytes]], host: str) -> bytes:
    """A worker takes its new certificates a moment after it is told of them; until then a client sees the old ones."""
    with trio.fail_after(_LONGEST_S):
        while True:
            with suppress(trio.BrokenResourceError):
                return await get(host)


async def test_two_hundred_sites(running: OpenPool, tmp_path: Path) -> None:
    hello = checkout(tmp_path / "hello", "hello")
    sites = [site(hello, f"app-{number}") for number in range(200)]
    async with running(2) as pool:
        await pool.serve(*sites)
        for number in (0, 99, 199):
            assert (await pool.get(f"app-{number}.test")).startswith(b"HTTP/1.1 200")
        assert len(pool.events) == 200


async def test_the_lines_of_guests(running: OpenPool, tmp_path: Path) -> None:
    printing = checkout(tmp_path / "stderr", "stderr", "another-name")
    async with running(1) as pool:
        await pool.serve(site(printing, "shop"))
        with pool.tail.subscribe("shop") as subscription:
            await pool.get("shop.test", "/3")
            with trio.fail_after(_LONGEST_S):
                line = await subscription.next()
        assert (line.app, line.component, line.stream) == ("shop", "guest", "stderr")
        assert line.text
        assert line in pool.tail.tail("shop")
        assert any(b'"app": "shop"' in text for text in pool.lines), "and they are passed on"


async def test_a_worker_whose_supervisor_is_gone_ends(running: OpenPool, tmp_path: Path) -> None:
    hello = checkout(tmp_path / "hello", "hello")
    async with running(1) as pool:
        await pool.serve(site(hello, "shop"))
        first = pool.pid(0)
        control = pool.workers._workers[0]._control
        await control.aclose()  # as a supervisor that dies, for the worker
        await pool.until(lambda: pool.workers.pids()[0] not in (None, first) and pool.listening == 1)
        crash = next(event for event in pool.events if isinstance(event, WorkerCrashed))
        assert crash.reason == "status 0"


_ANSWER = """
import os, socket, sys, time
control = socket.socket(fileno=int(sys.argv[sys.argv.index("--control-fd") + 1]))
{}
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("program", "event"),
    [
        ("", b"worker.silent"),
        ("control.close()", b"worker.silent"),
        ("control.sendall(b'\\xff' * 9)", b"worker.unintelligible"),
        ("control.sendall(b'\\0\\0\\0\\x01\\xc1')", b"worker.unintelligible"),
        ("control.sendall(b'\\0\\0\\0\\x08\\x81\\xa5table\\x80')", b"worker.unintelligible"),
        ("control.sendall(b'\\0\\0\\0\\x09\\x81\\xa6report\\x80')", b"worker.unintelligible"),
    ],
)
async def test_a_worker_that_says_nothing_or_nonsense_is_killed(
    program: str,
    event: bytes,
    running: OpenPool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And the pool goes on: it starts another one."""
    if not program:  # others must have the time to start, and to say what they say
        monkeypatch.setattr("edged.node.workers.WORKER_START_S_MAX", 0.5)
    monkeypatch.setattr("edged.node.workers.CONTROL_GONE_S_MAX", 0.5)
    monkeypatch.setattr(
        "edged.child.command", lambda *arguments: [sys.executable, "-c", _ANSWER.format(program), *arguments]
    )
    async with running(1) as pool:
        await pool.until(lambda: len(pool.events) >= 2)
    assert {each.reason for each in pool.events if isinstance(each, WorkerCrashed)} == {"signal SIGKILL"}
    assert event.decode() in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("reported", "longest_s"), [(False, WORKER_START_S_MAX), (True, REPORT_SILENCE_S_MAX)], ids=["starting", "started"]
)
async def test_how_long_a_worker_may_say_nothing(
    reported: bool,
    longest_s: float,
    cache: Path,
    mock_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that starts has longer: where many processes start at once, to kill those that are late makes all late."""
    pool = Pool(cache, 1).workers
    worker = pool._workers[0]
    ours, theirs = control_pair()
    worker._control, other_end = Control(ours), Control(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker._receive, worker._control)
        if reported:
            await other_end.send("loading", {"key": ""})
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(longest_s - 0.1)
        await trio.testing.wait_all_tasks_blocked()
        assert "worker.silent" not in "".join(capsys.readouterr())
        mock_clock.jump(0.1)
    assert f"seconds={longest_s}" in "".join(capsys.readouterr())
    await worker._control.aclose()
    await other_end.aclose()
    pool.sockets.close()


async def test_a_release_that_ends_workers_while_they_load_it_is_given_up(
    running: OpenPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slowly workers start here, what waits for one is its successor's.
    monkeypatch.setattr("edged.node.workers.SOCKETS_WAIT_S_MAX", math.inf)
    good, deadly = checkout(tmp_path / "good", "hello"), checkout(tmp_path / "deadly", "hello")
    (deadly / LOCK_ENTRY).unlink()
    os.mkfifo(deadly / LOCK_ENTRY)  # whoever reads that is there to be killed
    async with running(2) as pool:
        await pool.serve(site(good, "shop"))
        pool.workers.set([site(good, "shop"), site(deadly, "deadly", serve=False)])
        for _ in range(LOAD_CRASH_COUNT_MAX):
            before = len(pool.events)
            loading: list[int] = []

            def is_loading(found: list[int] = loading) -> bool:
                found[:] = [number for number in (0, 1) if pool.workers.state.loads(number) == "deadly@1.1"]
                return bool(found)

            await pool.until(is_loading)
            pool.kill(loading[0])
            assert (await pool.get("shop.test")).startswith(b"HTTP/1.1 200")
            await pool.until(lambda before=before: len(pool.events) > before)  # type: ignore[misc]
        await pool.until(lambda: pool.listening == 2 and pool.serving("shop@1.1"))
        summary = pool.workers.sites()["deadly@1.1"]
        assert summary.failure is not None
        assert (summary.stage, summary.failure.code) == ("failed", LoadCrashed.code)
        assert {each.loading for each in pool.events if isinstance(each, WorkerCrashed)} == {"deadly@1.1"}
        assert [each.key for each in pool.events if isinstance(each, SiteFailed)] == ["deadly@1.1"]
        assert (await pool.get("shop.test")).startswith(b"HTTP/1.1 200")


def _owner(stream: trio.SocketStream, pids: list[int]) -> int:
    """Which of the processes has the other end of a connection: by its inode, as /proc tells both.

    By both of its addresses: a port of ours may be in use a second time, towards another server.
    """
    wanted = [_as_in_proc(stream.socket.getpeername()), _as_in_proc(stream.socket.getsockname())]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [line[9] for line in lines if line[1:3] == wanted]
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it has just been closed
                if os.readlink(descriptor) == f"socket:[{inode}]":
                    return pid
    raise AssertionError("nobody has it")


def _as_in_proc(address: tuple[str, int]) -> str:
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"


async def test_an_app_that_floods_the_log_is_cut_and_the_others_are_read(
    cache: Path, autojump_clock: trio.testing.MockClock
) -> None:
    pool = Pool(cache, 1)
    loud, quiet = (b'{"event": "guest.stdout", "app": "%s", "text": "x"}' % app for app in (b"loud", b"quiet"))
    for _ in range(LOG_LINES_BURST_MAX + 7):
        pool.workers._line(loud)
    pool.workers._line(quiet)
    pool.workers._line(b"no line of an app")
    assert (pool.lines.count(loud), pool.lines[-2:]) == (LOG_LINES_BURST_MAX, [quiet, b"no line of an app"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.workers._say_what_was_dropped)
        await trio.sleep(1.5)
        nursery.cancel_scope.cancel()
    assert pool.tail.tail("loud")[-1].text == "app.lines-dropped 7"
    assert [each.text for each in pool.tail.tail("quiet")] == ["x"]
    pool.workers.sockets.close()
