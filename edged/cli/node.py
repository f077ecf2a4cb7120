"""`edged node`: be a node of a fleet; `edged node init`: make the identity that the fleet will know it by."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import click
import trio

from edged.cli.words import plural
from edged.errors import RestoreUnfinished, StateFolderError
from edged.fleet.archive import read_archive, write_archive
from edged.fleet.certificate import (
    certificate_pem,
    days_left,
    load_identity,
    make_identity,
    save_certificate_of,
    save_identity,
)
from edged.logging import configure
from edged.node.backup import NodeBackup, make_node_backup, restore_node
from edged.node.check import has_joined
from edged.node.config import NodeConfig
from edged.node.config_file import load
from edged.node.node import run_node
from edged.node.reseed import Way, reseed
from edged.worker.deadman import run_deadman

_CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="What it is told.  [default: node.toml]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
_HERE = Path("node.toml")
_PATH = click.Path(path_type=Path)


@click.group(invoke_without_command=True)
@_CONFIG
@click.pass_context
def node(context: click.Context, config: Path | None) -> None:
    """Be a node: run the apps that the fleet places here, until SIGTERM.

    SIGHUP reads the file again; if anything in it is wrong, the node goes on as it was. docs/node.md has every key.
    """
    context.obj = config
    if context.invoked_subcommand is not None:
        return
    settings = load(config or _HERE)
    configure(level=settings.log_level)
    trio.run(_run, settings)


async def _run(settings: NodeConfig) -> None:
    trio.lowlevel.spawn_system_task(run_deadman)  # around all of it, and no nursery that would wrap errors
    await run_node(settings, dict(os.environ))


@node.command()
@_CONFIG
@_JSON
@click.pass_context
def init(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Make the node's key and certificate, where node.toml says, and print what the fleet has to know of it.

    What is there already is shown, never replaced. The key does not leave this machine.
    """
    settings = load(config or context.obj or _HERE)
    key, certificate = settings.node.key, settings.node.certificate
    is_new = not key.exists() and not certificate.exists()
    if is_new:
        for folder in dict.fromkeys((key.parent, certificate.parent)):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StateFolderError(f"{folder} cannot be made: {error.strerror}") from error
        save_identity(make_identity(settings.node.name, now=time.time()), key, certificate)
    elif not certificate.exists() and not has_joined(settings):
        # Power was lost between the two, or the disk was full. Of one that has joined, the fleet knows the certificate.
        save_certificate_of(key, certificate, settings.node.name, now=time.time())
        is_new = True
    identity = load_identity(key, certificate)
    days = days_left(identity.certificate, time.time())
    if as_json:
        shape = {
            "node": identity.name,
            "region": settings.node.region,
            "certificate": str(certificate),
            "certificate_pem": certificate_pem(identity.certificate),
            "fingerprint": identity.fingerprint,
            "certificate_days": round(days, 1),
            "made": is_new,
        }
        click.echo(json.dumps(shape))
        return
    click.echo(f"{'made' if is_new else 'there already'}: the identity of {identity.name}")
    click.echo(f"  certificate  {certificate}")
    click.echo(f"  fingerprint  {identity.fingerprint}")
    click.echo(f"  good for     {days:.0f} days")
    click.echo("Give the certificate to whoever keeps the roster (edged fleet add-node), or start with a voucher.")


@node.command("reseed")
@_CONFIG
@click.option("--roster", metavar="FILE", type=_PATH, help="Come back by this roster.  [default: that of node.toml]")
@click.option("--voucher", metavar="FILE", type=_PATH, help="Come back by this voucher.  [default: that of node.toml]")
@click.option("--new-key", is_flag=True, help="Make another key and certificate; the old ones are kept beside them.")
@click.option("--keep-releases", is_flag=True, help="Do not fetch them again; for a disk that is sound.")
@_JSON
@click.pass_context
def reseed_(
    context: click.Context,
    config: Path | None,
    *,
    roster: Path | None,
    voucher: Path | None,
    new_key: bool,
    keep_releases: bool,
    as_json: bool,
) -> None:
    """Have a node that was away too long, or whose disk is damaged, begin again as the node that it was.

    Its records and releases go, and come back from its peers; its key and what apps keep stay. It never takes a record
    that is older than one that it had. The node must be stopped, and this be run as its user.
    """
    settings = load(config or context.obj or _HERE)
    configure(level="nothing")  # it would raise an alarm for each record that it takes away
    done = trio.run(reseed, settings, Way(roster, voucher, new_key, keep_releases))
    if as_json:
        shape = {
            "event": "reseeded",
            "node": settings.node.name,
            "fingerprint": done.fingerprint,
            "new_key": done.is_new_key,
            "forgotten": done.forgotten,
            "roster_version": done.roster_version,
            "known": done.is_known,
        }
        click.echo(json.dumps(shape))
        return
    click.echo(f"{settings.node.name} has forgotten {plural(done.forgotten, 'record')}, and keeps the numbers.")
    if done.is_new_key:
        click.echo(f"Its new certificate is {settings.node.certificate}: {done.fingerprint}")
    if done.is_known:
        click.echo(f"Version {done.roster_version} of the roster has it. Start it: it fetches the rest from its peers.")
    else:
        click.echo(
            "The fleet does not know it yet: give its certificate to whoever keeps the roster, and start it with the"
            " new roster.bin."
        )


@node.command("backup")
@click.argument("file", type=_PATH)
@_CONFIG
@click.option("--with-key", is_flag=True, help="Also the node's private key: whoever has the file is the node then.")
@_JSON
@click.pass_context
def backup_(context: click.Context, file: Path, *, config: Path | None, with_key: bool, as_json: bool) -> None:
    """Write the node's records, their numbers and its certificate to FILE, which only its user may read.

    The node may run meanwhile. Releases are not in it: peers have them.
    """
    configure(level="warning")
    made = make_node_backup(load(config or context.obj or _HERE), with_key=with_key, now=time.time())
    write_archive(file, made.content(), mode=0o600)
    if as_json:
        shape = {"event": "backup", "node": made.node, "file": str(file), "records": len(made.numbers)}
        click.echo(json.dumps(shape | {"with_key": with_key}))
        return
    with_what = ", with its private key" if with_key else ""
    click.echo(f"{made.node}: {plural(len(made.numbers), 'record')}{with_what}, in {file}")


@node.command("restore")
@click.argument("file", type=_PATH)
@_CONFIG
@_JSON
@click.pass_context
def restore_(context: click.Context, file: Path, *, config: Path | None, as_json: bool) -> None:
    """Give the records of FILE to a node that is stopped. What it has newer stays, and so does a key that it has."""
    configure(level="nothing")  # what it takes and what not, it says below
    found = NodeBackup.parse(read_archive(file))
    done = restore_node(load(config or context.obj or _HERE), found, now=time.time())
    if as_json:
        shape = {"event": "restored", "node": found.node, "accepted": done.accepted, "refused": list(done.refused)}
        click.echo(json.dumps(shape | {"has_identity": done.has_identity}))
    else:
        click.echo(f"{found.node} took {plural(done.accepted, 'record')}; what it had as new or newer stays.")
        if not done.has_identity:
            click.echo("It has no key: make one with `edged node init`, and give the certificate to the fleet.")
    if done.refused:
        told = plural(len(done.refused), "record")
        raise RestoreUnfinished("\n".join([f"not taken: {told}", *done.refused]))
