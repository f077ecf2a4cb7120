"""`edged rollback`: what an app was, again."""

from __future__ import annotations

import sys
import time

import click

from edged.cli.with_fleet import app_argument, fleet_options, run, run_changing, timeout_option, view_of
from edged.cli.words import moment, short
from edged.errors import PushInterrupted
from edged.fleet.deployment import Deployment
from edged.publish.change import apply, keeps_variables, rolled_back, target_of
from edged.publish.deployments import Head
from edged.publish.fleet import Fleet
from edged.publish.history import history
from edged.publish.interrupts import Interrupts


@click.command(context_settings={"show_default": True})
@app_argument
@click.argument("sequence", metavar="[N]", type=click.IntRange(min=1), required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@timeout_option
@fleet_options
def rollback(app: str, *, sequence: int | None, yes: bool, timeout_s: float, fleet: str | None, as_json: bool) -> None:
    """Go back to what sequence N of APP was, or to the release before the one of now.

    Where nodes did not take the newest one, that is the one that they went on with. It becomes a new sequence, with the
    variables of now, unless nothing runs with them. In a terminal it says what it will do, and asks.
    """

    async def look(fleet: Fleet, _interrupts: Interrupts) -> tuple[Head, Deployment, frozenset[int]]:
        past = await history(fleet, app)
        running = frozenset(one.deployment.sequence for one in past if one.is_running)
        head = await fleet.head(app)
        return head, target_of(head, [one.deployment for one in past if one.signed_by], sequence, running), running

    head, target, running = run(look, fleet=fleet)
    if not as_json:
        releases = ", ".join(sorted({short(digest) for digest in target.regions.values()}))
        click.echo(f"{app} {head.sequence} -> what {target.sequence} was, as sequence {head.sequence + 1}")
        click.echo(f"  release {releases} of {moment(target.issued)}, in {', '.join(sorted(target.regions))}")
        if target.variables or (head.live is not None and head.live.variables):
            click.echo(f"  variables {'of now' if keeps_variables(head, running) else 'that it had'}")
        if sequence is None:
            click.echo(f"  for another: `edged rollback {app} N`, with an N of `edged releases {app}`")
        if not yes and sys.stdin.isatty() and not click.confirm("Go back?"):
            raise PushInterrupted("not confirmed: nothing was changed", remedy=f"See `edged releases {app}`.")
    view = view_of(as_json=as_json)

    async def work(fleet: Fleet, interrupts: Interrupts) -> None:
        deployment = rolled_back(fleet.author, head, target, int(time.time()), running)
        await apply(fleet, head, deployment, show=view.show, interrupts=interrupts, timeout_s=timeout_s)

    run_changing(work, view, fleet)
