"""What a node hands to its `Anycast`: its workers, rosters, disk, kernel, and what is outside of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bgp.addresses import is_present
from bgp.kernel_settings import SettingProblem, check_settings
from bgp.prefix import Address, AllowList
from bgp.speaker_process import Command
from edged.anycast.probe import Round, Target
from edged.anycast.prober import Prober
from edged.anycast.speaking import OUTSIDE, Outside
from edged.anycast.targets import Listening
from registry.disk import Disk


class Allowed(Protocol):
    """What the rosters let nodes announce, as `edged.fleet.roster_prefixes` has it."""

    @property
    def allow_list(self) -> AllowList: ...

    @property
    def refused(self) -> str: ...


class Workers(Protocol):
    """What this needs of `edged.node.workers.WorkerPool`."""

    def listening(self) -> Mapping[int, int]: ...

    def cut(self, worker: int) -> None: ...

    def set_closing(self, closing: bool) -> None: ...


class Probing(Protocol):
    """What asks the workers: `edged.anycast.prober.Prober`."""

    async def run(self) -> None: ...


class MakeProber(Protocol):
    """Makes one, as `Prober` is made."""

    def __call__(
        self,
        targets: Sequence[Target],
        count: int,
        *,
        listening: Callable[[], Mapping[int, int]],
        observed: Callable[[Round], None],
        hung: Callable[[int], None],
    ) -> Probing: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The node around it.

    Attributes:
        workers: asked, told to close connections, and cut off where one hangs.
        worker_count: of them.
        listening: where they listen.
        connections: that are open.
        applied: every app that the fleet places here runs, or has failed.
        allowed: what may be announced; blocks.
        free_bytes: of a folder's disk; blocks; raises OSError.
        is_present: whether this machine has an address; raises BgpError.
        settings: of the kernel that do harm to anycast; blocks.
        command: of the speaker's child, given the descriptor that it inherits.
        expelled: why this node is to announce nothing although its rosters allow it, a sentence; "" where it may.
        prober: asks the workers. A simulator has workers that no connection leads to.
        disk: of the state folder.
    """

    workers: Workers
    worker_count: int
    listening: Sequence[Listening]
    connections: Callable[[], int]
    applied: Callable[[], bool]
    allowed: Callable[[], Allowed]
    state_dir: Path
    command: Command
    free_bytes: Callable[[Path], int] = lambda folder: os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    is_present: Callable[[Address], bool] = is_present
    settings: Callable[[], Sequence[SettingProblem]] = check_settings
    outside: Outside = OUTSIDE
    expelled: Callable[[], str] = lambda: ""
    prober: MakeProber = Prober
    disk: Disk = field(default_factory=Disk)
