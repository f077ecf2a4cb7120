"""`edged remove`: apps, in no region any more."""

from __future__ import annotations

import sys
import time

import click

from edged.cli.with_fleet import apps_argument, fleet_options, run_changing, timeout_option, view_of
from edged.cli.words import listed
from edged.errors import UsageError
from edged.limits import REMOVAL_COUNT_MAX
from edged.publish import remove as removal
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts


@click.command(context_settings={"show_default": True})
@apps_argument
@click.option("--count", type=click.IntRange(1, REMOVAL_COUNT_MAX), help="Say how many apps that are, and do not ask.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; --count is needed then.")
@timeout_option
@fleet_options
def remove(
    apps: tuple[str, ...], *, count: int | None, yes: bool, timeout_s: float, fleet: str | None, as_json: bool
) -> None:
    """Take APPs out of every region.

    Nodes let them go only if their number was said. Their history stays, so `edged rollback` brings one back, with the
    variables that it had. In a terminal it is asked for.
    """
    names = tuple(dict.fromkeys(apps))
    _confirm(names, count, asks=not (yes or as_json) and sys.stdin.isatty())
    view = view_of(as_json=as_json)

    async def work(fleet: Fleet, interrupts: Interrupts) -> None:
        heads = [await fleet.head(app) for app in names]
        await removal.remove(fleet, heads, int(time.time()), show=view.show, interrupts=interrupts, timeout_s=timeout_s)

    run_changing(work, view, fleet)


def _confirm(names: tuple[str, ...], count: int | None, *, asks: bool) -> None:
    """
    Raises:
        UsageError: the number was not said, or another one.
    """
    if count == len(names):
        return
    if count is not None or not asks:
        raise UsageError(
            f"{listed(names)} would be taken out of every region",
            remedy=f"Say that you mean it with --count {len(names)}.",
        )
    what = "its name" if len(names) == 1 else "how many apps that are"
    meant = names[0] if len(names) == 1 else str(len(names))
    if click.prompt(f"This takes {listed(names)} out of every region. Type {what} to go on") != meant:
        raise UsageError("that is not it: nothing was changed", remedy="Type it as it stands in `edged apps`.")
