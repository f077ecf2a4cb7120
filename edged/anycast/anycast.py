"""Announcing while this node serves, put together. Read it from top to bottom.

    workers <── Prober ── Round ──> Gates ── entries ──> Announcer ──> Speaking ══ BGP ══> routers
    kernel, disk, agent ── Facts ─────^  ^                   ^
    SIGTERM, `edged drain` ──> Drain ────┘       signed rosters

Nothing that other machines say or fail to say withdraws a prefix: see `edged.anycast.evidence`. What an operator gets
wrong changes nothing either, and is an alarm.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

import structlog
import trio

from bgp.addresses import OwnedAddresses
from bgp.announcement import Announcement
from bgp.announcer import Announcer
from bgp.drain import Drain, DrainTimes
from bgp.errors import BgpError
from bgp.gate import GateTimes
from bgp.limits import DRAIN_LINGER_S_LEAST
from bgp.prefix import Address, AllowList, Network
from bgp.status import AnycastStatus, DrainReport, GateState, Level
from edged.anycast.config import BgpTable
from edged.anycast.drained import Drained
from edged.anycast.evidence import Facts
from edged.anycast.gates import Gates
from edged.anycast.probe import Round
from edged.anycast.speaking import Speaking
from edged.anycast.surroundings import Allowed, Surroundings
from edged.anycast.targets import targets_of, wanted_prefixes
from edged.errors import EdgedError
from edged.limits import (
    ANYCAST_APPLIED_S_MAX,
    ANYCAST_DISK_FREE_BYTES_MIN,
    ANYCAST_DISK_LOOK_S,
    ANYCAST_DRAINED_WRITE_S_MAX,
    ANYCAST_ROSTER_RETRY_S,
    ANYCAST_ROSTER_SPREAD_S,
    MiB,
)

log = structlog.get_logger()


class Anycast:
    """See the module."""

    def __init__(
        self,
        table: BgpTable,
        around: Surroundings,
        *,
        rng: random.Random,
        gate_times: GateTimes | None = None,
    ) -> None:
        self._table = table
        self._around = around
        self._rng = rng
        self._alarms: dict[str, tuple[str, ...]] = {}
        self._speaking = Speaking(table, around.command, self._notify, around.outside)
        self._announcer = Announcer((), AllowList(()), self._speaking.set)
        self._gates = Gates(table, _log_gate, gate_times)
        self._owned = OwnedAddresses()
        self._absent: frozenset[Address] = frozenset()
        self._impaired = ""
        self._drained = Drained(around.state_dir, disk=around.disk)
        times = DrainTimes(shift_s=table.drain.shift_s, linger_s=table.drain.linger_s)
        leaving = _Leaving(around, self._gates, self._announce, self._speaking)
        self._drain = Drain(leaving, times, wall_clock=time.time, changed=self._drain_changed)
        self._is_drained = self._is_leaving = False
        self._expelled = ""
        self._steering = trio.Lock()
        self._started_at = trio.current_time()
        self._announced_until = -math.inf
        self._roster_news = trio.Event()
        self._news = trio.Event()
        self._probing = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Announce and withdraw, until cancelled.

        Raises:
            EdgedError: the sessions that the node.toml describes cannot be had.
        """
        self._started_at = trio.current_time()
        self._is_drained = await trio.to_thread.run_sync(self._drained.is_set)
        self._expelled = self._around.expelled()
        allowed = await self._read_allowed()
        if allowed is None:
            self._roster_news.set()
        else:
            self._configure(allowed, new_too=True)
        for problem in await trio.to_thread.run_sync(self._around.settings):  # told, since only the operator knows
            log.warning("anycast.setting", message=str(problem), remedy=problem.remedy)
        await self._look()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._speaking.run)
            nursery.start_soon(self._probe)
            nursery.start_soon(self._keep_time)
            nursery.start_soon(self._keep_looking)
            nursery.start_soon(self._follow_roster, nursery)
            task_status.started()

    # --- from outside ---

    def roster_changed(self) -> None:
        """There is another roster on disk."""
        self._roster_news.set()

    def router_addresses(self) -> tuple[Address, ...]:
        """Where no guest has any business."""
        found = [peer.address for peer in self._table.peers]
        if self._speaking.sessions is not None:
            found += [peer.address for peer in self._speaking.sessions.peers]
        return tuple(dict.fromkeys(found))

    async def leave(self, reason: str) -> None:
        """Drain for good: sessions end, too. The node is not drained at its next start, unless it was already.

        Nothing comes back from then on, whoever asks: the workers end next.
        """
        self._is_leaving = True
        if not self._is_announced() and trio.current_time() >= self._announced_until + DRAIN_LINGER_S_LEAST:
            await self._speaking.stop()  # routers lead nobody here, and nothing is waited for
        else:
            await self._drain.run(reason, leave=True)

    async def drain(self, reason: str) -> DrainReport:
        """Leave, and stay away until `undrain`, over restarts."""
        async with self._steering:
            self._is_drained = True
            await self._save(lambda: self._drained.set(reason))
        return await self._drain.run(reason)

    async def undrain(self) -> None:
        """Come back, through warming. A node that stops comes back at its next start."""
        async with self._steering:
            self._is_drained = False
            await self._save(self._drained.clear)
        if not self._is_leaving and not self._expelled:
            self._drain.undrain()

    def cut_short(self) -> None:
        """Wait for nothing more of a drain."""
        self._drain.cut_short()

    def status(self) -> AnycastStatus:
        """As it is now."""
        sessions = self._speaking.sessions
        own = (alarm for of in self._alarms.values() for alarm in of)
        return AnycastStatus(
            asn=(self._table.asn or 0) if sessions is None else sessions.asn,
            speaker=self._speaking.status(),
            prefixes=self._gates.statuses(time.time() - trio.current_time(), self._speaking.proven),
            peers=self._speaking.peers(),
            drain=self._drain.report,
            alarms=(*own, *self._announcer.alarms(), *self._speaking.alarms()),
        )

    async def wait_changed(self) -> None:
        """Until the status may have changed."""
        await self._news.wait()

    # --- inside ---

    async def _probe(self) -> None:
        """Ask the workers, at the addresses of the prefixes of the moment."""
        around = self._around
        while True:
            targets = targets_of(self._table, self._announcer.prefixes, around.listening)
            prober = around.prober(
                targets,
                around.worker_count,
                listening=around.workers.listening,
                observed=self.observe,
                hung=around.workers.cut,
            )
            with trio.CancelScope() as self._probing:
                await prober.run()

    def observe(self, round_: Round) -> None:
        """What the workers answered. The prober calls it."""
        now = trio.current_time()
        applied = self._around.applied() or now >= self._started_at + ANYCAST_APPLIED_S_MAX
        self._look_at_addresses()
        self._gates.observe(round_, Facts(self._absent, applied, self._impaired), now)
        self._announce()

    async def _keep_time(self) -> None:
        while True:
            due = self._gates.deadline()
            if due is not None and due <= trio.current_time():
                self._gates.advance(trio.current_time())
                self._announce()
                await trio.lowlevel.checkpoint()
                continue
            with trio.move_on_at(trio.current_time() + ANYCAST_DISK_LOOK_S if due is None else due):
                await self._news.wait()

    async def _keep_looking(self) -> None:
        while True:
            await trio.sleep(ANYCAST_DISK_LOOK_S)
            await self._look()

    async def _look(self) -> None:
        """At what is slow to look at: the disk; and put addresses back that somebody took away."""
        try:
            free = await trio.to_thread.run_sync(
                self._around.free_bytes, self._around.state_dir, abandon_on_cancel=True
            )
        except OSError as error:
            self._impaired = f"the disk of the state folder fails: {error.strerror}"
        else:
            is_full = free < ANYCAST_DISK_FREE_BYTES_MIN
            self._impaired = f"the disk has {free // MiB} MiB left" if is_full else ""
        self._alarm("disk", self._impaired)
        self._look_at_addresses()
        if self._table.own_addresses and self._absent:
            try:
                await self._owned.own(sorted(self._absent, key=str))
            except BgpError as error:
                self._alarm("addresses", f"{error.message}. {error.remedy}")
            else:
                self._alarm("addresses")

    def _look_at_addresses(self) -> None:
        """Microseconds. Where the kernel will not tell, what it said last stands."""
        addresses = {of for prefix in self._announcer.prefixes for of in self._table.addresses_of(prefix)}
        try:
            self._absent = frozenset(each for each in addresses if not self._around.is_present(each))
        except BgpError as error:
            self._alarm("kernel", error.message)
        else:
            self._alarm("kernel")

    async def _follow_roster(self, nursery: trio.Nursery) -> None:
        while True:
            await self._roster_news.wait()
            self._roster_news = trio.Event()
            self._look_whether_expelled(nursery)
            allowed = await self._read_allowed()
            if allowed is None:  # a disk that fails now may not fail later, and what was taken away has to go
                with trio.move_on_after(ANYCAST_ROSTER_RETRY_S):
                    await self._roster_news.wait()
                self._roster_news.set()
                continue
            if not self._configure(allowed, new_too=False):
                continue
            # All nodes hear of a roster within seconds, and for a new prefix each begins its sessions anew.
            with trio.move_on_after(self._rng.uniform(0, ANYCAST_ROSTER_SPREAD_S)):
                await self._roster_news.wait()
                continue  # this one is of the past, and what the next takes away goes at once
            self._speaking.restart()
            self._configure(allowed, new_too=True)

    def _look_whether_expelled(self, nursery: trio.Nursery) -> None:
        """A node that the roster takes out leaves as in a drain; if a later one has it again, it comes back."""
        before, self._expelled = self._expelled, self._around.expelled()
        if self._expelled and not before:
            nursery.start_soon(self._drain.run, self._expelled)
        elif before and not self._expelled and not self._is_drained and not self._is_leaving:
            self._drain.undrain()

    async def _read_allowed(self) -> Allowed | None:
        """None where the rosters on disk cannot be read: then all stays as it is."""
        try:
            allowed = await trio.to_thread.run_sync(self._around.allowed)
        except EdgedError as error:
            self._alarm("roster", f"{error.message} [{error.code}]")
            return None
        self._alarm("roster", allowed.refused)
        return allowed

    def _configure(self, allowed: Allowed, *, new_too: bool) -> bool:
        """Turn to what the rosters allow. Whether prefixes are left that the speaker's child does not know of yet.

        Args:
            new_too: it does know of them.
        """
        wanted = wanted_prefixes(self._table, allowed.allow_list)
        self._alarm("prefixes", *wanted.problems)
        held = self._announcer.prefixes
        prefixes = wanted.prefixes if new_too else wanted.prefixes & held
        try:
            # How many may go was decided by the signed rosters, in the same way for all nodes.
            self._announcer.configure(prefixes, allowed=allowed.allow_list, removal_allowed=len(held))
        except BgpError:
            return False  # an alarm of the announcer's by now; all stays as it was
        away = self._is_drained or self._is_leaving or bool(self._expelled)
        self._gates.configure(self._announcer.prefixes, trio.current_time(), drained=away)
        self._announce()
        if self._announcer.prefixes != held:
            self._probing.cancel()
        return prefixes != wanted.prefixes

    def _announce(self) -> None:
        """Hand on what the gates want, whole."""
        entries = self._gates.entries()
        if entries != self._announcer.entries:
            if self._is_announced():
                self._announced_until = trio.current_time()
            try:
                self._announcer.set(entries)
            except BgpError as error:  # a mistake of ours; an alarm of the announcer's by now
                log.debug("anycast.refused", code=error.code, message=error.message)
            self._notify()

    def _is_announced(self) -> bool:
        return any(isinstance(entry, Announcement) for entry in self._announcer.entries)

    def _notify(self) -> None:
        news, self._news = self._news, trio.Event()
        news.set()

    def _alarm(self, subject: str, *sentences: str) -> None:
        """These are the alarms of a subject now; none if all are empty."""
        found = tuple(each for each in sentences if each)
        if found and self._alarms.get(subject) != found:
            log.error("anycast.alarm", subject=subject, message="; ".join(found))
        if found:
            self._alarms[subject] = found
        else:
            self._alarms.pop(subject, None)

    async def _save(self, write: Callable[[], None]) -> None:
        """A disk that is full, or answers nothing, keeps nobody from leaving."""
        why = f"{self._around.state_dir} takes too long"
        with trio.move_on_after(ANYCAST_DRAINED_WRITE_S_MAX):
            try:
                await trio.to_thread.run_sync(write, abandon_on_cancel=True)
                why = ""
            except EdgedError as error:
                why = error.message
        self._alarm("drained", f"{why}: the node forgets at its next start whether it is drained" if why else "")

    def _drain_changed(self, report: DrainReport) -> None:
        log.info(
            "anycast.drain",
            step=report.step,
            reason=report.reason,
            proven=report.withdrawal_proven,
            connections=report.connections_left,
        )
        self._notify()


