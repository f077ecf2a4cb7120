"""How a command says that it failed: what is wrong, then what to do."""

from __future__ import annotations

import click

from edged.errors import EdgedError


def show_failure(error: EdgedError) -> None:
    click.secho(f"error: {error.message}", fg="red", err=True)
    click.echo(f"  -> {error.remedy}  [{error.code}]", err=True)
