"""`edged apps`: what a fleet runs."""

from __future__ import annotations

import click

from edged.cli.with_fleet import fleet_options, print_json, remember_apps, run
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts
from edged.publish.url import app_url
from edged.status.view import StatusView


@click.command()
@fleet_options
def apps(*, fleet: str | None, as_json: bool) -> None:
    """List the apps of a fleet and where they answer."""

    async def work(fleet: Fleet, _interrupts: Interrupts) -> StatusView:
        return await fleet.view()

    view = run(work, fleet=fleet)
    remember_apps(view.fleet.name, [app.name for app in view.apps])
    if as_json:
        for app in view.apps:
            print_json(
                {
                    "app": app.name,
                    "state": app.state,
                    "sequence": app.sequence,
                    "regions": dict(app.regions),
                    "hosts": list(app.hosts),
                    "url": app_url(view, app.name, app.hosts, app.regions),
                    "issued": app.issued,
                    "message": app.message,
                }
            )
        return
    from edged.cli.status_terminal import print_apps  # noqa: PLC0415 - 60 ms that --json does not need

    print_apps(view)
