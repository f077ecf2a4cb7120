"""The workers of a node: started, told what to serve, listened to, started again.

    set(sites) ── PoolState ── Table ──> control connection ──> edged worker 0..N-1
    emit(event) <── PoolState <── Report ──'                          │ stderr
                                         LogTail, own stderr <────────┘

Each worker has sockets of its own, which stay open here: connections that wait for one that died are its successor's.
If that takes longer than `SOCKETS_WAIT_S_MAX`, they are closed, so that the kernel gives connections to the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import structlog
import trio

from edged import child
from edged.errors import ControlError
from edged.limits import (
    CONTROL_GONE_S_MAX,
    LOG_DROPPED_INTERVAL_S,
    REPORT_SILENCE_S_MAX,
    SOCKETS_WAIT_S_MAX,
    WORKER_START_S_MAX,
)
from edged.node.children import Child, Exit, Start
from edged.node.line_gate import LineGate
from edged.node.log_tail import LogLine, LogTail, parse_line
from edged.node.pool_event import PoolEvent
from edged.node.pool_state import PoolState, PoolStatistics, SiteSummary
from edged.node.sockets import Addresses, Sockets, WorkerSockets
from edged.worker.control import Control, control_pair
from edged.worker.report import Traffic, TriggerState, parse_loading, parse_report, parse_tick
from edged.worker.table import (
    CertificateFiles,
    Orders,
    Settings,
    Site,
    Table,
    TriggerOrder,
    orders_wire,
    settings_wire,
    table_wire,
)

log = structlog.get_logger()


def to_stderr(line: bytes) -> None:
    """Pass a child's line on."""
    with suppress(OSError, ValueError):  # a reader that went away must not end what is served
        sys.stderr.write(line.decode("utf-8", "replace") + "\n")
        sys.stderr.flush()


