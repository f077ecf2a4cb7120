"""`edged logs`: what an app prints, from everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing

import click

from edged.cli.with_fleet import app_argument, fleet_options, print_json, run
from edged.limits import LOG_TAIL_LINE_COUNT
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts, until
from edged.publish.logs import LogLine, follow, in_order
from edged.readable import readable

_STREAM_COLOURS = {"stderr": "yellow"}


@click.command(context_settings={"show_default": True})
@app_argument
@click.option("-f", "--follow", "is_following", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "-n", "--tail", metavar="LINES", type=click.IntRange(0, LOG_TAIL_LINE_COUNT), default=100, help="Lines from before."
)
@fleet_options
def logs(app: str, *, is_following: bool, tail: int, fleet: str | None, as_json: bool) -> None:
    """Show what the guests of APP print, of all nodes together."""
    show: Callable[[LogLine], None] = _print_json if as_json else _print

    async def work(fleet: Fleet, interrupts: Interrupts) -> None:
        async with until(interrupts.first):
            if not is_following:
                async with aclosing(follow(fleet.link, app, tail=tail, follow=False)) as lines:
                    found = [line async for line in lines]
                for line in in_order(found, tail):
                    show(line)
                return
            async with aclosing(follow(fleet.link, app, tail=tail, follow=True)) as lines:
                async for line in lines:
                    show(line)

    run(work, fleet=fleet, own_signals=True)


def _print(line: LogLine) -> None:
    clock = time.strftime("%H:%M:%S", time.localtime(line.time)) + f".{int(line.time * 1000) % 1000:03}"
    start = click.style(f"{clock} {readable(line.region)}/{readable(line.node)}", dim=True)
    component = click.style(readable(line.component), fg="cyan")
    text = click.style(readable(line.text), fg=_STREAM_COLOURS.get(line.stream))
    click.echo(f"{start} {component} {'┃' if line.stream == 'stderr' else '│'} {text}")


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
