"""`edged upgrade`: another version on this machine, and back to the old one if the node does not serve as before.

    FILE, URL ── bring ──> /usr/local/lib/edged/edged-<sha256> ── try: --version, check --config
                                                                      │
    upgrade.json <── what is under way ── switch: the link /usr/local/bin/edged ── restart: systemctl
                                                                      │
             as before, or back <── watch: the unit, the admin API ───┘

`steps.py` has what follows each step. Killed anywhere, it can be run again: `record.py` has what was promised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import trio

from edged.errors import (
    EdgedError,
    UpgradeBusy,
    UpgradeFolderError,
    UpgradeImpossible,
    UpgradeNeedless,
    UpgradeStuck,
    UpgradeUndone,
)
from edged.limits import UPGRADE_LOOK_INTERVAL_S, UPGRADE_RESTART_COUNT_MAX, MiB
from edged.upgrade import processes
from edged.upgrade.event import Show, Stepped, Upgraded
from edged.upgrade.leftovers import remove_leftovers
from edged.upgrade.record import Record, RecordFile, UnderWay
from edged.upgrade.serving import Expected, Serving, expected, lacking
from edged.upgrade.source import bring
from edged.upgrade.steps import FIRST, Course, Outcome, Step, following, is_step
from edged.upgrade.unit import UnitState, check_program
from edged.upgrade.versions import Versions
from provisioning.binary.header import build_id_of

_RECORD = "upgrade.json"


class ServiceUnit(Protocol):
    """`edged.upgrade.unit.Unit`"""

    name: str

    async def state(self) -> UnitState: ...

    async def restart(self) -> None: ...


class NodeAdmin(Protocol):
    """`edged.upgrade.admin.Admin`"""

    async def look(self) -> Serving | str: ...


class VersionTrial(Protocol):
    """`edged.upgrade.trial.Trial`"""

    async def version_of(self, binary: Path) -> str: ...

    async def check_config(self, binary: Path, config: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Machine:
    """What is upgraded.

    Attributes:
        config: the node.toml.
        unpacked: where versions unpack themselves.
    """

    versions: Versions
    unit: ServiceUnit
    admin: NodeAdmin
    trial: VersionTrial
    config: Path
    unpacked: Path


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for.

    Attributes:
        where: path or address of the new version; "" for the one before.
        sha256: that it has to have.
        restart: False: it is used at the next start of the unit.
        watch_s: the node has so long to serve as before.
    """

    where: str
    sha256: str | None
    restart: bool
    watch_s: float


async def upgrade(machine: Machine, order: Order, show: Show) -> Upgraded:
    """
    Raises:
        UpgradeForbidden, UpgradeBusy, UpgradeFolderError, UpgradeImpossible, UpgradeNeedless: nothing has changed.
        UpgradeSourceUnavailable, UpgradeDigestMismatch, UpgradeUnusable: nothing has changed.
        UpgradeUndone: the node serves as before, with the old version.
        UpgradeStuck: it does with neither.
    """
    with machine.versions.locked():
        return await _Upgrade(machine, order, show).run()


