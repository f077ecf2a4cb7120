"""`edged doctor`: what is wrong with this machine, and how to mend it."""

from __future__ import annotations

import json
from pathlib import Path

import click
import trio

from provisioning import paths


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default=Path(paths.CONFIG),
    show_default=True,
    help="What the node is told.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show also what is well.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def doctor(context: click.Context, config: Path, *, verbose: bool, as_json: bool) -> None:
    """Say what keeps this machine from being a node that serves and announces, and what to do about it.

    Looks at everything from the binary to the BGP sessions, and changes nothing. Root sees all of it. Ends with 0 if
    there is no problem, else with 1. docs/doctor.md has every check.
    """
    from edged.doctor.doctor import examine  # noqa: PLC0415 - half a second, which --help does not need
    from edged.doctor.finding import as_json as shape  # noqa: PLC0415
    from edged.doctor.finding import problems  # noqa: PLC0415

    findings = trio.run(examine, config)
    if as_json:
        click.echo(json.dumps(shape(findings)))
    else:
        from edged.cli.doctor_terminal import print_findings  # noqa: PLC0415 - 60 ms that --json does not need

        print_findings(findings, verbose=verbose)
    if problems(findings):
        context.exit(1)
