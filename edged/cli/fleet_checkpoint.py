"""`edged fleet checkpoint`: say what the fleet has, so that nodes notice when it is kept from them."""

from __future__ import annotations

import time

import click
import trio

from edged.cli.span import parse_span
from edged.cli.with_fleet import fleet_options, print_json, run
from edged.cli.words import moment, plural
from edged.errors import EdgedError, FleetUnreachable, UsageError
from edged.fleet.checkpoint import Checkpoint
from edged.limits import CHECKPOINT_S_MAX
from edged.publish.checkpoint import make_checkpoint
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts


@click.command()
@click.option("--good-for", default="1d", show_default=True, metavar="TIME", help="As 12h or 7d; 30d is the most.")
@click.option("--every", metavar="TIME", help="Go on making one so often, until Ctrl-C.")
@fleet_options
def checkpoint(*, good_for: str, every: str | None, fleet: str | None, as_json: bool) -> None:
    """Sign what the fleet has now, for nodes to compare themselves with. Takes a key with the role checkpoint.

    A node whose newest checkpoint has expired, or that lacks what it names for minutes, raises an alarm and serves on.
    """
    good_for_s = parse_span(good_for)
    every_s = None if every is None else parse_span(every)
    if not 0 < good_for_s <= CHECKPOINT_S_MAX:
        raise UsageError(
            f"a checkpoint is good for at most {CHECKPOINT_S_MAX // 86_400} days", remedy="Shorten --good-for."
        )
    if every_s is not None and not 0 < every_s < good_for_s:
        raise UsageError("each checkpoint would expire before the next one", remedy="Shorten --every.")

    async def work(found: Fleet, _interrupts: Interrupts) -> Checkpoint:
        return await make_checkpoint(found.link.call, found.author, time.time(), good_for_s)

    made_one = False
    while True:
        try:
            _show(run(work, fleet=fleet), as_json=as_json)
            made_one = True
        except EdgedError as error:
            # What does not work from the beginning will not later, but for a network. What did, may again.
            if every_s is None or not (made_one or isinstance(error, FleetUnreachable)):
                raise
            click.echo(f"No checkpoint this time: {error.message}", err=True)
        if every_s is None:
            return
        trio.run(trio.sleep, every_s)


def _show(made: Checkpoint, *, as_json: bool) -> None:
    if as_json:
        shape = {"event": "checkpoint", "fleet": made.fleet, "sequence": made.sequence}
        print_json(shape | {"apps": len(made.apps), "roster_version": made.roster_version, "expires": made.expires})
        return
    names = f"{plural(len(made.apps), 'app')}, version {made.roster_version} of the roster"
    click.echo(f"Checkpoint {made.sequence} of {made.fleet}: {names}; good until {moment(made.expires)}.")
