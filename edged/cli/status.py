"""`edged status`: the whole fleet at a glance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
import trio

from edged.cli.with_fleet import fleet_options, print_json, remember_apps, run
from edged.limits import STATUS_INTERVAL_S
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts
from edged.status.diagnosis import diagnose
from edged.status.parse import parse_status


@click.command()
@click.option("-w", "--watch", is_flag=True, help="Go on showing it until Ctrl-C.")
@fleet_options
def status(*, watch: bool, fleet: str | None, as_json: bool) -> int:
    """Show what is wrong with a fleet, then its regions, nodes and apps.

    Ends with 0 whatever it shows; --json prints what the node answers, and what is wrong in words, as docs/status.md
    has it.
    """

    async def once(fleet: Fleet, _interrupts: Interrupts) -> Any:
        return await fleet.link.call("status")

    async def again(fleet: Fleet, interrupts: Interrupts) -> None:
        show = _print_json if as_json else _screen()
        while not interrupts.first.is_set():
            show(await fleet.link.call("status"))
            with trio.move_on_after(STATUS_INTERVAL_S):
                await interrupts.first.wait()

    if watch:
        run(again, fleet=fleet, own_signals=True)
        return 0
    answer = run(once, fleet=fleet)
    view = parse_status(answer)
    remember_apps(view.fleet.name, [app.name for app in view.apps])
    if as_json:
        _print_json(answer)
    else:
        from edged.cli.status_terminal import print_status  # noqa: PLC0415 - 60 ms that --json does not need

        print_status(view)
    return 0


def _print_json(answer: Any) -> None:
    print_json(answer | {"problems": [asdict(problem) for problem in diagnose(parse_status(answer))]})


def _screen() -> Any:
    from edged.cli.status_terminal import Screen  # noqa: PLC0415 - see above

    screen = Screen()
    return lambda answer: screen.show(parse_status(answer))
