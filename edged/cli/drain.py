"""`edged drain` and `edged undrain`: one node out of traffic without a failed request, and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click

from edged.cli.with_fleet import fleet_options, print_json, run
from edged.cli.words import plural
from edged.fleet.roster import Node
from edged.publish import drain as publish
from edged.publish.drain import Show, Steered, find_node
from edged.publish.fleet import Fleet, connector
from edged.publish.interrupts import Interrupts
from edged.publish.link import Connect
from edged.readable import readable

_STEPS = {
    "closing": "connections end with their next answer",
    "shifting": "any other way is preferred",
    "withdrawing": "withdrawing",
    "lingering": "withdrawn; what is open is served",
    "drained": "out of traffic",
    "cut short": "out of traffic, cut short",
    "undrained": "coming back",
}

_node = click.argument("node", metavar="[NODE]", required=False)


@click.command()
@_node
@fleet_options
def drain(node: str | None, *, fleet: str | None, as_json: bool) -> None:
    """Have NODE leave traffic, and stay away until `edged undrain`.

    Any other way to its addresses is preferred first, then its prefixes are withdrawn, then it serves
    what is still open. NODE may be left out where the fleet has one node only. Ctrl-C ends the
    command, and not what it began.
    """
    _steer(publish.drain, node, fleet, as_json=as_json)


@click.command()
@_node
@fleet_options
def undrain(node: str | None, *, fleet: str | None, as_json: bool) -> None:
    """Have NODE come back into traffic, once it finds itself healthy."""
    _steer(publish.undrain, node, fleet, as_json=as_json)


def _steer(
    do: Callable[[Connect, Node, Show], Awaitable[None]], name: str | None, fleet: str | None, *, as_json: bool
) -> None:
    show: Show = (lambda event: print_json(event.as_json())) if as_json else _Lines().show

    async def work(fleet: Fleet, _interrupts: Interrupts) -> None:
        await do(connector(fleet.author), find_node(fleet.author, name), show)

    run(work, fleet=fleet)


class _Lines:
    """Shows what changes, a line each."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    def show(self, event: Steered) -> None:
        lines = {"": _step(event)} if event.step else {}
        lines |= {each.prefix: f"{each.prefix} {each.state}: {each.reason}" for each in event.prefixes}
        for key, text in lines.items():
            if self._shown.get(key) != text:
                self._shown[key] = text
                click.echo(readable(f"{event.node}  {text}"))


def _step(event: Steered) -> str:
    text = _STEPS.get(event.step, event.step)
    if event.step == "lingering":
        return f"{text}: {plural(event.connections, 'connection')}"
    if event.step in ("drained", "cut short"):
        return f"{text}, {'told to' if event.withdrawal_proven else 'not proven to have reached'} every router"
    return text
