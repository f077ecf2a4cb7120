"""`edged fleet admissions`: who came with a voucher, as files for the next roster."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from edged.cli.fleet_publish import Call
from edged.cli.with_fleet import fleet_options, print_json, run
from edged.errors import FleetFileMissing
from edged.fleet.certificate import public_key
from edged.fleet.folder import FleetFolder
from edged.fleet.roster import Node
from edged.publish.admitted import admitted
from edged.publish.fleet import Fleet, admissions
from edged.publish.interrupts import Interrupts

_PATH = click.Path(path_type=Path)


@click.command("admissions")
@click.option("-C", "--dir", "folder", type=_PATH, default=Path(), show_default="this one", help="The fleet's folder.")
@fleet_options
def fetch(folder: Path, *, fleet: str | None, as_json: bool) -> None:
    """Fetch what let nodes in that came with a voucher, for `edged fleet sign --admission`."""

    async def work(found: Fleet, _interrupts: Interrupts) -> list[tuple[Node, Path]]:
        return await take(found.link.call, FleetFolder(folder))

    taken = run(work, fleet=fleet)
    if as_json:
        nodes = [
            {
                "name": node.name,
                "region": node.region,
                "address": node.address,
                "key_id": public_key(node.certificate).id,
                "file": str(path),
            }
            for node, path in taken
        ]
        print_json({"event": "admissions", "nodes": nodes})
    elif not taken:
        click.echo("No node came with a voucher since the roster was signed.")
    else:
        for node, path in taken:
            click.echo(f"{node.name}  {node.region}  {node.address}  key {public_key(node.certificate).short}  {path}")
        files = " ".join(f"--admission {path}" for _, path in taken)
        click.echo(f"Take them into the roster with `edged fleet sign {files} -C {folder}`.")


async def take(call: Call, folder: FleetFolder) -> list[tuple[Node, Path]]:
    """Write the admissions that a node has, and that the signed roster bears out, to the folder.

    Raises:
        FleetFileMissing: nothing is signed in the folder.
        EdgedError: the node does not answer, or a file cannot be written.
    """
    signed = await trio.to_thread.run_sync(folder.signed)
    if signed is None:
        raise FleetFileMissing(f"there is no roster in {folder.path}", remedy="Name the fleet's folder with --dir.")
    taken = []
    for data in admissions(await call("roster")):
        for node in await trio.to_thread.run_sync(admitted, signed, [data]):
            taken.append((node, await trio.to_thread.run_sync(folder.keep_admission, node.name, data)))
    return taken
