"""Check `clock`: vouchers and certificates end by it, and what was accepted from peers is dated by theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import trio

from edged.doctor.command import ask, properties
from edged.doctor.finding import Finding
from edged.doctor.subject import Subject
from edged.limits import DOCTOR_CLOCK_BEHIND_S_MAX
from edged.status.problem import duration
from provisioning import paths

_SYNCHRONISE = "Run `timedatectl set-ntp true`, and see `timedatectl timesync-status`."


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """Attributes:
    timedatectl: its properties; None: it could not be asked, and `why`.
    written: unix time of the newest file that was written here, s; 0 for none.
    """

    timedatectl: Mapping[str, str] | None
    why: str = ""
    written: float = 0.0


async def look(subject: Subject) -> Iterator[Finding]:
    said = await ask("timedatectl", "show")
    written = await trio.to_thread.run_sync(_newest, subject, abandon_on_cancel=True)
    return judge(ClockFacts(None if said.why else properties(said.output), said.why, written), subject.now)


def judge(facts: ClockFacts, now: float) -> Iterator[Finding]:
    behind = facts.written - now
    if behind > DOCTOR_CLOCK_BEHIND_S_MAX:
        text = f"the clock is wrong: it is {duration(behind)} behind files that were written on this machine"
        yield Finding("clock", "problem", text, _SYNCHRONISE)
    elif facts.timedatectl is None:
        yield Finding("clock", "unknown", f"whether the clock is synchronised: {facts.why}")
    elif facts.timedatectl.get("NTPSynchronized") == "yes":
        yield Finding("clock", "ok", "the clock is synchronised")
    elif facts.timedatectl.get("NTP") == "yes":
        text = "the clock is not synchronised yet: no time server has answered"
        yield Finding(
            "clock", "warning", text, "Open UDP port 123 to a time server; see `timedatectl timesync-status`."
        )
    else:
        text = "nothing keeps the clock right: vouchers and certificates end too early or too late by it"
        yield Finding("clock", "warning", text, _SYNCHRONISE)


def _newest(subject: Subject) -> float:
    newest = 0.0
    for path in (paths.MACHINE, paths.CONFIG, paths.VOUCHER):
        with suppress(OSError):
            newest = max(newest, os.stat(subject.path(path)).st_mtime)
    return newest
