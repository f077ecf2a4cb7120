"""`edged logs`: what an app prints, from everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import click

from edged.cli.with_fleet import app_argument, fleet_options, print_json, run
from edged.errors import AppUnknown
from edged.limits import LOG_TAIL_LINE_COUNT
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts, until
from edged.publish.logs import LogLine, read_logs
from edged.readable import readable

_STREAM_COLOURS = {"stderr": "yellow", "edged": "cyan"}
_SIGNS = {"stdout": "│", "stderr": "┃"}


@click.command(context_settings={"show_default": True})
@app_argument
@click.option("-f", "--follow", "is_following", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "-n", "--tail", metavar="LINES", type=click.IntRange(0, LOG_TAIL_LINE_COUNT), default=100, help="Lines from before."
)
@fleet_options
def logs(app: str, *, is_following: bool, tail: int, fleet: str | None, as_json: bool) -> None:
    """Show what the guests of APP print, of all nodes together."""
    one: Callable[[LogLine], None] = _print_json if as_json else _print
    count = 0

    def show(lines: Sequence[LogLine]) -> None:
        nonlocal count
        count += len(lines)
        for line in lines:
            one(line)

    async def work(fleet: Fleet, interrupts: Interrupts) -> None:
        if is_following:
            await _check_known(fleet, app)
        async with until(interrupts.first):
            await read_logs(fleet.link, app, tail=tail, follow=is_following, show=show)
        if not count:  # looked at last: lines of an app that was removed are still kept
            await _check_known(fleet, app)

    run(work, fleet=fleet, own_signals=True)
    if not count and not as_json:
        click.echo(f"no line of {app} is kept by any node", err=True)


async def _check_known(fleet: Fleet, app: str) -> None:
    if (await fleet.view()).app(app) is None:
        raise AppUnknown(f"the fleet has no app `{app}`")


def _print(line: LogLine) -> None:
    start = click.style(f"{_clock(line.time)} {readable(line.region)}/{readable(line.node)}", dim=True)
    component = click.style(readable(line.component) or "-", fg="cyan")
    text = click.style(readable(line.text), fg=_STREAM_COLOURS.get(line.stream))
    click.echo(f"{start} {component} {_SIGNS.get(line.stream, '·')} {text}")


def _clock(time: str) -> str:
    """The time of day where it is read."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S.%f")[:12]
    except (ValueError, OverflowError):
        return readable(time[:12])


def _print_json(line: LogLine) -> None:
    print_json(
        {
            "time": line.time,
            "region": line.region,
            "node": line.node,
            "component": line.component,
            "stream": line.stream,
            "text": line.text,
        }
    )
