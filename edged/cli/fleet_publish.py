"""`edged fleet publish`: the signed roster, to the nodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import trio

from edged.cli.with_fleet import fleet_options, print_json, run
from edged.errors import FleetFileMissing, UsageError
from edged.fleet.folder import FleetFolder
from edged.fleet.roster import Roster
from edged.publish.fleet import Fleet, rosters
from edged.publish.interrupts import Interrupts

Call = Callable[..., Awaitable[Any]]
_PATH = click.Path(path_type=Path)


@click.command()
@click.option("-C", "--dir", "folder", type=_PATH, default=Path(), show_default="this one", help="The fleet's folder.")
@fleet_options
def publish(folder: Path, *, fleet: str | None, as_json: bool) -> None:
    """Give the signed roster to the fleet. One node is enough: it tells the others."""

    async def work(found: Fleet, _interrupts: Interrupts) -> list[int]:
        return await give(found.link.call, FleetFolder(folder))

    given = run(work, fleet=fleet)
    if as_json:
        print_json({"event": "published", "versions": given})
    elif given:
        click.echo(f"The fleet has version {given[-1]} of the roster now.")
    else:
        click.echo("The fleet has this roster already.")


async def give(call: Call, folder: FleetFolder) -> list[int]:
    """Give a node every roster that is newer than its own, in order; their versions.

    Raises:
        FleetFileMissing: nothing is signed in the folder.
        UsageError: the node is of another fleet.
        EdgedError: the node does not take it.
    """
    signed = await trio.to_thread.run_sync(folder.signed)
    if signed is None:
        raise FleetFileMissing(f"there is no roster in {folder.path}", remedy="Name the fleet's folder with --dir.")
    held = Roster.open(rosters(await call("roster"))[-1])
    if held.fleet != signed.fleet:
        raise UsageError(
            f"the folder is that of {signed.fleet!r}, the node is of {held.fleet!r}", remedy="Choose with --fleet."
        )
    given = []
    for version, data in await trio.to_thread.run_sync(folder.signed_after, held.version):
        await call("put_record", envelope=data)
        given.append(version)
    return given
