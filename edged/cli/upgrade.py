"""`edged upgrade`: another version of edged on a machine that is a node."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import click
import trio

from edged.cli.with_fleet import json_option, print_json
from edged.cli.words import plural, short
from edged.errors import UsageError
from edged.limits import UPGRADE_WATCH_S
from edged.node.config_file import load
from edged.nursery import plain_errors
from edged.readable import readable
from edged.upgrade.admin import Admin
from edged.upgrade.event import Stepped, Upgraded
from edged.upgrade.source import check_source
from edged.upgrade.trial import Trial
from edged.upgrade.unit import Unit
from edged.upgrade.upgrade import Machine, Order
from edged.upgrade.upgrade import upgrade as do_upgrade
from edged.upgrade.versions import Versions
from provisioning import paths

_path = click.Path(path_type=Path)


@click.command()
@click.argument("source", metavar="[FILE|URL]", required=False)
@click.option("--sha256", metavar="HEX", help="What the new version has to be; needed with a URL.")
@click.option("--back", is_flag=True, help="Go back to the version before this one.")
@click.option("--no-restart", is_flag=True, help="Only have the next start use it.")
@click.option(
    "--timeout",
    "watch_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=UPGRADE_WATCH_S,
    show_default=True,
    help="The node has so long to serve as before.",
)
@click.option("--unit", metavar="NAME", default="edged.service", show_default=True, help="The node's unit of systemd.")
@click.option(
    "--config", type=_path, metavar="FILE", default=Path(paths.CONFIG), show_default=True, help="Its node.toml."
)
@click.option(
    "--command", type=_path, metavar="FILE", default=Path(paths.COMMAND), show_default=True, help="What the unit runs."
)
@click.option(
    "--versions",
    type=_path,
    metavar="FOLDER",
    default=Path(paths.BINARIES),
    show_default=True,
    help="Where versions are kept.",
)
@json_option
def upgrade(
    source: str | None,
    *,
    sha256: str | None,
    back: bool,
    no_restart: bool,
    watch_s: float,
    unit: str,
    config: Path,
    command: Path,
    versions: Path,
    as_json: bool,
) -> None:
    """Have this machine's node run another version of edged, the one file FILE or URL.

    The new version is looked at first. Then the node leaves traffic and starts again with it; if it does not serve as
    it did before, it goes back to the old one by itself. It can be run again wherever it was stopped.
    """
    if back == (source is not None):
        raise UsageError("it is not said which version", remedy="Give either a FILE or URL, or --back.")
    if source is not None:
        check_source(source, sha256)
    settings = load(config)
    machine = Machine(
        Versions(versions.absolute(), command.absolute()),
        Unit(unit),
        Admin(settings.admin),
        Trial(),
        config.absolute(),
        Path(os.environ.get("EDGED_UNPACK_DIR") or paths.UNPACKED),
    )
    order = Order(source or "", sha256, not no_restart, watch_s)
    # Whoever typed it may lose the terminal, by the node's own restart for instance.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        trio.run(partial(_run, machine, order, as_json=as_json), restrict_keyboard_interrupt_to_checkpoints=True)
    except BaseException as error:
        if not is_interrupt(error):
            raise
        click.echo("stopped; what it began goes on, or is ended, when it is run again", err=True)
        raise KeyboardInterrupt from None


def is_interrupt(error: BaseException) -> bool:
    """Ctrl-C, also where a nursery has wrapped it."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)


async def _run(machine: Machine, order: Order, *, as_json: bool) -> None:
    with plain_errors():
        await do_upgrade(machine, order, _print if as_json else _show)


def _print(event: Stepped | Upgraded) -> None:
    print_json(event.as_json())


def _show(event: Stepped | Upgraded) -> None:
    with suppress(OSError):  # nobody reads it any more
        if isinstance(event, Stepped):
            click.echo(readable(f"{event.seconds:7.1f} s  {event.step:<12}  {event.text}"))
            return
        away = "" if event.away_s is None else f", {event.away_s:.1f} s after the order to restart"
        when = "is in use" if event.outcome == "upgraded" else "is used from the next start on"
        click.echo(readable(f"edged {event.version} {when}{away}"))
        if event.before:
            click.echo(f"  back to the one before, {short(event.before)}: edged upgrade --back")
        if event.removed:
            click.echo(f"  removed: {plural(len(event.removed), 'older version')}")
