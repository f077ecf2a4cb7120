"""Check `machine`: whether this machine was provisioned, and as what. Check `files`: whether all of that is still so.

machine.json ── names, digests, modes, owners ──┬── judge_machine
the files themselves ── looked at in a thread ──┴── judge_files
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath

import trio

from edged.doctor.finding import Finding
from edged.doctor.machine_file import MachineFile, Written
from edged.doctor.subject import Subject
from edged.limits import DOCTOR_FILE_BYTES_MAX
from edged.node.config import NodeConfig
from provisioning import paths

_RENDER = "`edged provision render` on the operator's machine prints it anew"


async def look_at_machine(subject: Subject) -> Iterator[Finding]:
    return judge_machine(subject.machine, subject.config)


def judge_machine(machine: MachineFile | str | None, config: NodeConfig | None) -> Iterator[Finding]:
    """What machine.json says, and whether node.toml agrees."""
    if machine is None:
        yield Finding(
            "machine", "note", f"there is no {paths.MACHINE}: set up by hand, so nothing is compared with provisioning"
        )
    elif isinstance(machine, str):
        yield Finding("machine", "warning", machine, f"Put it there again: {_RENDER}.")
    elif config is not None and (config.node.name, config.node.region) != (machine.machine, machine.region):
        yield Finding(
            "machine",
            "warning",
            f"node.toml is of {config.node.name} in {config.node.region}, and this machine was provisioned as"
            f" {machine.machine} in {machine.region}",
            "Correct the one that is wrong.",
        )
    else:
        what = f"{machine.machine} in {machine.region} of the fleet {machine.fleet}, provider {machine.provider}"
        yield Finding("machine", "ok", f"provisioned as {what}")


async def look_at_files(subject: Subject) -> Iterator[Finding]:
    if not isinstance(subject.machine, MachineFile):
        return iter(())
    files = subject.machine.files
    found = await trio.to_thread.run_sync(_read_all, subject, files, abandon_on_cancel=True)
    return judge_files(files, found)


def judge_files(wanted: Mapping[str, Written], found: Mapping[str, Written | str | None]) -> Iterator[Finding]:
    """Each file as it is, beside how it was. What an operator edits on purpose is worth a note, no more.

    Args:
        found: None: there is no such file; a text: why it cannot be looked at.
    """
    same = 0
    for path, was in wanted.items():
        now = found[path]
        if now is None:
            yield Finding("files", "problem", f"{path} is gone", f"Put it there again: {_RENDER}.")
        elif isinstance(now, str):
            yield Finding("files", "unknown", f"{path}: {now}", "Run `edged doctor` as root.")
        elif (now.mode, now.owner) != (was.mode, was.owner):
            yield Finding(
                "files",
                "warning",
                f"{path} has mode {now.mode:04o} and is {now.owner}'s, and had {was.mode:04o} and was {was.owner}'s",
                f"Run: chown {was.owner} {path}; chmod {was.mode:04o} {path}",
            )
        elif now.sha256 != was.sha256:
            yield Finding("files", "note", f"{path} was edited since this machine was provisioned")
        else:
            same += 1
    if same:
        yield Finding("files", "ok", f"{same} of {len(wanted)} files are as they were provisioned")


def _read_all(subject: Subject, files: Mapping[str, Written]) -> dict[str, Written | str | None]:
    return {path: _read(subject, path) for path in files}


def _read(subject: Subject, path: str) -> Written | str | None:
    try:
        with open(subject.path(PurePosixPath(path)), "rb", opener=_without_waiting) as file:
            shown = os.fstat(file.fileno())
            if not stat.S_ISREG(shown.st_mode):
                return "it is no file"
            data = file.read(DOCTOR_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or "it cannot be read"
    return Written(hashlib.sha256(data).hexdigest(), stat.S_IMODE(shown.st_mode), owner_of(shown))


def _without_waiting(path: str, flags: int) -> int:
    """A pipe that somebody put there is opened too, and not waited for."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def owner_of(shown: os.stat_result) -> str:
    """`user:group`; numbers where they have no name."""
    user, group = str(shown.st_uid), str(shown.st_gid)
    with suppress(KeyError):
        user = pwd.getpwuid(shown.st_uid).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(shown.st_gid).gr_name
    return f"{user}:{group}"
