"""All checks of a machine, at the same time; then in the order of causes, each cause once.

node.toml, machine.json, units, status ──> Subject ──┬── look ── judge ──┐
                                                     ├── look ── judge ──┼── fold ──> findings
                                                     └── ...           ──┘
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import trio

from edged.doctor import (
    binary,
    clock,
    config,
    disk,
    firewall,
    folders,
    identity,
    machine,
    network,
    node,
    roster,
    sessions,
    sysctl,
    unit,
    voucher,
)
from edged.doctor.finding import Finding, fold
from edged.doctor.subject import Subject, gather
from edged.limits import DOCTOR_CHECK_S_MAX

Look = Callable[[Subject], Awaitable[Iterable[Finding]]]
"""Gathers facts and judges them. Raises nothing that the machine is to blame for."""

CHECKS: Mapping[str, Look] = MappingProxyType(
    {
        "machine": machine.look_at_machine,
        "files": machine.look_at_files,
        "clock": clock.look,
        "disk": disk.look,
        "user": folders.look_at_user,
        "binary": binary.look,
        "config": config.look,
        "folders": folders.look_at_folders,
        "identity": identity.look,
        "roster": roster.look,
        "voucher": voucher.look,
        "unit": unit.look,  # and `start`
        "sysctl": sysctl.look,
        "firewall": firewall.look,
        "metadata": network.look_at_metadata,
        "routes": network.look_at_routes,
        "addresses": network.look_at_addresses,
        "bgp": sessions.look,
        "node": node.look_at_node,
        "fleet": node.look_at_fleet,
    }
)
"""Causes before what follows from them. docs/doctor.md has a row for each."""

_KEEPS_FROM_STARTING = ("binary", "config", "user", "folders", "disk", "identity", "roster", "voucher", "unit")

FOLLOWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binary": ("disk",),
        "folders": ("user", "disk"),
        "identity": ("user", "folders"),
        "start": _KEEPS_FROM_STARTING,
        "routes": ("metadata",),
        "bgp": ("metadata", "routes", "addresses"),
        "node": ("start", *_KEEPS_FROM_STARTING),
    }
)
"""Name of a check -> those whose problem explains its own."""


async def examine(config_file: Path, *, root: Path = Path("/"), now: float | None = None) -> tuple[Finding, ...]:
    """Look at everything. Changes nothing, and ends within a minute whatever hangs.

    Args:
        root: where the machine's own files are.
        now: unix time, s; None for that of the clock.
    """
    return await run_checks(CHECKS, await gather(config_file, root=root, now=now))


async def run_checks(checks: Mapping[str, Look], subject: Subject) -> tuple[Finding, ...]:
    """What these find, in their order."""
    found: dict[str, tuple[Finding, ...]] = {}

    async def run(name: str, look: Look) -> None:
        found[name] = (Finding(name, "unknown", f"not looked at in {DOCTOR_CHECK_S_MAX:g} s: it hangs"),)
        with trio.move_on_after(DOCTOR_CHECK_S_MAX):
            found[name] = tuple(await look(subject))

    async with trio.open_nursery() as nursery:
        for name, look in checks.items():
            nursery.start_soon(run, name, look)
    return fold([finding for name in checks for finding in found[name]], FOLLOWS)
