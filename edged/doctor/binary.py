"""Check `binary`: whether there is an edged, whether it is whole, and if not, how bringing it goes.

/usr/local/bin/edged ─> /usr/local/lib/edged/edged-SHA256 ── hashed ──┐
/var/cache/edged/BUILD-ID, what runs ── hashed ───────────────────────┤
/run/edged-fetch/state ── what edged-fetch said last ─────────────────┴── judge
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from edged.doctor.command import properties
from edged.doctor.finding import Finding
from edged.doctor.machine_file import MachineFile
from edged.doctor.subject import FETCH_UNIT, NODE_UNIT, Subject
from edged.limits import DOCTOR_BINARY_BYTES_MAX, DOCTOR_FILE_BYTES_MAX
from edged.status.problem import duration
from provisioning import paths
from provisioning.binary.contents import build_id, entries_of
from provisioning.binary.header import build_id_of

_PIECE_BYTES = 1024 * 1024
_AGAIN = "It is tried again at least every 30 s: nothing else needs to be done."
_name = re.compile(r"edged-([0-9a-f]{64})").fullmatch


@dataclass(frozen=True, slots=True)
class BinaryFacts:
    """What was found.

    Attributes:
        target: path of what the command leads to; "" for nothing.
        sha256: of its bytes; "" where they could not be read.
        is_writable: others than root may change it.
        damaged: folder that it is unpacked to, if that has something else than was packed; "" where it is whole, and
            where there is none: the next start makes it.
        fetch: what edged-fetch said last; empty if nothing.
        fetch_state: of its unit, as systemctl has it; "" where that is not known.
        why: it could not be looked at.
    """

    target: str = ""
    sha256: str = ""
    is_writable: bool = False
    damaged: str = ""
    fetch: Mapping[str, str] = field(default_factory=dict)
    fetch_state: str = ""
    why: str = ""


async def look(subject: Subject) -> Iterator[Finding]:
    if not subject.is_provisioned:
        return iter(())
    facts = await trio.to_thread.run_sync(_gather, subject, abandon_on_cancel=True)
    return judge(facts, subject.machine if isinstance(subject.machine, MachineFile) else None, subject.now)


def judge(facts: BinaryFacts, machine: MachineFile | None, now: float) -> Iterator[Finding]:
    """One finding, but for what is worth a note as well."""
    name = _name(facts.target.rpartition("/")[2])
    if facts.why:
        yield Finding("binary", "unknown", facts.why, "Run `edged doctor` as root.")
    elif name is None:
        yield _other(facts, now)
    elif facts.sha256 != name[1]:
        yield Finding(
            "binary",
            "problem",
            f"{facts.target} is damaged: its sha256 is {facts.sha256}",
            f"Look at the disk; then run `rm {facts.target}; systemctl restart {FETCH_UNIT}`, which brings it again.",
        )
    elif facts.is_writable:
        yield Finding(
            "binary",
            "problem",
            f"others than root may change {facts.target}, which root runs",
            f"Run: chown root:root {facts.target}; chmod 0755 {facts.target}",
        )
    elif facts.damaged:
        # Not a restart: a node reads from there until it has ended.
        again = f"systemctl stop {NODE_UNIT}; rm -r {facts.damaged}; systemctl start {NODE_UNIT}"
        remedy = f"Look at the disk; then run `{again}`, which unpacks it again."
        yield Finding("binary", "problem", f"{facts.damaged}, from where edged runs, is damaged", remedy)
    else:
        yield Finding("binary", "ok", f"{paths.COMMAND} is the file with the sha256 {facts.sha256}")
        if machine is not None and machine.binary_sha256 != facts.sha256:
            yield Finding(
                "binary", "note", f"it is another than it was provisioned with, {machine.binary_sha256[:12]}…"
            )


def _other(facts: BinaryFacts, now: float) -> Finding:
    if not facts.target or facts.target == str(paths.NOT_HERE):
        return _absent(facts, now)
    text = f"{paths.COMMAND} leads to {facts.target}, which is no edged that was brought by its digest"
    # edged-fetch leaves what an operator has put elsewhere, and the node may well run with it.
    is_ours = os.path.normpath(paths.COMMAND.parent / facts.target).startswith(f"{paths.BINARIES}/")
    remedy = "Run `edged upgrade FILE --sha256 HEX` with the one that is meant."
    return Finding("binary", "problem" if is_ours else "warning", text, remedy)


def _absent(facts: BinaryFacts, now: float) -> Finding:
    say = _FETCH.get(facts.fetch.get("state", ""))
    if say is None or facts.fetch_state in ("inactive", "failed"):
        remedy = f"Run `systemctl enable --now {FETCH_UNIT}`, then see `systemctl status {FETCH_UNIT}`."
        return Finding("binary", "problem", "there is no edged here, and nothing brings it", remedy)
    fetch = {key: facts.fetch.get(key, "") for key in ("from", "reason", "got", "tries")}
    text, remedy = say(fetch)
    return Finding("binary", "problem", f"{text} ({_last(facts.fetch, now)})", f"{remedy} {_AGAIN}")


def _waiting(fetch: Mapping[str, str]) -> tuple[str, str]:
    text = f"edged is being brought: {fetch['reason'] or 'the first try is under way'}"
    return text, f"Wait, or see `journalctl -u {FETCH_UNIT}`."


def _unreachable(fetch: Mapping[str, str]) -> tuple[str, str]:
    text = f"edged cannot be had from {fetch['from']}: {fetch['reason']}"
    remedy = f"Make that work, or name another place in {paths.BINARY_ENV} (EDGED_URLS, EDGED_PATH)."
    return text, remedy


def _wrong_digest(fetch: Mapping[str, str]) -> tuple[str, str]:
    text = f"{fetch['from']} has another file than the one that is wanted: its sha256 is {fetch['got']}"
    remedy = f"Put the right one there; or, if this one is meant, correct EDGED_SHA256 in {paths.BINARY_ENV}."
    return text, remedy


def _unusable(fetch: Mapping[str, str]) -> tuple[str, str]:
    text = f"edged is here and does not run: {fetch['reason']}"
    remedy = f"See that it was built for this machine, {os.uname().machine}, and that {paths.UNPACKED} has room."
    return text, remedy


_FETCH: Mapping[str, Callable[[Mapping[str, str]], tuple[str, str]]] = {
    "waiting": _waiting,
    "unreachable": _unreachable,
    "wrong-digest": _wrong_digest,
    "unusable": _unusable,
}
"""What edged-fetch is at -> what is wrong, and what to do."""


def _last(fetch: Mapping[str, str], now: float) -> str:
    at, tries = fetch.get("at", ""), fetch.get("tries", "")
    when = f", {duration(now - int(at))} ago" if at.isascii() and at.isdecimal() and len(at) < 12 else ""
    return f"try {tries or '?'}{when}"


def _gather(subject: Subject) -> BinaryFacts:
    unit = (subject.units or {}).get(FETCH_UNIT, {})
    fetch: Mapping[str, str] = {}
    try:
        with subject.path(paths.FETCH_STATE).open(encoding="ascii", errors="replace") as file:
            fetch = properties(file.read(DOCTOR_FILE_BYTES_MAX))
    except OSError:
        pass  # it has not said anything yet
    facts = BinaryFacts(fetch=fetch, fetch_state=unit.get("ActiveState", ""))
    try:
        target = os.readlink(subject.path(paths.COMMAND))
    except FileNotFoundError:
        return facts
    except OSError:
        target = str(paths.COMMAND)  # no link: somebody put a program there
    path = subject.path(paths.COMMAND.parent / target)
    try:
        with path.open("rb") as file:
            shown = os.fstat(file.fileno())
            is_writable = shown.st_uid != 0 or bool(shown.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
            digest = hashlib.sha256()
            while (piece := file.read(_PIECE_BYTES)) and file.tell() <= DOCTOR_BINARY_BYTES_MAX:
                digest.update(piece)
    except FileNotFoundError:
        return facts
    except OSError as error:
        return BinaryFacts(why=f"{path} cannot be read: {error.strerror}")
    return replace(
        facts, target=target, sha256=digest.hexdigest(), is_writable=is_writable, damaged=_damaged(subject, path)
    )


def _damaged(subject: Subject, file: Path) -> str:
    """See `BinaryFacts.damaged`. A build id is a digest of what is packed: the folder's name says what is in it."""
    try:
        build = build_id_of(file)
        if build is None or not subject.path(paths.UNPACKED / build).is_dir():
            return ""
    except OSError:
        return ""
    try:
        is_whole = build_id(entries_of(subject.path(paths.UNPACKED / build))) == build
    except OSError as error:  # it is just being removed, or the disk fails
        is_whole = isinstance(error, FileNotFoundError)
    return "" if is_whole else str(paths.UNPACKED / build)
