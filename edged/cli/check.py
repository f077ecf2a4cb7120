"""`edged check`: whether a node could start with this node.toml."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edged.errors import NodeConfigInvalid
from edged.node.check import check as check_config
from edged.node.config_file import load


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default="node.toml",
    show_default=True,
    help="What the node is told.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def check(context: click.Context, config: Path, as_json: bool) -> None:
    """Check a node.toml, and the files that it names, as a start or a reload would.

    Finds every problem, each with its line and what to do. Changes nothing, and listens on nothing.
    """
    try:
        check_config(load(config))
    except NodeConfigInvalid as error:
        if not as_json:
            raise
        click.echo(json.dumps({"file": str(config), "valid": False, "problems": error.message.split("\n")}))
        context.exit(error.exit_status)
    if as_json:
        click.echo(json.dumps({"file": str(config), "valid": True, "problems": []}))
    else:
        click.echo(f"{config} is right")
