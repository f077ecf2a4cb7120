"""One app's rollout at work: the trio shell around `edged.fleet.rollout`.

    deployments, workers, clock ── tell ──> Rollout ── Plan ──┬─ saved ─────── Hands.save, then
                                                              ├─ placements ── Hands.place
                                                              └─ task ──────── Hands.fetch, Hands.check_out

What goes wrong here concerns this app only: errors become events, mistakes of ours too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
import trio

from edged.errors import EdgedError, RolloutNotSaved
from edged.fleet.deployment import Deployment
from edged.fleet.record import Version
from edged.fleet.report import AppReport
from edged.fleet.rollout import Rollout
from edged.fleet.rollout_event import (
    CheckedOut,
    CheckOutFailed,
    Desired,
    Event,
    Fetched,
    FetchFailed,
    Judged,
    Target,
    Tick,
)
from edged.fleet.rollout_plan import Plan, Task
from edged.fleet.wave import Go, Nodes, Verdict, Wave
from edged.limits import ROLLOUT_RETRY_S_MAX
from edged.node.rollout_store import Kept
from registry.errors import (
    BlobCorrupt,
    BlobMismatch,
    BlobMissing,
    EnvelopeInvalid,
    KeyNotAllowed,
    PathInvalid,
    RegistryError,
    ReleaseInvalid,
    ReleaseMissing,
    SignatureInvalid,
)

log = structlog.get_logger()

_LASTING = (BlobMismatch, EnvelopeInvalid, KeyNotAllowed, PathInvalid, ReleaseInvalid, SignatureInvalid)
"""What is wrong with the release itself. Anything else is somebody's disk or network."""

_INCOMPLETE = (BlobCorrupt, BlobMissing, ReleaseMissing)


@dataclass(frozen=True, slots=True)
class Placed:
    """A release that workers are to have, and the deployment that asks for it."""

    deployment: Deployment
    release: str
    serve: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """Plain bytes of a release: fetched, to be fetched, and not fetched since they were here."""

    bytes_done: int = 0
    bytes_total: int = 0
    bytes_saved: int = 0


class Hands(Protocol):
    """What a rollout has done for it. Errors are ours or the registry's."""

    async def save(self, app: str, kept: Kept) -> None: ...

    def place(self, app: str, placed: tuple[Placed, ...]) -> None:
        """Give workers these releases of the app and no others."""

    async def fetch(self, app: str, release: str, moved: Callable[[Moved], None]) -> None:
        """Bring a release here and make sure that it may run."""

    async def check_out(self, release: str) -> None:
        """Lay its files out for workers."""


