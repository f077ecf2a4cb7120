"""`edged speaker`: the child of `edged node` that speaks BGP (`bgp.child`). Not for typing."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from bgp import child
from edged.fleet.roster_prefixes import read_allowed
from edged.logging import configure


@click.command(hidden=True)
@click.option("--fd", "descriptor", type=int, required=True, help="The connection to the supervisor.")
@click.option("--state-dir", type=click.Path(path_type=Path), required=True, help="Where the signed rosters are.")
def speaker(*, descriptor: int, state_dir: Path) -> None:
    """Announce what the supervisor says, if the roster on disk allows it, until the connection closes."""
    configure(as_json=True)
    child.serve(socket.socket(fileno=descriptor), read_allowed(state_dir).allow_list)
