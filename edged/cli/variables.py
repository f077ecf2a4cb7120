"""`edged variables`: what an app is told, and nobody is shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import click

from edged.cli.pace import pace_options
from edged.cli.pair import parse_variables
from edged.cli.with_fleet import app_argument, fleet_options, print_json, run, run_changing, timeout_option, view_of
from edged.errors import UsageError
from edged.limits import VARIABLE_FILE_BYTES_MAX
from edged.publish.change import apply, with_variables
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts
from edged.publish.pace import Pace


@click.group()
def variables() -> None:
    """Set, delete or list the variables of an app. Values are never shown."""


@variables.command(name="set", context_settings={"show_default": True})
@app_argument
@click.argument("pairs", metavar="KEY=VALUE|KEY=-|@FILE...", nargs=-1, required=True)
@pace_options
@timeout_option
@fleet_options
def set_(app: str, pairs: tuple[str, ...], *, pace: Pace, timeout_s: float, fleet: str | None, as_json: bool) -> None:
    """Set variables of APP, which is loaded anew with them.

    @FILE is a JSON object or a TOML table of strings. KEY=- takes the value from stdin, which keeps it out of the
    list of processes and the shell's history.
    """
    _change(app, _values(pairs), (), pace=pace, timeout_s=timeout_s, fleet=fleet, as_json=as_json)


@variables.command(context_settings={"show_default": True})
@app_argument
@click.argument("names", metavar="KEY...", nargs=-1, required=True)
@pace_options
@timeout_option
@fleet_options
def delete(app: str, names: tuple[str, ...], *, pace: Pace, timeout_s: float, fleet: str | None, as_json: bool) -> None:
    """Delete variables of APP: the manifest's defaults count again."""
    _change(app, {}, names, pace=pace, timeout_s=timeout_s, fleet=fleet, as_json=as_json)


@variables.command(name="list")
@app_argument
@fleet_options
def list_(app: str, *, fleet: str | None, as_json: bool) -> None:
    """List the names of the variables that are set for APP."""

    async def work(fleet: Fleet, _interrupts: Interrupts) -> list[str]:
        return sorted((await fleet.head(app)).known().variables)

    names = run(work, fleet=fleet)
    if as_json:
        print_json({"app": app, "variables": names})
        return
    for name in names:
        click.echo(name)
    if not names:
        click.echo(f"no variable of {app} is set", err=True)


def _values(pairs: tuple[str, ...]) -> Mapping[str, str]:
    values = dict(parse_variables(pairs, "variables set"))
    piped = [text.removesuffix("=-") for text in pairs if text.endswith("=-") and not text.startswith("@")]
    if len(piped) > 1:
        raise UsageError("only one variable can come from stdin", remedy="Give the others in a @FILE.")
    for name in piped:
        values[name] = _stdin()
    return values


def _stdin() -> str:
    """All of stdin, without the last end of line, which `echo` and editors add."""
    data = sys.stdin.buffer.read(VARIABLE_FILE_BYTES_MAX + 1)
    if len(data) > VARIABLE_FILE_BYTES_MAX:
        raise UsageError(f"stdin has more than {VARIABLE_FILE_BYTES_MAX} bytes")
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError("stdin is not UTF-8", remedy="Encode the value as text, in base64 for instance.") from None


def _change(
    app: str,
    values: Mapping[str, str],
    gone: tuple[str, ...],
    *,
    pace: Pace,
    timeout_s: float,
    fleet: str | None,
    as_json: bool,
) -> None:
    view = view_of(as_json=as_json)

    async def work(fleet: Fleet, interrupts: Interrupts) -> None:
        head = await fleet.head(app)
        deployment = with_variables(fleet.author, head, values, gone, int(time.time()), pace=pace)
        await apply(
            fleet,
            head,
            deployment,
            show=view.show,
            interrupts=interrupts,
            timeout_s=timeout_s,
            remedy=f"What was there before goes on. Correct them with `edged variables set {app}` or `delete {app}`.",
        )

    run_changing(work, view, fleet)
