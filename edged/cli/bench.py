"""`edged bench`: measuring a fleet from where its users are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import trio

from edged.bench.client import parse_clients, parse_command
from edged.bench.fleet_targets import anycast_target, region_targets
from edged.bench.picture import draw
from edged.bench.report import Report
from edged.bench.run import Plan
from edged.bench.run import run as measure
from edged.bench.target import ANYCAST, Target, parse_target, parse_targets
from edged.cli import with_fleet
from edged.cli.with_fleet import fleet_options, print_json
from edged.errors import FleetFileError, UsageError
from edged.limits import BENCH_COUNT, BENCH_COUNT_MAX, BENCH_LEAD_S, BENCH_SECONDS_MAX, BENCH_SETTLE_S
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts
from edged.readable import readable
from edged.status.parse import parse_status
from edged.status.view import StatusView

_SECONDS = click.FloatRange(min=0, max=BENCH_SECONDS_MAX)


@click.group()
def bench() -> None:
    """Measure a fleet from where its users are."""


@bench.command()
@click.argument("url", required=False)
@click.option("--client", "clients", metavar="NAME=COMMAND", multiple=True, help="Measure from here, as edi='ssh edi'.")
@click.option("--target", "targets", metavar="NAME=URL", multiple=True, help="A region by an address of its own.")
@click.option("--host", metavar="HOST", default="", help="Ask for this host.")
@click.option("--event", metavar="COMMAND", default="", help="What happens between two measurements.")
@click.option("--undo", metavar="COMMAND", default="", help="Undo it, however the benchmark ends.")
@click.option(
    "--lead", "lead_s", metavar="SECONDS", type=_SECONDS, default=BENCH_LEAD_S, help="Of the picture before the event."
)
@click.option(
    "--settle", "settle_s", metavar="SECONDS", type=_SECONDS, default=BENCH_SETTLE_S, help="Wait after the event."
)
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(1, BENCH_COUNT_MAX),
    default=BENCH_COUNT,
    help="Requests of one measurement.",
)
@click.option("--names", is_flag=True, help="Show routers by name.")
@click.option("--picture", metavar="FILE.svg", type=click.Path(path_type=Path, dir_okay=False), help="Draw latency.")
@fleet_options
def anycast(
    url: str | None,
    *,
    clients: tuple[str, ...],
    targets: tuple[str, ...],
    host: str,
    event: str,
    undo: str,
    lead_s: float,
    settle_s: float,
    count: int,
    names: bool,
    picture: Path | None,
    fleet: str | None,
    as_json: bool,
) -> int:
    """Show by httping and mtr how an anycast address is reached, before and after an event.

    URL is one at the anycast address; else address and regions are the fleet's.
    """
    if (undo or picture is not None) and not event:
        raise UsageError("--undo and --picture are about an event", remedy="Say what happens by --event.")
    places = parse_clients(clients)
    event_words = parse_command(event) if event else ()
    undo_words = parse_command(undo) if undo else ()
    to_anycast, regions = _targets(url, targets, host, fleet)
    plan = Plan(
        clients=places,
        anycast=to_anycast,
        regions=regions,
        event=event_words,
        undo=undo_words,
        event_text=event,
        undo_text=undo,
        lead_s=lead_s,
        settle_s=settle_s,
        count=count,
        names=names,
    )
    report = _run(plan)
    if picture is not None:
        _write(picture, report)
    if as_json:
        print_json(report.as_json())
    else:
        from edged.cli.bench_terminal import print_report  # noqa: PLC0415 - 60 ms that --json does not need

        print_report(report)
    return 0


def _run(plan: Plan) -> Report:
    try:
        return trio.run(partial(measure, plan, _say), restrict_keyboard_interrupt_to_checkpoints=True)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from None
        raise


def _targets(
    url: str | None, targets: tuple[str, ...], host: str, fleet: str | None
) -> tuple[Target, tuple[Target, ...]]:
    regions = parse_targets(targets, host)
    if url is not None:
        return parse_target(ANYCAST, url, host), regions

    async def ask(fleet: Fleet, _interrupts: Interrupts) -> StatusView:
        return parse_status(await fleet.link.call("status"))

    view = with_fleet.run(ask, fleet=fleet)
    return anycast_target(view, host), regions or region_targets(view, host)


def _say(text: str) -> None:
    click.echo(readable(text), err=True)


def _write(file: Path, report: Report) -> None:
    try:
        file.write_bytes(draw(report).encode(errors="replace"))
    except OSError as error:
        raise FleetFileError(f"{file}: {error.strerror}") from error