class AppRollout:
    """See the module.

    Args:
        kept: what was on disk; None for an app that is new here.
        turns: tasks of all apps that may run at once.

    Attributes:
        placed: set once there is nothing to be done any more, or just now, for workers to have what is live.
    """

    def __init__(self, app: str, kept: Kept | None, hands: Hands, turns: trio.Semaphore) -> None:
        self.app = app
        self._hands = hands
        self._turns = turns
        self._rollout = Rollout(kept.saved if kept else None, now=trio.current_time())
        self._deployments = dict(kept.deployments) if kept else {}
        self._on_disk = kept.saved if kept else None
        self._unsaved: RolloutNotSaved | None = None
        self._plan = self._rollout.plan()
        self._wanted: tuple[Target, str] | None = None
        self._wave: Wave | None = None
        self._verdict: Verdict | None = None
        self._since = time.time()
        self._moved = Moved()
        self._task: Task | None = None
        self._scope: trio.CancelScope | None = None
        self._news = trio.Event()
        self.placed = trio.Event()

    # --- inputs ---

    def desire(self, deployment: Deployment, region: str) -> None:
        """The newest deployment of the app, for a node of this region."""
        target = Target(deployment.version, deployment.regions.get(region, ""))
        if (target, region) == self._wanted:
            return
        self._wanted = target, region
        self._deployments[deployment.version] = deployment
        wave = Wave(deployment, region)
        self._wave, self._verdict = None if wave.is_first else wave, None
        self.tell(Desired(target, waits=not wave.is_first))

    @property
    def waits(self) -> bool:
        """Whether `judge` is to be called."""
        return self._wave is not None

    def judge(self, nodes: Nodes, now: float) -> None:
        """Look whether the waves before this node's have done well.

        Args:
            nodes: what was heard of the others.
            now: of the clock that is theirs.
        """
        if self._wave is None:
            return
        verdict = self._wave.verdict(nodes, now)
        if verdict == self._verdict:
            return
        self._verdict = verdict
        assert self._wanted is not None
        if isinstance(verdict, Go):
            self._wave = None
            for region in verdict.passed_over:
                log.warning("wave.passed-over", app=self.app, sequence=self._wanted[0].version.sequence, region=region)
        self.tell(Judged(self._wanted[0].version, verdict))

    def tell(self, event: Event) -> None:
        """Something happened."""
        before, self._plan = self._plan, self._rollout.handle(event, trio.current_time())
        plan = self._plan
        if (before.stage, before.desired) != (plan.stage, plan.desired):
            self._since = time.time()
            self._log()
        if before.desired != plan.desired:
            self._moved = Moved()
        if plan != before:
            self._news.set()

    # --- what is known ---

    @property
    def plan(self) -> Plan:
        return self._plan

    @property
    def has_something(self) -> bool:
        """Whether this node serves it, or is about to."""
        return self._plan.saved.live is not None or bool(self._plan.desired)

    def releases(self) -> set[str]:
        """Digests of the releases that it has a use for: one that waits for others, or for its next try, among them."""
        targets = self._targets()
        if self._wanted is not None and self._plan.stage not in ("failed", "reverted"):
            targets.append(self._wanted[0])
        return {target.release for target in targets if target.release}

    def report(self, *, requests: int, failures: int) -> AppReport:
        """How it does.

        Args:
            requests, failures: since what is live is served.
        """
        plan, moved = self._plan, self._moved
        report = AppReport(
            desired=plan.desired,
            running=plan.running,
            release=plan.release,
            stage=plan.stage,
            error_code=plan.code,
            error_message=plan.message,
            since=self._since,
            bytes_done=moved.bytes_done,
            bytes_total=moved.bytes_total,
            bytes_saved=moved.bytes_saved,
            requests=requests,
            failures=failures,
        )
        if self._unsaved is None:
            return report
        # Workers have what was on disk before, whatever was decided since.
        live = self._on_disk.live if self._on_disk else None
        return replace(
            report,
            running=live.version.sequence if live else 0,
            release=live.release if live else "",
            stage="verify",
            error_code=self._unsaved.code,
            error_message=self._unsaved.message,
        )

    # --- at work ---

    async def run(self) -> None:
        """Do what the plan says, until cancelled. After an error it may be run again."""
        self._task = self._scope = None
        async with trio.open_nursery() as nursery:
            while True:
                self._news = trio.Event()
                plan = self._plan
                wake_at = math.inf if plan.wake_at is None else plan.wake_at
                if await self._save(plan):
                    if self._plan.saved != plan.saved:
                        continue  # it changed while it was written: what is placed has to be what is on disk
                    self._forget()
                    self._hands.place(self.app, self._placed(self._plan))
                else:
                    wake_at = min(wake_at, trio.current_time() + ROLLOUT_RETRY_S_MAX)
                if self._plan.task is None:
                    self.placed.set()
                self._work(self._plan.task, nursery)
                with trio.move_on_at(wake_at) as waiting:
                    await self._news.wait()
                if waiting.cancelled_caught:
                    self.tell(Tick())

    async def _save(self, plan: Plan) -> bool:
        """Whether it is on disk."""
        if plan.saved == self._on_disk:
            return True
        live, previous = plan.saved.live, plan.saved.previous
        versions = {target.version for target in (live, previous) if target is not None}
        try:
            await self._hands.save(
                self.app, Kept(plan.saved, {version: self._deployments[version] for version in versions})
            )
        except RolloutNotSaved as error:
            log.error("rollout.not-saved", app=self.app, code=error.code, message=error.message)
            self._unsaved = error
            return False
        self._unsaved = None
        self._on_disk = plan.saved
        return True

    def _targets(self) -> list[Target]:
        plan = self._plan
        found = [plan.saved.live, plan.saved.previous, plan.task.target if plan.task else None]
        return [target for target in found if target is not None] + [each.target for each in plan.placements]

    def _forget(self) -> None:
        """Deployments that nothing speaks of any more hold secrets that nobody needs."""
        needed = {target.version for target in self._targets()} | {self._plan.saved.floor}
        self._deployments = {version: each for version, each in self._deployments.items() if version in needed}

    def _placed(self, plan: Plan) -> tuple[Placed, ...]:
        return tuple(
            Placed(self._deployments[each.target.version], each.target.release, each.serve) for each in plan.placements
        )

    def _work(self, task: Task | None, nursery: trio.Nursery) -> None:
        if task == self._task:
            return
        if self._scope is not None:
            self._scope.cancel()
        self._task = self._scope = None
        if task is not None:
            self._task, self._scope = task, trio.CancelScope()
            nursery.start_soon(self._do, task, self._scope)

    async def _do(self, task: Task, scope: trio.CancelScope) -> None:
        with scope:
            async with self._turns:
                event = await self._attempt(task)
        if self._scope is scope:  # else another task has its place, and what this one found out is of no use
            self._task = self._scope = None
            self.tell(event)
            self._news.set()

    async def _attempt(self, task: Task) -> Event:
        version, release = task.target.version, task.target.release
        try:
            if task.kind == "fetch":
                await self._hands.fetch(self.app, release, self._note)
                return Fetched(version)
            await self._hands.check_out(release)
            return CheckedOut(version)
        except (EdgedError, RegistryError) as error:
            # A fault that passes by itself shows in no stage: it is tried again, and this is all there is of it.
            log.info("rollout.attempt-failed", app=self.app, task=task.kind, code=error.code, message=error.message)
            return _failure(task, version, error)
        except Exception:
            log.exception("rollout.broken", app=self.app)
            return _failure(task, version, EdgedError("a mistake in edged, see the node's log"))

    def _note(self, moved: Moved) -> None:
        self._moved = moved

    def _log(self) -> None:
        plan = self._plan
        (log.warning if plan.stage in ("failed", "reverted", "held") else log.info)(
            "rollout.stage",
            app=self.app,
            stage=plan.stage,
            desired=plan.desired,
            running=plan.running,
            code=plan.code or None,
            message=plan.message or None,
        )


def _failure(task: Task, version: Version, error: EdgedError | RegistryError) -> Event:
    passing = not isinstance(error, _LASTING)
    if task.kind == "fetch":
        return FetchFailed(version, error.code, error.message, passing)
    return CheckOutFailed(version, error.code, error.message, isinstance(error, _INCOMPLETE), passing)
