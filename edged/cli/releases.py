"""`edged releases`: what an app was."""

from __future__ import annotations

import click

from edged.cli.with_fleet import app_argument, fleet_options, print_json, run
from edged.publish.fleet import Fleet
from edged.publish.history import Past, history
from edged.publish.interrupts import Interrupts


@click.command()
@app_argument
@fleet_options
def releases(app: str, *, fleet: str | None, as_json: bool) -> None:
    """List the deployments of an app, newest first."""

    async def work(fleet: Fleet, _interrupts: Interrupts) -> list[Past]:
        return await history(fleet, app)

    found = run(work, fleet=fleet)
    if as_json:
        for past in found:
            print_json(past.as_json())
        return
    from edged.cli.releases_terminal import print_releases  # noqa: PLC0415 - 60 ms that --json does not need

    print_releases(found)
