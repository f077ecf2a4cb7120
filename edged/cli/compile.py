"""`edged compile`: the compile child (`edged.wasm.compiler`). Not for typing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from edged.errors import EdgedError
from edged.wasm.compiler import Form, Kind, compile_here


@click.command(hidden=True)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("digest")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(["component", "module"]), default="component", help="What the source is.")
@click.option("--form", type=click.Choice(["plan"]), help="What a component has to come to.")
@click.option("--memory-max", type=int, required=True, help="Address space, bytes.")
@click.option("--cpu-max", type=int, required=True, help="CPU time, seconds.")
def compile(
    source: Path, digest: str, output: Path, *, memory_max: int, cpu_max: int, kind: Kind, form: Form | None
) -> None:
    """Compile a component or a core module to native code, inside limits."""
    try:
        compile_here(source, digest, output, memory_bytes_max=memory_max, cpu_s_max=cpu_max, kind=kind, form=form)
    except EdgedError as error:
        click.echo(json.dumps(error.as_json()))
        sys.exit(error.exit_status)
