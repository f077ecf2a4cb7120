"""`edged keys`: whose keys the fleet has, and a key of one's own."""

from __future__ import annotations

import time
from pathlib import Path

import click

from edged.cli.fleet_view import Uses, keys_as_json, show_keys
from edged.cli.with_fleet import json_option, print_json, run
from edged.errors import EdgedError, FleetFileMissing
from edged.fleet.certificate import fingerprint, make_identity, public_key, save_identity
from edged.fleet.folder import FleetFolder
from edged.fleet.names import check_label
from edged.fleet.roster import Roster
from edged.limits import CERTIFICATE_DAYS
from edged.publish.context import ContextStore, default_config_folder
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts
from edged.status.answer import Answer

_PATH = click.Path(path_type=Path)


@click.group(invoke_without_command=True)
@click.option("--fleet", metavar="NAME", help="Which fleet.  [default: the current one]")
@click.option("-C", "--dir", "folder", type=_PATH, help="The roster of a fleet's folder instead.")
@click.pass_context
@json_option
def keys(ctx: click.Context, *, fleet: str | None, folder: Path | None, as_json: bool) -> None:
    """Whose keys the fleet has: what each may do, when it last deployed, how long its certificate lasts."""
    if ctx.invoked_subcommand is not None:
        return
    roster, used_at = _roster(fleet, folder), None
    if folder is None:
        try:
            roster, used_at = run(_ask, fleet=fleet)
        except EdgedError as error:
            click.echo(f"When they were last used is not known: {error.message}", err=True)
    if as_json:
        shape = keys_as_json(roster, time.time(), used_at)
        print_json({"fleet": roster.fleet, "version": roster.version, "keys": shape})
    else:
        show_keys(roster, time.time(), used_at)


async def _ask(found: Fleet, _interrupts: Interrupts) -> tuple[Roster, Uses]:
    """The newest roster, and when its keys were last used, as one node knows it."""
    return found.author.roster, last_uses(await found.link.call("keys"))


def last_uses(answer: object) -> Uses:
    """The answer to `keys`.

    Raises:
        ProtocolError: it is none.
    """
    return {key.get("key_id", str): key.get("used_at", int) for key in Answer(answer, "keys").tables("keys")}


def _roster(fleet: str | None, folder: Path | None) -> Roster:
    if folder is None:
        context = ContextStore(default_config_folder()).load(fleet)
        return Roster.open(context.roster, [bytes.fromhex(key) for key in context.root_keys])
    roster = FleetFolder(folder).signed()
    if roster is None:
        raise FleetFileMissing(f"there is no roster in {folder}")
    return roster


@keys.command()
@click.argument("name")
@click.option("--to", "folder", type=_PATH, default=Path(), show_default="this folder", help="Where to put it.")
@click.option(
    "--days", type=click.IntRange(1, 3_650), default=CERTIFICATE_DAYS, show_default=True, help="How long it lasts."
)
@json_option
def create(name: str, *, folder: Path, days: int, as_json: bool) -> None:
    """Make a key of your own: NAME.key stays with you, NAME.crt goes to the operator."""
    identity = make_identity(check_label(name, "name"), now=time.time(), days=days)
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    save_identity(identity, key, certificate)
    if as_json:
        shape = {"key": str(key), "certificate": str(certificate), "fingerprint": fingerprint(identity.certificate)}
        print_json(shape | {"key_id": public_key(identity.certificate).id})
        return
    click.echo(f"{key} is your key: keep it to yourself.")
    click.echo(f"{certificate} is its certificate: give it to the operator, who adds it with")
    click.echo(f"  edged fleet add-key {name} {certificate.name} --role deploy --app APP")
