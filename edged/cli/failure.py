"""How a command says that it failed: what is wrong, then what to do."""

from __future__ import annotations

import traceback

import click

from edged.errors import EdgedError
from edged.nursery import first_error
from edged.readable import readable


def failure_of(error: BaseException) -> EdgedError:
    """The error of ours that stands for whatever a command ended with; with a traceback if it was a mistake of ours."""
    failure = first_error(error)
    if failure is not None:
        return failure
    traceback.print_exception(error)
    return EdgedError(f"a mistake in edged: {type(error).__name__}", remedy="Report it with the lines above.")


def show_failure(error: EdgedError) -> None:
    """Print an error and its remedy to stderr."""
    first, *more = error.message.split("\n")
    click.secho(f"error: {readable(first)}", fg="red", err=True)
    for line in more:
        click.secho(f"       {readable(line)}", fg="red", err=True)
    click.echo(f"  -> {readable(error.remedy)}  [{error.code}]", err=True)
