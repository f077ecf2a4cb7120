"""Check `unit`: whether systemd has the node's unit, and starts it at boot. Check `start`: what keeps it from running.

systemctl show ── properties ──┬── judge ──> unit, start
failure.json ── last error ────┘
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edged.doctor.finding import Finding, then
from edged.doctor.subject import NODE_UNIT, Subject
from edged.status.problem import duration

_RESTARTS_WARNED = 3  # one or two are a reboot of something else, or an upgrade
_LOG = f"See `journalctl -u {NODE_UNIT} -n 50`."


async def look(subject: Subject) -> Iterator[Finding]:
    if subject.units is None:
        return judge_unknown(subject)
    return judge(subject.units.get(NODE_UNIT, {}), subject)


def judge_unknown(subject: Subject) -> Iterator[Finding]:
    """Without systemd. What the node said last is true all the same."""
    yield from _failed(subject, "the node does not run")
    yield Finding("unit", "unknown", f"whether {NODE_UNIT} runs: {subject.units_why}")


def judge(unit: Mapping[str, str], subject: Subject) -> Iterator[Finding]:
    """
    Args:
        unit: properties of the node's unit, as systemctl(1) shows them.
    """
    load = unit.get("LoadState", "")
    if load != "loaded":
        yield from _not_loaded(load, subject)
        return
    if unit.get("NeedDaemonReload") == "yes":
        text = f"systemd has not read the {NODE_UNIT} that is on the disk"
        yield Finding("unit", "warning", text, f"Run `systemctl daemon-reload; systemctl restart {NODE_UNIT}`.")
    if unit.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "generated"):
        text = f"{NODE_UNIT} is not started at boot"
        yield Finding("unit", "warning", text, f"Run `systemctl enable {NODE_UNIT}`.")
    yield from _activity(unit, subject)


def _not_loaded(load: str, subject: Subject) -> Iterator[Finding]:
    if load == "masked":
        text, remedy = f"{NODE_UNIT} is masked", f"Run `systemctl unmask {NODE_UNIT}; systemctl start {NODE_UNIT}`."
        yield Finding("unit", "problem", text, remedy)
    elif load in ("bad-setting", "error"):
        text = f"systemd cannot use {NODE_UNIT}: {load}"
        yield Finding("unit", "problem", text, f"See `systemd-analyze verify {NODE_UNIT}`, and correct it.")
    elif subject.is_provisioned:
        text = f"systemd has no {NODE_UNIT}"
        remedy = f"Put it there as it was provisioned, then run `systemctl enable --now {NODE_UNIT}`."
        yield Finding("unit", "problem", text, remedy)
    else:
        yield from _failed(subject, "the node does not run")
        yield Finding("unit", "note", f"systemd has no {NODE_UNIT}: this node is started by other means")


def _activity(unit: Mapping[str, str], subject: Subject) -> Iterator[Finding]:
    active, sub = unit.get("ActiveState", ""), unit.get("SubState", "")
    restarts = int(count) if (count := unit.get("NRestarts", "")).isdecimal() else 0
    if active in ("active", "reloading", "deactivating"):
        if restarts >= _RESTARTS_WARNED:
            text = f"{NODE_UNIT} runs, and was started again {restarts} times since it was started by hand or at boot"
            yield Finding("start", "warning", text, _LOG)
        yield Finding("unit", "ok", f"{NODE_UNIT} is {active}")
    elif active != "activating" and unit.get("Job", "0") in ("", "0"):
        text = f"{NODE_UNIT} is {active or 'in no state that is known'}, and nothing starts it"
        yield Finding("unit", "problem", text, f"Run `systemctl start {NODE_UNIT}`. {_LOG}")
        yield from _failed(subject, "the node has ended")
    elif sub == "auto-restart" or restarts:
        why = f"{NODE_UNIT} ends again and again, {restarts} times so far"
        found = tuple(_failed(subject, why))
        yield from found
        if not found:
            yield Finding("start", "problem", f"{why}: {unit.get('Result') or 'no reason is known'}", _LOG)
    else:
        yield Finding("start", "warning", f"{NODE_UNIT} is being started", f"Wait a moment. {_LOG}")


def _failed(subject: Subject, start: str) -> Iterator[Finding]:
    """What the node ended by, if it does not run."""
    failure = subject.failure
    if failure is None or subject.status is not None:  # one that was started by hand beside it may have left its own
        return
    reason = "; ".join(failure.message.splitlines())
    text = f"{start}: {reason} [{failure.code}, {duration(subject.now - failure.at)} ago]"
    yield Finding("start", "problem", text, then(failure.remedy, subject.again))
