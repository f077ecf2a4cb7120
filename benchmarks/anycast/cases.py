"""Every way in which a node, or a part of it, goes; how it is mended, and what is hoped for."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.anycast.stage import NODE, ROUTER, Stage
from benchmarks.anycast.trial import Trial

Goal = tuple[str, Callable[[Trial], bool]]
CRASH: Goal = ("first from elsewhere < 0.6 s + RTT", lambda trial: trial.elsewhere_without_rtt_s < 0.6)
BFD: Goal = ("first from elsewhere < 1 s", lambda trial: trial.elsewhere_s < 1.0)
DRAINED: Goal = ("nothing but resets of what was on the wire", lambda trial: trial.is_clean)
WITHDRAWN: Goal = ("withdrawn < 2 s", lambda trial: trial.gone_s is not None and trial.gone_s < 2.0)
KEPT: Goal = ("no route changes anywhere", lambda trial: trial.changes == 0)
KEPT_ALL_ANSWERED: Goal = ("no route changes, nothing fails", lambda trial: trial.changes == 0 and trial.failed == 0)


@dataclass(frozen=True, slots=True)
class Case:
    """Attributes:
    name: for `--case`.
    title: in tables.
    strike: makes it happen; returns when it did, `time.monotonic()`.
    heal: undoes it; None where the node is to come back by itself.
    seconds: that clients go on for after it.
    lab: a name of `stage.LABS`.
    prepare: before clients begin; None for nothing.
    tidy: after all is over. A node that withdrew, or was the last resort, for its health is started anew: each time it
        would hold back for twice as long.
    in_vain: host of an app that is asked all the while, and never answers; "" for none.
    """

    name: str
    title: str
    goal: Goal | None
    strike: Callable[[Stage], float]
    heal: Callable[[Stage], None] | None = None
    seconds: float = 5.0
    lab: str = "hold 9"
    prepare: Callable[[Stage], None] | None = None
    tidy: Callable[[Stage], None] | None = None
    in_vain: str = ""


def _killed(*, of: Callable[[Stage], list[int]]) -> Callable[[Stage], float]:
    return lambda stage: stage.send(signal.SIGKILL, *of(stage))


def _stopped(*, of: Callable[[Stage], list[int]]) -> Callable[[Stage], float]:
    return lambda stage: stage.send(signal.SIGSTOP, *of(stage))


def _continued(*, of: Callable[[Stage], list[int]]) -> Callable[[Stage], None]:
    def heal(stage: Stage) -> None:
        stage.send(signal.SIGCONT, *of(stage))

    return heal


def _everything_killed(stage: Stage) -> float:
    at = time.monotonic()
    stage.kill_all()
    return at


def _cut(stage: Stage) -> float:
    at = time.monotonic()
    stage.net.lab.cut(NODE, ROUTER)
    return at


def _unplugged(stage: Stage) -> float:
    at = time.monotonic()
    stage.net.lab.set_carrier(NODE, ROUTER, up=False)
    return at


def _mended(stage: Stage) -> None:
    stage.net.lab.mend(NODE, ROUTER)


def _plugged(stage: Stage) -> None:
    stage.net.lab.set_carrier(NODE, ROUTER, up=True)


def _silent(lab: str, goal: Goal | None, seconds: float) -> Case:
    return Case(
        f"silent {lab}".replace(" ", "-").lower(),
        f"silent death: packets are lost; {lab}",
        goal,
        _cut,
        _mended,
        seconds,
        lab,
    )


_SUPERVISOR, _SPEAKER, _WORKER, _WORKERS = (
    lambda stage: [stage.supervisor],
    lambda stage: [stage.speaker],
    lambda stage: stage.workers[:1],
    lambda stage: stage.workers,
)

CASES = (
    Case(
        "withdraw",
        "withdrawn at once: `edged drain` with shift_s = 0",
        None,
        Stage.withdraw,
        Stage.undrain,
        7.0,
        prepare=lambda stage: stage.configure("[bgp.drain]\nshift_s = 0\n"),
        tidy=lambda stage: stage.configure(""),
    ),
    Case("drain", "`edged drain`", DRAINED, Stage.drain, Stage.undrain, 7.0),
    Case("sigterm", "SIGTERM: drained, then stopped", DRAINED, Stage.terminate, Stage.start, 12.0),
    Case("kill-speaker", "kill -9 of the speaker", CRASH, _killed(of=_SPEAKER)),
    Case("kill-worker", "kill -9 of one of two workers", KEPT, _killed(of=_WORKER)),
    Case("kill-workers", "kill -9 of both workers", CRASH, _killed(of=_WORKERS), tidy=Stage.start),
    Case("kill-supervisor", "kill -9 of the supervisor", CRASH, _killed(of=_SUPERVISOR), Stage.start),
    Case("kill-all", "kill -9 of everything", CRASH, _everything_killed, Stage.start),
    Case("stop-speaker", "SIGSTOP of the speaker", None, _stopped(of=_SPEAKER)),
    Case("stop-worker", "SIGSTOP of one of two workers", KEPT, _stopped(of=_WORKER)),
    Case(
        "stop-workers",
        "SIGSTOP of both workers: hung data path",
        WITHDRAWN,
        _stopped(of=_WORKERS),
        seconds=8.0,
        tidy=Stage.start,
    ),
    Case("stop-supervisor", "SIGSTOP of the supervisor", None, _stopped(of=_SUPERVISOR), _continued(of=_SUPERVISOR)),
    Case(
        "wedged-loop",
        "the supervisor's loop alone stands still",
        None,
        Stage.stop_main_thread,
        Stage.continue_main_thread,
    ),
    Case("link-down", "link down", CRASH, _unplugged, _plugged),
    _silent("hold 9", None, 15.0),
    _silent("hold 3", None, 9.0),
    _silent("BFD", BFD, 5.0),
    Case(
        "hung-guest",
        "an app whose guest sleeps for ever",
        KEPT_ALL_ANSWERED,
        lambda _stage: time.monotonic(),
        in_vain="sleeps.example",
    ),
    Case(
        "endless-guest",
        "an app whose guest computes for ever",
        KEPT_ALL_ANSWERED,
        lambda _stage: time.monotonic(),
        in_vain="computes.example",
    ),
    Case(
        "full-disk",
        "full disk: announced as a last resort",
        DRAINED,
        Stage.fill_disk,
        Stage.free_disk,
        tidy=Stage.start,
    ),
    Case(
        "alone",
        "registry, peers and DNS vanish",
        KEPT_ALL_ANSWERED,
        Stage.cut_off_nodes,
        Stage.join_nodes,
        10.0,
    ),
)
