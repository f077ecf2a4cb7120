"""What every command about a fleet has in common: which fleet, how it answers, how it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial, wraps
from typing import Any, Protocol, TypeVar, cast

import click
import trio

from edged.cli.cache_folder import default_cache_folder
from edged.cli.failure import failure_of
from edged.limits import PUSH_TIMEOUT_S
from edged.logging import configure
from edged.nursery import plain_errors
from edged.publish import app_names
from edged.publish.context import ContextStore, default_config_folder
from edged.publish.fleet import Fleet, open_fleet
from edged.publish.interrupts import Interrupts

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])

Work = Callable[[Fleet, Interrupts], Awaitable[_T]]
"""A command, once there is a link to the fleet. What it is to do at Ctrl-C, it looks up in the second argument."""


def fleet_options(command: _F) -> _F:
    """`--fleet` and `--json`."""
    decorated = json_option(command)
    return click.option("--fleet", metavar="NAME", help="Which fleet.  [default: the current one]")(decorated)


def timeout_option(command: _F) -> _F:
    """`--timeout`, of a command that waits for regions."""
    text = "Wait so long for the regions, of each wave."
    option = click.option(
        "--timeout", "timeout_s", metavar="SECONDS", type=click.FloatRange(min=0), default=PUSH_TIMEOUT_S, help=text
    )
    return option(command)


def json_option(command: _F) -> _F:
    """`--json`, with which an error is the last line of stdout as well."""

    @wraps(command)
    def told(*args: Any, as_json: bool, **options: Any) -> Any:
        configure(level="warning", as_json=True if as_json else None)
        try:
            return command(*args, as_json=as_json, **options)
        except (click.Abort, click.ClickException):  # of a question or an option: click says it, and so does main
            raise
        except Exception as error:
            failure = failure_of(error)
            if as_json:
                print_json({"event": "error", **failure.as_json()})
            raise failure from error

    return cast(_F, click.option("--json", "as_json", is_flag=True, help="Print JSON.")(told))


def complete_app(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of apps for the shell, from the last answer of the fleet."""
    with suppress(Exception):  # whatever is wrong, the shell must not show it in the middle of a line
        name = ctx.params.get("fleet") or _store().current()
        if name is not None:
            names = app_names.recall(default_cache_folder(), name)
            return [app for app in names if app.startswith(incomplete)]
    return []


app_argument = click.argument("app", shell_complete=complete_app)
apps_argument = click.argument("apps", metavar="APP...", nargs=-1, required=True, shell_complete=complete_app)


def run(work: Work[_T], *, fleet: str | None, own_signals: bool = False) -> _T:
    """Open the fleet and do the work.

    Args:
        own_signals: the work is told of Ctrl-C; else it simply ends.
    """
    try:
        return trio.run(partial(_run, work, fleet, own_signals), restrict_keyboard_interrupt_to_checkpoints=True)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from None
        raise


def run_changing(work: Work[None], view: View, fleet: str | None) -> None:
    """As `run`, for what a view shows and Ctrl-C may stop half-way."""
    try:
        run(work, fleet=fleet, own_signals=True)
    finally:
        view.close()


async def _run(work: Work[_T], name: str | None, own_signals: bool) -> _T:
    store = _store()
    context = await trio.to_thread.run_sync(store.load, name)
    interrupts = Interrupts()
    # Until there is a link, Ctrl-C ends the command at once: there is nothing yet that it could leave half-done.
    with plain_errors():
        async with open_fleet(context, store) as fleet, trio.open_nursery() as nursery:
            if own_signals:
                await nursery.start(interrupts.receive)
            result = await work(fleet, interrupts)
            nursery.cancel_scope.cancel()
    return result


def _store() -> ContextStore:
    return ContextStore(default_config_folder())


def print_json(shape: object) -> None:
    """One value a line on stdout. A reader that went away must not end what is under way."""
    with suppress(OSError, ValueError):
        sys.stdout.write(json.dumps(shape) + "\n")
        sys.stdout.flush()


class Shown(Protocol):
    """An event."""

    def as_json(self) -> dict[str, object]: ...


class View(Protocol):
    """Who shows what happens."""

    def show(self, event: Any) -> None: ...

    def close(self) -> None:
        """Nothing is shown any more."""


class JsonEvents:
    """Shows events to a program, one JSON object a line."""

    def show(self, event: Shown) -> None:
        print_json(event.as_json())

    def close(self) -> None:
        """Nothing is kept open."""


def view_of(*, as_json: bool) -> View:
    """Who shows the events of a push or another change."""
    if as_json:
        return JsonEvents()
    from edged.cli.push_terminal import PushView  # noqa: PLC0415 - 60 ms that --json does not need

    return PushView()


def remember_apps(fleet: str, names: list[str]) -> None:
    """Keep the names for the shell's completion."""
    with suppress(Exception):
        app_names.remember(default_cache_folder(), fleet, names)
