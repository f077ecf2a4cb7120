"""Checks `user` and `folders`: that the node's user is there, and that what is the node's is its, and nobody else's."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trio

from edged.doctor.finding import Finding
from edged.doctor.subject import Subject
from edged.node.check import ConfigProblem
from provisioning import paths

_ENTRY_COUNT_MAX = 5_000  # looked at below the state folder: 50 ms. A foreign owner is seldom alone
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What was found.

    Attributes:
        uid: of the user `edged`; None if there is none.
        has_group: there is a group of that name.
        owner: uid of the state folder; None if there is none yet.
        mode: of it.
        foreign: paths below it of other owners.
        why: it could not be looked at.
    """

    state_dir: Path
    uid: int | None
    has_group: bool = True
    owner: int | None = None
    mode: int = 0o700
    foreign: tuple[str, ...] = ()
    why: str = ""


async def look_at_user(subject: Subject) -> Iterator[Finding]:
    return judge_user(_uid(), has_group=_has_group()) if subject.is_provisioned else iter(())


def judge_user(uid: int | None, *, has_group: bool) -> Iterator[Finding]:
    if uid is not None and has_group:
        yield Finding("user", "ok", f"there is a user and a group {paths.USER}")
        return
    missing = "group" if uid is not None else "user"
    run = f"groupadd --system {paths.USER}" if uid is not None else _ADD_USER
    yield Finding("user", "problem", f"there is no {missing} {paths.USER}, as which the node runs", f"Run: {run}")


_ADD_USER = f"useradd --system --user-group --home-dir {paths.STATE} --shell /usr/sbin/nologin {paths.USER}"


async def look_at_folders(subject: Subject) -> Iterator[Finding]:
    if subject.config is None:
        return iter(())
    problems = subject.problems_of("node.state_dir")
    if problems or not subject.is_provisioned:
        return judge_config(problems)
    return judge_folders(await trio.to_thread.run_sync(_gather, subject.config.node.state_dir, abandon_on_cancel=True))


def judge_config(problems: tuple[ConfigProblem, ...]) -> Iterator[Finding]:
    """What the node itself would say of the folder."""
    for problem in problems:
        yield Finding("folders", "problem", problem.text, problem.remedy)


def judge_folders(facts: FolderFacts) -> Iterator[Finding]:
    own = f"Run: chown -R {paths.USER}:{paths.USER} {facts.state_dir}"
    if facts.why:
        yield Finding("folders", "unknown", f"{facts.state_dir}: {facts.why}", "Run `edged doctor` as root.")
    elif facts.owner is None:
        yield Finding("folders", "note", f"there is no {facts.state_dir} yet: the unit makes it at its start")
    elif facts.uid is None:
        yield Finding("folders", "problem", f"{facts.state_dir} is not {paths.USER}'s, who is not there", own)
    elif facts.owner != facts.uid:
        yield Finding("folders", "problem", f"{facts.state_dir} is not {paths.USER}'s", own)
    elif facts.foreign:
        more = f" and {len(facts.foreign) - 1} more" if len(facts.foreign) > 1 else ""
        text = f"{facts.foreign[0]}{more} in {facts.state_dir} is not {paths.USER}'s: edged was started as another user"
        yield Finding("folders", "problem", text, own)
    elif facts.mode & _OTHERS:
        text = f"{facts.state_dir} has mode {facts.mode:04o}, and holds the node's key: others may enter it"
        yield Finding("folders", "warning", text, f"Run: chmod 0700 {facts.state_dir}")
    else:
        yield Finding("folders", "ok", f"{facts.state_dir} is {paths.USER}'s alone")


def _uid() -> int | None:
    try:
        return pwd.getpwnam(paths.USER).pw_uid
    except KeyError:
        return None


def _has_group() -> bool:
    try:
        grp.getgrnam(paths.USER)
    except KeyError:
        return False
    return True


def _gather(state_dir: Path) -> FolderFacts:
    uid = _uid()
    try:
        shown = os.stat(state_dir)
    except FileNotFoundError:
        return FolderFacts(state_dir, uid)
    except OSError as error:
        return FolderFacts(state_dir, uid, why=error.strerror or "it cannot be looked at")
    foreign = tuple(_foreign(state_dir, shown.st_uid))
    return FolderFacts(state_dir, uid, True, shown.st_uid, stat.S_IMODE(shown.st_mode), foreign)


def _foreign(folder: Path, owner: int) -> Iterator[str]:
    """Of the first `_ENTRY_COUNT_MAX` entries, those of another owner. Links are not followed."""
    left = _ENTRY_COUNT_MAX
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            left -= 1
            if left < 0:
                return
            path = os.path.join(where, name)
            try:
                if os.lstat(path).st_uid != owner:
                    yield os.path.relpath(path, folder)
            except OSError:
                continue  # gone since: the node is at work
