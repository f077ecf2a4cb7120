"""`edged fleet`: who the fleet is made of.

All but `admissions`, `publish`, `checkpoint`, `backup`, `restore` and `demo` happens in the operator's folder alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edged.cli.fleet_admissions import fetch
from edged.cli.fleet_backup import backup, restore
from edged.cli.fleet_checkpoint import checkpoint
from edged.cli.fleet_demo import demo
from edged.cli.fleet_publish import publish
from edged.cli.fleet_view import roster_as_json, show_roster
from edged.cli.span import parse_span
from edged.cli.voucher_token import make_token
from edged.cli.with_fleet import json_option, print_json
from edged.errors import FleetFileMissing, UsageError
from edged.fleet.certificate import fingerprint, public_key
from edged.fleet.files import read_file, write_file
from edged.fleet.folder import Draft, FleetFolder, read_passphrase
from edged.fleet.roster import ROLES
from edged.limits import RECORD_BYTES_MAX
from edged.readable import readable

_F = TypeVar("_F", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)
_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def _dir_option(command: _F) -> _F:
    return click.option(
        "-C", "--dir", "folder", type=_PATH, default=Path(), show_default="this one", help="The fleet's folder."
    )(command)


def _passphrase_option(command: _F) -> _F:
    return click.option("--passphrase-file", type=_PATH, help="Its first line is the passphrase of the root key.")(
        command
    )


@click.group()
def fleet() -> None:
    """Make a fleet, and say who belongs to it.

    \b
    edged fleet init demo --region eu --region us
    edged fleet add-node n1 n1.crt --region eu --address 203.0.113.7:7400 -C demo
    edged fleet sign -C demo
    edged fleet publish -C demo
    """


@fleet.command()
@click.argument("folder", type=_PATH)
@click.option("--name", help="Name of the fleet.  [default: that of the folder]")
@click.option("--domain", default="", help="Apps are reached below it, as APP.DOMAIN.  [default: NAME.localhost]")
@click.option("--region", "regions", multiple=True, help="A place with nodes; say it for each.  [default: local]")
@_passphrase_option
@json_option
def init(
    folder: Path,
    *,
    name: str | None,
    domain: str,
    regions: tuple[str, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make a fleet in FOLDER: its root key, your own key, and a first roster."""
    name = name or folder.resolve().name
    made = FleetFolder.make(
        folder,
        name,
        domain or f"{name}.localhost",
        regions or ("local",),
        now=time.time(),
        passphrase=read_passphrase(passphrase_file),
    )
    roster = made.signed()
    assert roster is not None  # make has signed it
    if as_json:
        print_json(roster_as_json(roster, time.time()))
        return
    is_plain = passphrase_file is None
    click.secho(f"The fleet {name} is made, in {folder}.", bold=True)
    click.echo(f"""
  fleet.toml      regions, nodes and keys: edit it, or use the commands below
  root.key        signs every change of these{"; not encrypted: take it off this machine" if is_plain else ""}
  operator.key    yours: pushes apps, sees status, lets nodes in
  roster.bin      what nodes and publishers are given; version {roster.version} is signed

Root key {roster.root_publics()[0].id}

Next, on the machine that is to be the first node:
  edged node init                      makes its key, and prints where its certificate is
and here, with a copy of that certificate:
  edged fleet add-node n1 n1.crt --region {roster.regions[0].name} --address HOST:7400 -C {folder}
  edged fleet sign -C {folder}
  edged login {folder}""")


