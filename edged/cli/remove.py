"""`edged remove`: an app, in no region any more."""

from __future__ import annotations

import sys
import time

import click

from edged.cli.with_fleet import app_argument, fleet_options, run_changing, timeout_option, view_of
from edged.errors import UsageError
from edged.publish.change import apply, without
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts


@click.command(context_settings={"show_default": True})
@app_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask for the app's name again.")
@timeout_option
@fleet_options
def remove(app: str, *, yes: bool, timeout_s: float, fleet: str | None, as_json: bool) -> None:
    """Take APP out of every region.

    Its history stays, so `edged rollback` brings it back, with the variables that it had. In a
    terminal its name is asked for.
    """
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError(f"{app} would be taken out of every region", remedy="Say that you mean it with --yes.")
        if click.prompt(f"This takes {app} out of every region. Type its name to go on") != app:
            raise UsageError(
                "that is not its name: nothing was changed", remedy="Type it as it stands in `edged apps`."
            )
    view = view_of(as_json=as_json)

    async def work(fleet: Fleet, interrupts: Interrupts) -> None:
        head = await fleet.head(app)
        deployment = without(fleet.author, head, int(time.time()))
        await apply(fleet, head, deployment, show=view.show, interrupts=interrupts, timeout_s=timeout_s)

    run_changing(work, view, fleet)