class WorkerPool:
    """See the module.

    Args:
        settings: of each worker, but its number.
        count: of workers; at least one.
        addresses: where they listen. Bound at once.
        tail: keeps what they and their guests log.
        emit: told each event, on the loop; must not wait.
        pass_on: told each line of their stderr.

    Attributes:
        plain, tls: host and port that they listen on.
        sockets: makes theirs.
        heard_at: when one last reported, on trio's clock; before that, when the pool was made.

    Raises:
        ListenError
    """

    def __init__(
        self,
        settings: Settings,
        count: int,
        addresses: Addresses,
        tail: LogTail,
        *,
        emit: Callable[[PoolEvent], None],
        pass_on: Callable[[bytes], None] = to_stderr,
    ) -> None:
        assert count > 0, "a node has a worker"
        self._state = PoolState(count)
        self._emit = emit
        self._changed = trio.Event()
        self.heard_at = trio.current_time()
        self.sockets = Sockets(addresses)
        self.plain = self.sockets.plain
        self.tls = self.sockets.tls

        self._tail = tail
        self._pass_on = pass_on
        self._gate = LineGate()
        self._workers = [_Worker(self, replace(settings, worker=number), self._line) for number in range(count)]

    async def run(self) -> None:
        """Keep the workers running until `stop`; return when they have ended. Cancelled, they are killed."""
        try:
            async with trio.open_nursery() as controls:
                controls.start_soon(self._say_what_was_dropped)
                async with trio.open_nursery() as children:
                    for worker in self._workers:
                        worker.nursery = controls
                        children.start_soon(worker.child.run)
                controls.cancel_scope.cancel()
        finally:
            for worker in self._workers:
                worker.close_sockets()
            self.sockets.close()

    def set(self, sites: Sequence[Site], certificates: Sequence[CertificateFiles] = ()) -> None:
        """These are the sites and certificates from now on, and no others. The files of certificates are read anew.

        Before this was called once, no worker accepts a connection.
        """
        self._state.set(sites, certificates)
        self.tell()

    def set_closing(self, closing: bool) -> None:
        """Whether clients are to go elsewhere: then each connection ends with what it is at, idle ones at once, and
        workers report ten times a second how many are left. New ones are still answered.
        """
        self._state.set_closing(closing)
        self.tell()

    def set_orders(self, orders: Mapping[str, Mapping[str, TriggerOrder]]) -> None:
        """What is to be done for triggers with a scope, by app and trigger id; nothing for others."""
        self._state.set_orders(orders)
        self._tell_orders()

    def cut(self, worker: int) -> None:
        """Take a worker that hangs out of service at once, and end it. It is started again.

        Where others accept, the kernel gives them its share from now on; what waited for it is reset. The only one
        keeps its sockets, so that what waits in them is its successor's.
        """
        log.error("worker.cut", worker=worker)
        if self._state.listening() - {worker}:
            self._workers[worker].cut_sockets()
        self._workers[worker].child.kill()

    def stop(self) -> None:
        """Let the workers end what they began, and then themselves."""
        for worker in self._workers:
            worker.close_sockets()  # ours: the worker's own copies close when it has taken what waits in them
            worker.child.stop()

    def sites(self) -> Mapping[str, SiteSummary]:
        """How each site does, by key."""
        return self._state.summaries()

    def traffic(self) -> Mapping[str, Traffic]:
        """Requests by app. Only grows while the app has sites."""
        return self._state.traffic()

    def triggers(self) -> Mapping[str, Mapping[str, TriggerState]]:
        """By app and trigger id, those with a scope that are served."""
        return self._state.triggers()

    def statistics(self) -> PoolStatistics:
        return self._state.statistics()

    def pids(self) -> list[int | None]:
        """Of the workers, by their numbers; None for one that is about to be started."""
        return [worker.child.pid for worker in self._workers]

    def listening(self) -> dict[int, int]:
        """Pids of the workers that accept connections, by their numbers."""
        pids = {number: self._workers[number].child.pid for number in self._state.listening()}
        return {number: pid for number, pid in pids.items() if pid is not None}

    async def wait_until(self, condition: Callable[[WorkerPool], bool]) -> None:
        """Return when it holds. It is asked again whenever a worker has reported, started or ended."""
        while not condition(self):
            await self._changed.wait()

    # --- lines ---

    def _line(self, text: bytes) -> None:
        """One line of a worker: kept, and passed on, unless its app says too much."""
        parsed = parse_line(text)
        if parsed is not None:
            if not self._gate.admits(parsed.app, trio.current_time()):
                return
            self._tail.keep(parsed)
        self._pass_on(text)

    async def _say_what_was_dropped(self) -> None:
        while True:
            await trio.sleep(LOG_DROPPED_INTERVAL_S)
            for app, count in self._gate.take_dropped().items():
                log.warning("app.lines-dropped", app=app, count=count)
                now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                self._tail.keep(LogLine(now, app, "", "edged", f"app.lines-dropped {count}"))

    # --- for the workers ---

    @property
    def state(self) -> PoolState:
        return self._state

    def tell(self, events: Sequence[PoolEvent] = ()) -> None:
        """Something changed: hand out tables, and say what happened."""
        for number, table in self._state.take_tables().items():
            self._workers[number].tell(table)
        self._tell_orders()
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        for event in events:
            self._emit(event)

    def _tell_orders(self) -> None:
        for number, orders in self._state.take_orders().items():
            self._workers[number].order(orders)


