"""Check `sysctl`: settings of the kernel, as the file of provisioning has them, and as anycast needs them.

/etc/sysctl.d/60-edged.conf ── wanted ──┐
/proc/sys ── in force ──────────────────┴── judge <── bgp.kernel_settings, where the node announces
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import trio

from bgp.kernel_settings import SettingProblem, check_settings
from edged.doctor.finding import Finding
from edged.doctor.subject import Subject
from edged.limits import DOCTOR_FILE_BYTES_MAX
from provisioning import paths

_PROC = PurePosixPath("/proc/sys")
_VALUE_CHARS_MAX = 1024


async def look(subject: Subject) -> Iterator[Finding]:
    if not subject.is_provisioned and (subject.config is None or subject.config.bgp is None):
        return iter(())
    return await trio.to_thread.run_sync(_look, subject, abandon_on_cancel=True)


def judge(
    wanted: Mapping[str, str], in_force: Mapping[str, str], problems: tuple[SettingProblem, ...]
) -> Iterator[Finding]:
    """
    Args:
        wanted: key -> value of the file.
        in_force: those of them that the kernel has; one that it lacks is not to be had on this machine.
        problems: what would harm anycast.
    """
    other = {key: value for key, value in in_force.items() if value != wanted[key]}
    for key, value in other.items():
        text = f"{key} is {value}, and {paths.SYSCTL} has {wanted[key]}"
        remedy = "Run `sysctl --system`; if it stays so, another file of /etc/sysctl.d that comes later has it."
        yield Finding("sysctl", "warning", text, remedy)
    harmful = [problem for problem in problems if problem.key not in other]
    for problem in harmful:
        yield Finding("sysctl", "warning", str(problem), problem.remedy)
    if not other and not harmful:
        yield Finding("sysctl", "ok", "the kernel's settings are right")


def _look(subject: Subject) -> Iterator[Finding]:
    wanted: Mapping[str, str] = {}
    try:
        with subject.path(paths.SYSCTL).open(encoding="utf-8", errors="replace") as file:
            wanted = parse_sysctl(file.read(DOCTOR_FILE_BYTES_MAX))
    except OSError:
        pass  # the check `files` says that it is gone
    in_force = {key: value for key in wanted if (value := _read(subject, key)) is not None}
    root = subject.path(_PROC)
    announces = subject.config is not None and subject.config.bgp is not None
    return judge(wanted, in_force, check_settings(root=root) if announces else ())


def parse_sysctl(text: str) -> dict[str, str]:
    """sysctl.d(5): `key = value` lines; the last of a key counts. A key without dots in parts has slashes or dots."""
    found = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        key = key.strip().removeprefix("-").replace("/", ".")
        if sign and key and not key.startswith(("#", ";")) and "*" not in key:
            found[key] = " ".join(value.split())
    return found


def _read(subject: Subject, key: str) -> str | None:
    """As the kernel has it; None: it has no such setting, or tells it only to others."""
    path = subject.path(_PROC / key.replace(".", "/"))
    if ".." in path.parts:
        return None
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return " ".join(file.read(_VALUE_CHARS_MAX).split())
    except (OSError, ValueError):
        return None
