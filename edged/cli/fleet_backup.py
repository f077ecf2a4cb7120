"""`edged fleet backup` and `edged fleet restore`: the records of a fleet as a file, and back."""

from __future__ import annotations

import time
from pathlib import Path

import click
import trio

from edged.bundle.cache import open_cache
from edged.cli.cache_folder import default_cache_folder
from edged.cli.with_fleet import fleet_options, print_json, run
from edged.cli.words import listed, moment, plural
from edged.errors import EdgedError, FleetFileError, RestoreUnfinished
from edged.fleet.archive import read_archive, write_archive
from edged.fleet.backup import FleetBackup
from edged.publish.backup import Refused, Restored, Taken, give, take
from edged.publish.backup_releases import give_release, take_release
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts
from edged.readable import readable
from registry.errors import RegistryError

_PATH = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_MODE = 0o600  # deployments hold values of variables


def _counts(backup: FleetBackup) -> str:
    counts = backup.counts
    told = [plural(counts["deployment"], "app")]  # also those that were removed: they can come back
    told += [plural(counts["admission"], "admission")] if counts["admission"] else []
    return f"records of {', '.join(told)} and version {backup.roster.version} of the roster"


@click.command()
@click.argument("file", type=_PATH)
@click.option(
    "--releases", "folder", metavar="FOLDER", type=_PATH, help="Write also the releases that apps run, a bundle each."
)
@fleet_options
def backup(file: Path, *, folder: Path | None, fleet: str | None, as_json: bool) -> None:
    """Write all records of the fleet to FILE, which only you may read: it holds the values of variables.

    Takes a key that may deploy every app; of others' apps it has none, and says so. One node is asked; every record is
    verified.
    """

    async def work(found: Fleet, _interrupts: Interrupts) -> tuple[Taken, list[Path]]:
        taken = await take(found.link.call, found.author, time.time())
        files = []
        if folder is not None:
            await trio.to_thread.run_sync(_make, folder)
            cache = await trio.to_thread.run_sync(open_cache, default_cache_folder())
            for digest in sorted(taken.backup.releases):
                files.append(await take_release(found.link.call, digest, cache, folder))
                _said(f"{taken.backup.releases[digest]}: {files[-1]}", as_json=as_json)
        await trio.to_thread.run_sync(lambda: write_archive(file, taken.backup.content(), mode=_MODE))
        return taken, files

    taken, files = run(work, fleet=fleet)
    if as_json:
        print_json(
            {
                "event": "backup",
                "fleet": taken.backup.fleet,
                "file": str(file),
                "counts": taken.backup.counts,
                "left_out": [list(key) for key in taken.left_out],
                "releases": [str(path) for path in files],
            }
        )
        return
    click.echo(f"{taken.backup.fleet}: {_counts(taken.backup)}, in {file}")
    if taken.left_out:
        names = listed([key.name for key in taken.left_out])
        click.secho(f"Left out, as your key may not deploy them: {names}", fg="yellow")


@click.command()
@click.argument("file", type=_PATH)
@click.option(
    "--releases", "folder", metavar="FOLDER", type=_FOLDER, help="Bring also the bundles of this folder to the fleet."
)
@fleet_options
def restore(file: Path, *, folder: Path | None, fleet: str | None, as_json: bool) -> None:
    """Give the records of FILE to the fleet. What the fleet has newer stays, so no app goes back.

    A fleet that has lost all is begun with its roster first, on one node; its records come back by this.
    """
    found = FleetBackup.parse(read_archive(file))

    async def work(fleet_: Fleet, _interrupts: Interrupts) -> tuple[Restored, int, list[tuple[Path, str]]]:
        brought, failed = 0, []
        if folder is not None:
            cache = await trio.to_thread.run_sync(open_cache, default_cache_folder())
            # Before the records that name them: nodes begin to fetch when those come.
            for path in await trio.to_thread.run_sync(lambda: sorted(folder.glob("*.bundle"))):
                try:
                    await give_release(fleet_.link.call, path, cache, lambda _event: None)
                    brought += 1
                    _said(f"{path} is there", as_json=as_json)
                except (EdgedError, RegistryError) as error:  # the others are still wanted
                    failed.append((path, f"{error.message} [{error.code}]"))
        return await give(fleet_.link.call, found), brought, failed

    restored, brought, failed = run(work, fleet=fleet)
    reasons = [_reason(one) for one in restored.refused] + [f"{path}: {why}" for path, why in failed]
    if as_json:
        print_json(
            {
                "event": "restored",
                "fleet": found.fleet,
                "accepted": restored.accepted,
                "known": restored.known,
                "refused": reasons,
                "releases": brought,
            }
        )
    else:
        click.echo(f"The backup of {found.fleet} of {moment(found.made_at)} has {_counts(found)}.")
        given = plural(sum(restored.accepted.values()), "record")
        click.echo(f"It gave the fleet {given}; {restored.known} more are there as they are, or newer.")
    if reasons:
        raise RestoreUnfinished("\n".join([f"{len(reasons)} things were not taken", *map(readable, reasons)]))


def _said(text: str, *, as_json: bool) -> None:
    """A release after the other may take minutes."""
    if not as_json:
        click.echo(text)


def _reason(one: Refused) -> str:
    return f"{one.key.kind} {one.key.name}: {one.message} [{one.code}]"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FleetFileError(f"{folder} cannot be made: {error.strerror}") from error