class _Worker:
    """One worker: its child, its sockets, and the control connection of the process that lives."""

    def __init__(self, pool: WorkerPool, settings: Settings, line: Callable[[bytes], None]) -> None:
        self._pool = pool
        self._settings = settings
        self._number = settings.worker
        self.nursery: trio.Nursery
        self.child = Child(f"worker {self._number}", self._prepare, line=line, started=self._started, ended=self._ended)
        self._sockets: WorkerSockets | None = None
        self._control: Control
        self._table: Table | None = None
        self._orders: Orders | None = None
        self._news = trio.Event()
        self._down_since: float | None = None
        """When the last process that listened has ended; None while one listens."""

    def tell(self, table: Table) -> None:
        """The next table. One that was not sent yet is passed over."""
        self._table = table
        self._news.set()

    def order(self, orders: Orders) -> None:
        """The next orders, likewise."""
        self._orders = orders
        self._news.set()

    def close_sockets(self) -> None:
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    def cut_sockets(self) -> None:
        """Have nobody accept on its sockets any more, whoever holds copies of them. The next process has others."""
        if self._sockets is not None:
            self._sockets.shut_down()
            self.close_sockets()

    @contextmanager
    def _prepare(self) -> Iterator[Start]:
        if self._sockets is None:
            self._sockets = self._pool.sockets.open()
        ours, theirs = control_pair()
        self._control = Control(ours)
        options = {"--control-fd": [theirs], "--listen-fd": self._sockets.plain, "--tls-fd": self._sockets.tls}
        options["--udp-fd"] = self._sockets.udp
        pairs = [(option, sock.fileno()) for option, sockets in options.items() for sock in sockets]
        arguments = [text for option, descriptor in pairs for text in (option, str(descriptor))]
        try:
            with theirs:
                yield Start(child.command("worker", *arguments), [descriptor for _, descriptor in pairs])
        except BaseException:
            ours.close()
            raise

    def _started(self, _pid: int) -> None:
        self._table = self._orders = None
        self._pool.state.started(self._number)
        self.nursery.start_soon(self._converse, self._control)
        self._pool.tell()

    def _ended(self, exit_: Exit) -> None:
        now = trio.current_time()
        if self._down_since is None:
            self._down_since = now
        if now + exit_.retry_s - self._down_since > SOCKETS_WAIT_S_MAX:
            self.close_sockets()
        self._pool.tell(self._pool.state.ended(self._number, exit_.reason))

    async def _converse(self, control: Control) -> None:
        """With one process, until it is gone. One that is not to be talked to is killed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, control)
                try:
                    await self._receive(control)
                except ControlError as error:
                    if control is self._control:
                        log.error("worker.unintelligible", worker=self._number, code=error.code, message=error.message)
                        self.child.kill()
                nursery.cancel_scope.cancel()
        finally:
            await control.aclose()
        await trio.sleep(CONTROL_GONE_S_MAX)  # a process that ends closes its end a moment before it has ended
        if control is self._control and self.child.pid is not None:
            log.error("worker.silent", worker=self._number, seconds=CONTROL_GONE_S_MAX)
            self.child.kill()

    async def _send(self, control: Control) -> None:
        await control.send("settings", settings_wire(self._settings))
        while True:
            table, self._table = self._table, None
            if table is not None:
                try:
                    await control.send("table", table_wire(table))
                except ControlError as error:
                    log.error("worker.not-told", worker=self._number, code=error.code, message=error.message)
                continue
            orders, self._orders = self._orders, None
            if orders is not None:
                await control.send("orders", orders_wire(orders))
                continue
            self._news = trio.Event()
            await self._news.wait()

    async def _receive(self, control: Control) -> None:
        longest_s = WORKER_START_S_MAX
        with trio.move_on_after(longest_s) as silence:
            async with aclosing(control.receive()) as records:
                async for kind, value in records:
                    longest_s = REPORT_SILENCE_S_MAX
                    silence.deadline = trio.current_time() + longest_s
                    self._take(control, kind, value)
                    await trio.lowlevel.checkpoint()  # whatever comes in one piece, others have their turn in between
        if silence.cancelled_caught and control is self._control:
            log.error("worker.silent", worker=self._number, seconds=longest_s)
            self.child.kill()

    def _take(self, control: Control, kind: str, value: object) -> None:
        if control is not self._control:
            return  # of the process before
        if kind == "report":
            report = parse_report(value)
            if report.listening:
                self._down_since = None
            self._pool.heard_at = trio.current_time()
            self._pool.tell(self._pool.state.reported(self._number, report))
        elif kind == "loading":
            self._pool.state.loading(self._number, parse_loading(value).key)
        elif kind == "tick":
            self._pool.tell(self._pool.state.tick(self._number, parse_tick(value)))
        else:
            raise ControlError(f"a worker tells reports, not a {kind[:20]!r}")
