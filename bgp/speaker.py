"""Keeps the child that speaks BGP alive and told: the trio shell around `bgp.speaker_state`.

    set(announcements) ── SpeakerState ── requests ──> socketpair ──> child (bgp.child) ══ BGP ══> routers
    proof, status <────── SpeakerState <── events ───────┘ │ stderr ──> log
                              └ spawn, kill, when ──> process

The child's end of the pair is all that it inherits. When this process is gone, however it went, the child reads the end
of the stream, says Cease and ends; when this process hangs, its deadman does the same.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

import structlog
import trio

from bgp.announcement import Announcement
from bgp.errors import SpeakerFailed, WireInvalid
from bgp.limits import STOP_S_MAX
from bgp.lines import Lines
from bgp.note import Note
from bgp.peer import SpeakerConfig
from bgp.prefix import Network
from bgp.speaker_process import Command, LineGate, Process, StderrLines, open_process
from bgp.speaker_state import SpeakerState
from bgp.status import PeerStatus, SpeakerStatus
from bgp.wire import NotificationSeen, encode_request, parse_event

log: Any = structlog.get_logger()

_READ_BYTES = 16 * 1024  # of one turn on the loop: some 150 events, for about a millisecond


class Speaker:
    """See the module.

    Args:
        config: whom to speak to. Passwords leave this process over the socket pair only.
        command: the child's argument list, given the descriptor that it inherits.
        changed: told whenever status or proof may have changed, on the loop; must not wait.
        opened: starts a child; tests play one.
    """

    def __init__(
        self,
        config: SpeakerConfig,
        command: Command,
        *,
        changed: Callable[[], None] = lambda: None,
        opened: Callable[[Command], Awaitable[Process]] = open_process,
    ) -> None:
        self._state = SpeakerState(config, trio.current_time())
        self._command = command
        self._on_changed = changed
        self._open = opened
        self._gate = LineGate()
        self._process: Process | None = None
        self._changed = trio.Event()
        self._ended = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a child running until `stop`. Cancelled, the child still takes leave of its peers."""
        task_status.started()
        try:
            while (spawn_at := self._state.spawn_at) is not None:
                if spawn_at > trio.current_time():
                    await self._wait_for_change(spawn_at)
                else:
                    await self._run_child()
        finally:
            self._ended.set()

    # --- what is wanted ---

    def set(self, announcements: Collection[Announcement]) -> None:
        """This is all that is to be announced from now on. `Announcer` is the one to ask: it checks."""
        self._state.set(announcements, trio.current_time())
        self._act()

    def configure(self, config: SpeakerConfig) -> None:
        """Another configuration, or the same with another allow-list: the child is replaced, with a Cease."""
        self._state.configure(config, trio.current_time())
        self._act()

    def bfd_up(self, name: str) -> None:
        """BFD reaches a peer, by its name, that it did not reach: its session is tried at once if it is down."""
        self._state.bfd_up(name, trio.current_time())
        self._act()

    async def stop(self) -> None:
        """Cease to all peers, then the child's end; it is killed after STOP_S_MAX. Returns when it has ended."""
        self._state.stop(trio.current_time())
        self._act()
        await self._ended.wait()

    # --- proof ---

    async def wait_sent(self, prefixes: Collection[Network], timeout: float) -> bool:
        """Each prefix was sent, as it is desired, to every established peer. False if not in `timeout` seconds."""
        return await self._wait_until(lambda: self._state.is_sent(prefixes), timeout)

    async def wait_withdrawn(self, prefixes: Collection[Network], timeout: float) -> bool:
        """For each prefix a withdrawal was sent to every established peer. False if not in `timeout` seconds.

        True at once for what no established peer was told.
        """
        return await self._wait_until(lambda: self._state.is_withdrawn(prefixes), timeout)

    def proven(self, prefix: Network) -> bool:
        """What is desired of a prefix, announced or withdrawn, is on the wire to every established peer."""
        return self._state.is_sent([prefix]) or self._state.is_withdrawn([prefix])

    async def _wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        with trio.move_on_after(timeout):
            while not condition():
                await self._changed.wait()
        return condition()

    # --- status ---

    @property
    def pid(self) -> int | None:
        """Of the child; None while there is none."""
        return None if self._process is None else self._process.pid

    def status(self) -> SpeakerStatus:
        state = self._state
        return SpeakerStatus(state.state, state.since + _to_unix_s(), state.restarts, state.error)

    def peers(self) -> tuple[PeerStatus, ...]:
        """In the order of the configuration. `bfd` is for who runs BFD to fill in."""
        return tuple(session.status(_to_unix_s()) for session in self._state.sessions.values())

    def notifications(self) -> Mapping[str, NotificationSeen | None]:
        """By peer, the last one since its session was up."""
        return {name: session.notification for name, session in self._state.sessions.items()}

    def alarms(self) -> tuple[str, ...]:
        """What is wrong and does not pass by itself: sentences."""
        return self._state.alarms()

    # --- one child ---

    async def _run_child(self) -> None:
        try:
            process = await self._open(self._command)
        except SpeakerFailed as error:
            self._state.ended(error.message, trio.current_time())
            self._act()
            return
        self._process = process
        reason = ""
        log.info("bgp.child-started", pid=process.pid)
        self._state.begun(trio.current_time())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, process.stream)
                nursery.start_soon(self._read, process.stream)
                nursery.start_soon(self._read_stderr, process.stderr)
                nursery.start_soon(self._keep_time)
                self._act()
                reason = await process.wait()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(process.stream)  # where it still lives, that says that it is to leave
                with trio.move_on_after(STOP_S_MAX):
                    reason = await process.wait()
                if not reason:
                    process.kill()
                    reason = await process.wait()
                await process.stderr.aclose()
            self._process = None
            self._state.ended(reason, trio.current_time())
            self._act()

    async def _write(self, stream: trio.abc.SendStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while True:
                requests = self._state.take_requests()
                if requests:
                    await stream.send_all(b"".join(map(encode_request, requests)))
                else:
                    await self._changed.wait()

    async def _read(self, stream: trio.abc.ReceiveStream) -> None:
        lines = Lines()
        try:
            while data := await stream.receive_some(_READ_BYTES):
                for line in lines.feed(bytes(data)):
                    self._state.received(parse_event(line), trio.current_time())
                self._act()
        except WireInvalid as error:
            self._state.broken(f"it is not understood: {error.message}", trio.current_time())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._state.hung_up(trio.current_time())
        else:
            self._state.hung_up(trio.current_time())
        self._act()

    async def _read_stderr(self, stream: trio.abc.ReceiveStream) -> None:
        lines = StderrLines()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await stream.receive_some(_READ_BYTES):
                for line in lines.feed(bytes(data)):
                    self._child_said(Note("info", "bgp.child-said", text=line))

    async def _keep_time(self) -> None:
        while True:
            if self._state.deadline() <= trio.current_time():
                self._state.tick(trio.current_time())
                self._act()
                await trio.lowlevel.checkpoint()
            else:
                await self._wait_for_change(self._state.deadline())

    async def _wait_for_change(self, until: float) -> None:
        with trio.move_on_at(until):
            await self._changed.wait()

    def _act(self) -> None:
        """Do what the state wants: log, kill, wake whoever waits for it."""
        for note in self._state.take_notes():
            if note.event == "bgp.child-said":
                self._child_said(note)
            else:
                _log(note)
        if self._state.kill and self._process is not None:
            self._process.kill()
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        self._on_changed()

    def _child_said(self, note: Note) -> None:
        passes, dropped = self._gate.admits(trio.current_time())
        if dropped:
            log.warning("bgp.child-lines-dropped", count=dropped)
        if passes:
            _log(note)


def _log(note: Note) -> None:
    getattr(log, note.level)(note.event, **note.fields)


def _to_unix_s() -> float:
    """What turns trio's clock into unix seconds."""
    return time.time() - trio.current_time()