class _Upgrade:
    def __init__(self, machine: Machine, order: Order, show: Show) -> None:
        self._machine = machine
        self._versions = machine.versions
        self._order = order
        self._show = show
        self._record_file = RecordFile(machine.versions.folder / _RECORD)
        self._record = Record()
        self._began = trio.current_time()
        self._step: Step = FIRST
        self._current: str | None = None
        self._running: str | None = None
        self._restarts: int | None = None
        self._new = ""
        self._old: str | None = None
        self._version = ""
        self._is_restarted = self._was_restarted = False
        self._restart_at: float | None = None
        self._away_s: float | None = None
        self._expected: Expected | None = None
        self._removed: tuple[str, ...] = ()
        self._do: Mapping[Step, Callable[[], Awaitable[None]]] = {
            "bring": self._bring,
            "try": self._try,
            "switch": self._switch,
            "restart": self._restart,
            "watch": self._watch,
            "finish": self._finish,
            "discard": self._discard,
            "switch back": self._switch_back,
            "restart back": self._restart,
            "watch back": self._watch_back,
            "give up": self._give_up,
        }

    async def run(self) -> Upgraded:
        unit = await self._machine.unit.state()
        check_program(self._machine.unit.name, unit, self._versions.command)
        self._record = await trio.to_thread.run_sync(self._record_file.read)
        way = self._record.under_way
        self._was_restarted = way is not None and way.expected is not None
        if unit.active == "deactivating" and not self._was_restarted:
            raise UpgradeBusy(
                f"{self._machine.unit.name} is just being stopped",
                remedy="Wait until it is stopped, or runs again; then run this again.",
            )
        # One that somebody stopped stays so; but not one that was left half-way.
        self._is_restarted = self._order.restart and (unit.active != "inactive" or self._was_restarted)
        self._current = await trio.to_thread.run_sync(self._versions.current)
        self._running = await trio.to_thread.run_sync(self._version_of, unit.main_pid)
        failed: list[EdgedError] = []
        step: Step | Outcome = FIRST
        while is_step(step):
            self._step = step  # type: ignore[assignment]
            error = await self._take(self._step)
            if error is not None:
                failed.append(error)
                self._say(error.message)
            step = following(self._step, done=error is None, course=self._course())
        return self._ended(step, failed)  # type: ignore[arg-type]

    def _course(self) -> Course:
        return Course(restart=self._is_restarted, has_old=self._old is not None, was_restarted=self._was_restarted)

    async def _take(self, step: Step) -> EdgedError | None:
        try:
            await self._do[step]()
        except EdgedError as error:
            return error
        return None

    def _ended(self, outcome: Outcome, failed: list[EdgedError]) -> Upgraded:
        why = failed[0] if failed else None
        if outcome == "unchanged" and why is not None:
            raise why
        if outcome == "undone":
            raise UpgradeUndone(f"the node serves as before, with the old version: {_message(why)}") from why
        if outcome == "stuck":
            last = f"; then: {_message(failed[-1])}" if len(failed) > 1 else ""
            raise UpgradeStuck(f"the node does not serve as before: {_message(why)}{last}") from why
        ended = Upgraded(outcome, self._new, self._version, self._old or "", self._away_s, self._removed)
        self._show(ended)
        return ended

    def _say(self, text: str) -> None:
        self._show(Stepped(self._step, text, round(trio.current_time() - self._began, 3)))

    # --- until something changes ---

    async def _bring(self) -> None:
        versions, order = self._versions, self._order
        if not order.where:
            self._new = await self._before()
            self._say(f"the one before is {self._new}")
        elif order.sha256 is not None and await trio.to_thread.run_sync(versions.is_whole, order.sha256):
            self._new = order.sha256
            self._say(f"{versions.path(self._new)} is here already")
        else:
            self._say(f"from {order.where}" if "://" not in order.where else "from its address")
            self._new = await bring(versions, order.where, order.sha256, _Percent(self._say).progress)
            self._say(f"sha256 {self._new}")
        way = self._record.under_way
        is_running = self._running in (self._new, None) or not self._is_restarted
        if self._new == self._current and is_running and way is None:
            raise UpgradeNeedless(f"{versions.command} leads to {versions.path(self._new)} already")
        # Whoever was stopped half-way had promised to go back to what served before, and not to what is in use now.
        candidates = (way.back_to if way else None, self._running, self._current, way.to if way else None)
        self._old = next((each for each in candidates if each not in (None, self._new)), None)

    async def _before(self) -> str:
        found = self._record.way_back(self._current)
        if found is None:
            raise UpgradeImpossible(
                "no version before this one is known here", remedy="Give `edged upgrade` the file or its address."
            )
        if not await trio.to_thread.run_sync(self._versions.is_whole, found):
            raise UpgradeImpossible(
                f"the version before this one, {self._versions.path(found)}, is not there, or damaged",
                remedy="Give `edged upgrade` the file or its address.",
            )
        return found

    async def _try(self) -> None:
        path = self._versions.path(self._new)
        self._version = await self._machine.trial.version_of(path)
        self._say(f"it is {self._version}")
        await self._machine.trial.check_config(path, self._machine.config)
        self._say(f"it would start with {self._machine.config}")

    async def _discard(self) -> None:
        if self._new not in self._kept():
            await trio.to_thread.run_sync(self._versions.remove, self._new)

    # --- from here on the record says what is under way ---

    async def _switch(self) -> None:
        if self._old is None:
            adopted = await trio.to_thread.run_sync(self._versions.adopt)
            self._old = adopted if adopted != self._new else None
        way = self._record.under_way
        self._expected = way.expected if way else None
        await self._write(replace(self._record, under_way=UnderWay(self._new, self._old, self._expected)))
        if self._is_restarted and self._expected is None:
            found = await self._machine.admin.look()
            if isinstance(found, str):
                self._say(f"what it serves is not known, so its workers are all that is waited for: {found}")
            self._expected = expected(None if isinstance(found, str) else found)
            await self._write(replace(self._record, under_way=UnderWay(self._new, self._old, self._expected)))
        await trio.to_thread.run_sync(self._versions.use, self._new)
        self._say(f"{self._versions.command} leads to it")
        if not self._is_restarted:
            self._say(f"{self._machine.unit.name} runs it from its next start on")

    async def _restart(self) -> None:
        self._say(f"{self._machine.unit.name} leaves traffic, and starts again")
        self._restart_at = trio.current_time()
        self._restarts = None
        self._was_restarted = True
        await self._machine.unit.restart()

    async def _watch(self) -> None:
        await self._until_as_before(self._new)
        assert self._restart_at is not None
        self._away_s = round(trio.current_time() - self._restart_at, 3)
        self._say("the node serves as before")

    async def _finish(self) -> None:
        await self._write(Record(in_use=self._new, before=self._old))
        self._removed = await trio.to_thread.run_sync(
            remove_leftovers, self._versions, self._kept(), self._machine.unpacked
        )

    # --- back ---

    async def _switch_back(self) -> None:
        assert self._old is not None
        await trio.to_thread.run_sync(self._versions.use, self._old)
        self._say(f"{self._versions.command} leads to the old one again, {self._old}")

    async def _watch_back(self) -> None:
        assert self._old is not None
        await self._until_as_before(self._old)

    async def _give_up(self) -> None:
        await self._write(replace(self._record, under_way=None))

    # --- inside ---

    def _kept(self) -> set[str]:
        record, way = self._record, self._record.under_way
        named = (self._current, record.in_use, record.before, *((way.to, way.back_to) if way else ()))
        return {each for each in named if each is not None}

    async def _write(self, record: Record) -> None:
        await trio.to_thread.run_sync(self._record_file.write, record)
        self._record = record

    async def _until_as_before(self, sha256: str) -> None:
        """
        Raises:
            UpgradeUndone: it is not, in the time that it has, or will not be.
        """
        wanted = expected(None) if self._expected is None else self._expected
        last: tuple[str, ...] = ()
        with trio.move_on_after(self._order.watch_s):
            while True:
                last = await self._lacking(wanted, sha256, last)
                if not last:
                    return
                await trio.sleep(UPGRADE_LOOK_INTERVAL_S)
        raise UpgradeUndone(f"after {self._order.watch_s:g} s {'; '.join(last) or 'the node does not answer'}")

    async def _lacking(self, wanted: Expected, sha256: str, last: tuple[str, ...]) -> tuple[str, ...]:
        unit = await self._machine.unit.state()
        if self._restarts is None:
            self._restarts = unit.restarts
        if unit.active == "failed" or unit.restarts - self._restarts >= UPGRADE_RESTART_COUNT_MAX:
            raise UpgradeUndone(f"{self._machine.unit.name} does not stay up: it is {unit.active}")
        found = await self._machine.admin.look()
        now = (found,) if isinstance(found, str) else lacking(wanted, found)
        if not now:
            await trio.to_thread.run_sync(self._check_running, unit.main_pid, sha256)
        elif now[0] not in last:
            self._say(now[0])
        return now

    def _check_running(self, pid: int, sha256: str) -> None:
        """
        Raises:
            UpgradeUndone: what the unit runs is not this version.
        """
        path = self._versions.path(sha256)
        try:
            is_one_file = build_id_of(path) is not None
        except OSError as error:
            raise UpgradeFolderError(f"{path}: {error.strerror}") from error
        # What says nothing of where it came from is believed: a script that somebody put there, into a venv.
        if is_one_file and self._version_of(pid) != sha256:
            raise UpgradeUndone(f"the unit runs {processes.one_file_of(pid) or 'something else'}, and not {path}")

    def _version_of(self, pid: int) -> str | None:
        """Which version of ours a process is; None for none, and where that cannot be told."""
        path = processes.one_file_of(pid) if pid else None
        found = next((each for each in self._versions.all() if path == self._versions.path(each).resolve()), None)
        return found if path else None


class _Percent:
    """Says how much is here, at each tenth."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._tenth = 0

    def progress(self, count: int, total: int | None) -> None:
        tenth = count * 10 // total if total else 0
        if tenth > self._tenth:
            self._tenth = tenth
            self._say(f"{count / MiB:.1f} MiB, {min(tenth, 10) * 10} %")


def _message(error: EdgedError | None) -> str:
    return "" if error is None else error.message