@fleet.command()
@_dir_option
@click.option("--root-key", "root_keys", type=_PATH, multiple=True, help="Sign with it.  [default: root.key]")
@_passphrase_option
@click.option("--admission", "admissions", type=_PATH, multiple=True, help="Take over a node that came with a voucher.")
@click.option("--yes-remove", type=click.IntRange(min=0), default=1, help="So many nodes and keys may go.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and sign nothing.")
@json_option
def sign(
    folder: Path,
    *,
    root_keys: tuple[Path, ...],
    passphrase_file: Path | None,
    admissions: tuple[Path, ...],
    yes_remove: int,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show what fleet.toml changes, and sign it with the root key."""
    found = FleetFolder(folder)
    draft = found.draft(read_file(path, RECORD_BYTES_MAX) for path in admissions)
    if not as_json:
        _show_changes(draft)
    if draft.changes and draft.prefixes_refused:
        click.secho(f"Nodes will not follow in this: {readable(draft.prefixes_refused)}.", fg="yellow", err=True)
    if not draft.changes:
        if as_json:
            print_json({"event": "unchanged", "version": draft.roster.version - 1})
        else:
            click.echo("Nothing to sign.")
        return
    if not dry_run:
        _confirm(draft, is_confirmed=yes, as_json=as_json)
        keys = found.root_keys(root_keys, read_passphrase(passphrase_file))
        found.sign(draft, keys, removals=yes_remove)
    if as_json:
        changes = [{"sign": change.sign, "text": change.text} for change in draft.changes]
        event = "draft" if dry_run else "signed"
        print_json({"event": event, "version": draft.roster.version, "changes": changes, "removed": draft.removed})
    elif not dry_run:
        click.echo(f"Signed: version {draft.roster.version}, in {found.roster_file}.")
        click.echo(f"Give it to the fleet: `edged login {folder}` here, then `edged fleet publish -C {folder}`.")


def _show_changes(draft: Draft) -> None:
    for change in draft.changes:
        click.secho(f"  {change.sign} {readable(change.text)}", fg=_COLOURS[change.sign])


def _confirm(draft: Draft, *, is_confirmed: bool, as_json: bool) -> None:
    if is_confirmed:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError("nothing was signed: nobody can be asked here", remedy="Look at --dry-run, then add --yes.")
    click.confirm(f"Sign this as version {draft.roster.version}?", abort=True)


@fleet.command("add-node")
@click.argument("name")
@click.argument("certificate", type=_PATH, required=False)
@click.option("--region", required=True, help="Where it stands.")
@click.option("--address", required=True, metavar="HOST:PORT", help="Where other nodes and publishers reach it.")
@click.option("--url", default="", help="Where its apps are reached, as https://HOST.")
@_dir_option
@json_option
def add_node(
    name: str, certificate: Path | None, *, region: str, address: str, url: str, folder: Path, as_json: bool
) -> None:
    """Write a node to fleet.toml. CERTIFICATE is the file that `edged node init` made there."""
    if certificate is None:
        raise UsageError(
            f"the certificate of {name} is missing",
            remedy=f"Run `edged node init` on that machine and name the certificate it makes, or let it come with a "
            f"voucher: edged fleet voucher {name} --region {region} --address {address} -C {folder}",
        )
    node = FleetFolder(folder).add_node(name, region, address, certificate, url)
    if as_json:
        print_json({"event": "added", "node": name, "fingerprint": fingerprint(node.certificate)})
        return
    click.echo(f"Node {name}, key {public_key(node.certificate).short}, is in fleet.toml.")
    click.echo(f"It counts after `edged fleet sign -C {folder}`.")


@fleet.command("add-key")
@click.argument("name")
@click.argument("certificate", type=_PATH)
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="What it may do.")
@click.option("--app", "apps", multiple=True, help="An app that it may push, with * for any part; say it for each.")
@click.option("--region", "regions", multiple=True, help="Where it may.  [default: everywhere]")
@_dir_option
@json_option
def add_key(
    name: str,
    certificate: Path,
    *,
    roles: tuple[str, ...],
    apps: tuple[str, ...],
    regions: tuple[str, ...],
    folder: Path,
    as_json: bool,
) -> None:
    """Write somebody's key to fleet.toml. CERTIFICATE is the file that `edged keys create` made."""
    if "deploy" in roles and not apps:
        raise UsageError("a key that deploys needs apps", remedy="Name them with --app; --app '*' is all.")
    key = FleetFolder(folder).add_key(name, certificate, roles, apps, regions)
    if as_json:
        print_json({"event": "added", "key": name, "fingerprint": fingerprint(key.certificate)})
        return
    click.echo(f"Key {name}, {public_key(key.certificate).short}, is in fleet.toml.")
    click.echo(f"It counts after `edged fleet sign -C {folder}`.")


@fleet.command()
@click.argument("node")
@click.option("--region", required=True, help="Where it stands.")
@click.option("--address", required=True, metavar="HOST:PORT", help="Where others will reach it.")
@click.option("--seed", "seeds", multiple=True, help="A node that it asks to be let in.  [default: up to three]")
@click.option(
    "--good-for", default="1h", show_default=True, metavar="TIME", help="As 30m, 12h or 7d, which is the most."
)
@click.option("--key", type=_PATH, help="Signs it; has the role admit.  [default: operator.key]")
@click.option("-o", "--output", type=_PATH, help="Write it to a file that only you may read.")
@_dir_option
@json_option
def voucher(
    node: str,
    *,
    region: str,
    address: str,
    seeds: tuple[str, ...],
    good_for: str,
    key: Path | None,
    output: Path | None,
    folder: Path,
    as_json: bool,
) -> None:
    """Make a voucher, with which one new machine becomes NODE by itself.

    Whoever has it first is the node: keep it as a password until it is used.
    """
    token = make_token(
        FleetFolder(folder),
        node,
        region,
        address,
        seeds=seeds,
        key=key,
        good_for_s=parse_span(good_for),
        now=time.time(),
    )
    if output is not None:
        write_file(output, f"{token.text}\n".encode(), mode=0o600)
    if as_json:
        print_json(
            {"event": "voucher", "node": node, "expires": token.expires} | ({} if output else {"token": token.text})
        )
        return
    click.echo(token.text if output is None else f"The voucher for {node} is in {output}.")
    click.echo("Put it in a file on that machine, and name the file in node.toml as [fleet] voucher.", err=True)


@fleet.command()
@_dir_option
@json_option
def show(folder: Path, *, as_json: bool) -> None:
    """The roster that is signed, and what fleet.toml would change."""
    found = FleetFolder(folder)
    roster = found.signed()
    if roster is None:
        raise FleetFileMissing(f"there is no roster in {folder}", remedy="Name the fleet's folder with --dir.")
    draft = found.draft()
    if as_json:
        changes = [{"sign": change.sign, "text": change.text} for change in draft.changes]
        print_json(roster_as_json(roster, time.time()) | {"changes": changes})
        return
    show_roster(roster, time.time())
    if draft.changes:
        click.echo("\nNot signed yet:")
        _show_changes(draft)


fleet.add_command(publish)
fleet.add_command(checkpoint)
fleet.add_command(backup)
fleet.add_command(restore)
fleet.add_command(fetch)
fleet.add_command(demo)