class _Leaving:
    """What a drain acts on (`bgp.drain.Draining`)."""

    def __init__(self, around: Surroundings, gates: Gates, announce: Callable[[], None], speaking: Speaking) -> None:
        self._around = around
        self._gates = gates
        self._announce = announce
        self._speaking = speaking

    def stay_away(self, reason: str) -> None:
        self._gates.stay_away(trio.current_time(), reason)

    def close_connections(self, on: bool) -> None:
        self._around.workers.set_closing(on)

    def shift(self, reason: str) -> bool:
        is_announced = self._gates.drain(trio.current_time(), reason)
        self._announce()
        return is_announced

    def withdraw(self) -> None:
        self._gates.withdraw(trio.current_time())
        self._announce()

    def undrain(self) -> None:
        self._gates.undrain(trio.current_time())
        self._announce()

    async def wait_proven(self, timeout_s: float) -> bool:
        return await self._speaking.wait_withdrawn(self._gates.prefixes, timeout_s)

    def connections(self) -> int:
        return self._around.connections()

    async def cease(self) -> None:
        await self._speaking.stop()


def _log_gate(prefix: Network, state: GateState, level: Level, reason: str) -> None:
    log.info("anycast.prefix", prefix=str(prefix), state=state, announced=level, reason=reason)
