"""Settings of the kernel under which an anycast address works, and what goes wrong with others.

They are read and never set: they belong to the machine, and concern all that runs on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc/sys")
_VALUE_CHARS_MAX = 16


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of IPv4 interfaces, `net.ipv4.conf.INTERFACE.NAME`.

    Attributes:
        wanted: values that are all right; the first is the one to set.
        why: what happens otherwise.
        shared_segment: it matters only where other machines of the segment may ask for the address by ARP.
    """

    name: str
    wanted: tuple[int, ...]
    why: str
    shared_segment: bool


SETTINGS = (
    Setting(
        "rp_filter",
        (2, 0),
        "packets whose way back leads through another interface are dropped, which anycast makes usual (RFC 3704 2.2)",
        shared_segment=False,
    ),
    Setting(
        "arp_ignore",
        (1, 2, 8),
        "this machine answers ARP requests for the anycast address on its segment, and draws traffic past the routers",
        shared_segment=True,
    ),
    Setting(
        "arp_announce",
        (2,),
        "ARP requests of this machine carry the anycast address, and neighbours learn that it is here alone",
        shared_segment=True,
    ),
)


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """A setting with a value that does harm.

    Attributes:
        key: as sysctl(8) writes it.
        value: that is in force.
        remedy: a sentence.
    """

    key: str
    value: int
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key} is {self.value}: {self.why}"


def check_settings(
    interfaces: tuple[str, ...] = (), *, shared_segment: bool = True, root: Path = _PROC
) -> tuple[SettingProblem, ...]:
    """Look at the settings of interfaces. For all three the higher of `all` and the interface's own is in force
    (the kernel's ip-sysctl.rst).

    Args:
        interfaces: by which packets come in; empty for all but `lo`.
        shared_segment: other machines are on the segment, not only the router.
        root: where sysctl's files are.

    Returns:
        What is wrong; empty also where nothing can be read, as in some containers.
    """
    folder = root / "net/ipv4/conf"
    if not interfaces:
        interfaces = _interfaces(folder)
    problems = []
    for setting in SETTINGS:
        if setting.shared_segment and not shared_segment:
            continue
        of_all = _read(folder / "all" / setting.name)
        for interface in interfaces:
            own = _read(folder / interface / setting.name)
            if of_all is None or own is None or max(of_all, own) in setting.wanted:
                continue
            key = f"net.ipv4.conf.{'all' if of_all >= own else interface}.{setting.name}"
            remedy = f"Set {key} = {setting.wanted[0]} in /etc/sysctl.d, and load it by `sysctl --system`."
            problem = SettingProblem(key, max(of_all, own), setting.why, remedy)
            if problem not in problems:
                problems.append(problem)
    return tuple(problems)


def _interfaces(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted({each.name for each in folder.iterdir()} - {"all", "default", "lo"}))
    except OSError:
        return ()


def _read(file: Path) -> int | None:
    try:
        with file.open() as opened:
            return int(opened.read(_VALUE_CHARS_MAX))
    except (OSError, ValueError):
        return None
