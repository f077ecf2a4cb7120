"""The machine under examination: what more than one check looks at, gathered once.

node.toml ─┬─> NodeConfig ─┬─> problems of it, by key        machine.json ─> MachineFile
           └─> why not     ├─> joined, failure.json          systemctl show ─> units
                           ├─> the node's own status
                           └─> the provider's metadata
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import trio

from bgp.errors import BgpError
from bgp.metadata.provider import PROVIDERS, fetch
from bgp.metadata.provider_sessions import ProviderSessions
from edged.doctor.command import ask, properties
from edged.doctor.machine_file import MachineFile, read_machine_file
from edged.doctor.own_status import Unanswered, own_status
from edged.errors import EdgedError, NodeConfigInvalid
from edged.limits import DOCTOR_CHECK_S_MAX
from edged.node.check import ConfigProblem, find, has_joined
from edged.node.config import NodeConfig
from edged.node.config_file import load
from edged.node.failure import Failure, read_failure
from edged.status.view import StatusView
from provisioning import paths

NODE_UNIT, FETCH_UNIT, FIREWALL_UNIT = "edged.service", "edged-fetch.service", "edged-firewall.service"

HEALS = "The unit tries again by itself within seconds: nothing else needs to be done."

_PROPERTIES = "Id,LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result,NeedDaemonReload,Job"


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything may be missing: a machine that is examined is rarely well.

    Attributes:
        root: below which the machine's files are; another folder than / in tests.
        now: unix time, s.
        machine: None: this machine was set up by hand; a text: its machine.json cannot be used.
        config: None: there is none that could be used, and `config_error` says why.
        may_see: we may look into the state folder; where not, `config_problems`, `joined` and `failure` say nothing.
        joined: the node has records of a fleet.
        status: what the node says; `status_why` why it says nothing.
        may_ask: nothing forbids us to ask it.
        units: name -> properties, as systemctl(1) shows them; None: `units_why`.
        metadata: of the provider; None where node.toml wants none.
    """

    root: Path
    now: float
    config_file: Path
    machine: MachineFile | str | None = None
    config: NodeConfig | None = None
    config_error: EdgedError | None = None
    config_problems: tuple[ConfigProblem, ...] = ()
    may_see: bool = True
    joined: bool = False
    failure: Failure | None = None
    status: StatusView | None = None
    status_why: str = ""
    may_ask: bool = True
    units: Mapping[str, Mapping[str, str]] | None = None
    units_why: str = ""
    metadata: ProviderSessions | BgpError | None = field(default=None, repr=False)

    def path(self, path: PurePosixPath) -> Path:
        """Where a file of the machine is."""
        return self.root / path.relative_to("/")

    @property
    def again(self) -> str:
        """The end of a remedy: who starts the node once its cause is gone."""
        is_loaded = (self.units or {}).get(NODE_UNIT, {}).get("LoadState") == "loaded"
        return HEALS if is_loaded or self.is_provisioned else "Then start the node again."

    @property
    def is_provisioned(self) -> bool:
        return self.machine is not None

    def problems_of(self, *keys: str) -> tuple[ConfigProblem, ...]:
        """What is wrong with these keys of node.toml."""
        return tuple(problem for problem in self.config_problems if problem.key in keys)


async def gather(config_file: Path, *, root: Path = Path("/"), now: float | None = None) -> Subject:
    """Look at the machine. Nothing is changed; raises nothing that the machine is to blame for.

    Args:
        now: None for the clock's.
    """
    found = Subject(root, time.time() if now is None else now, config_file)
    found = await read_files(found)
    config = found.config
    units: tuple[Mapping[str, Mapping[str, str]] | None, str] = (None, "")
    status: tuple[StatusView | None, str, bool] = (None, "", True)
    metadata: ProviderSessions | BgpError | None = None

    async def look_at_units() -> None:
        nonlocal units
        units = await _units()

    async def look_at_status(admin: str) -> None:
        nonlocal status
        try:
            status = await own_status(admin), "", True
        except Unanswered as error:
            status = None, str(error), not error.is_forbidden

    async def look_at_metadata(provider: str, source: str) -> None:
        nonlocal metadata
        try:
            metadata = await fetch(PROVIDERS[provider], source)
        except BgpError as error:
            metadata = error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look_at_units)
        if config is not None:
            nursery.start_soon(look_at_status, config.admin)
            if config.bgp is not None and config.bgp.metadata is not None:
                nursery.start_soon(look_at_metadata, config.bgp.metadata.provider, config.bgp.metadata.source)
    return replace(
        found,
        units=units[0],
        units_why=units[1],
        status=status[0],
        status_why=status[1],
        may_ask=status[2],
        metadata=metadata,
    )


async def read_files(found: Subject) -> Subject:
    """The machine's own files, and what node.toml names, within DOCTOR_CHECK_S_MAX."""
    with trio.move_on_after(DOCTOR_CHECK_S_MAX):
        return await trio.to_thread.run_sync(_files, found, abandon_on_cancel=True)
    # A share that is away, or a pipe in place of a file: whichever of them it is.
    text = f"{found.config_file}, or a file that it names, cannot be read: not in {DOCTOR_CHECK_S_MAX:g} s"
    return replace(found, config_error=NodeConfigInvalid(text))


def _files(found: Subject) -> Subject:
    found = replace(found, machine=read_machine_file(found.path(paths.MACHINE)))
    try:
        config = load(found.config_file)
    except EdgedError as error:
        return replace(found, config_error=error)
    if not _may_see(config.node.state_dir):
        return replace(found, config=config, may_see=False)
    return replace(
        found,
        config=config,
        config_problems=find(config),
        joined=has_joined(config),
        failure=read_failure(config.node.state_dir),
    )


def _may_see(folder: Path) -> bool:
    """Root and its owner: whatever is in it is for nobody else, also where the folder itself is."""
    try:
        return os.geteuid() in (0, os.stat(folder).st_uid)
    except PermissionError:
        return False
    except OSError:  # there is none yet
        return True


async def _units() -> tuple[Mapping[str, Mapping[str, str]] | None, str]:
    said = await ask("systemctl", "show", f"--property={_PROPERTIES}", NODE_UNIT, FETCH_UNIT, FIREWALL_UNIT)
    if said.why:
        return None, said.why
    shown = [properties(block) for block in said.output.split("\n\n")]
    return {each["Id"]: each for each in shown if "Id" in each}, ""
