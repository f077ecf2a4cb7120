"""How a command says that it failed: what is wrong, then what to do."""

from __future__ import annotations

import traceback

import click

from edged.errors import EdgedError
from edged.nursery import first_error
from edged.readable import readable
from provisioning.errors import ProvisioningError
from registry.errors import RegistryError

Failure = EdgedError | RegistryError | ProvisioningError
"""All have `code`, `message`, `remedy`, `exit_status` and `as_json`."""


def failure_of(error: BaseException) -> Failure:
    """The error of ours that stands for whatever a command ended with; with a traceback if it was a mistake of ours."""
    failure = first_error(error) or _of_others(error)
    if failure is not None:
        return failure
    traceback.print_exception(error)
    return EdgedError(f"a mistake in edged: {type(error).__name__}", remedy="Report it with the lines above.")


def _of_others(error: BaseException) -> RegistryError | ProvisioningError | None:
    """The error itself, or the first of the other packages' in a group."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := _of_others(inner))), None)
    return error if isinstance(error, RegistryError | ProvisioningError) else None


def show_failure(error: Failure) -> None:
    """Print an error and its remedy to stderr."""
    first, *more = error.message.split("\n")
    click.secho(f"error: {readable(first)}", fg="red", err=True)
    for line in more:
        click.secho(f"       {readable(line)}", fg="red", err=True)
    click.echo(f"  -> {readable(error.remedy)}  [{error.code}]", err=True)
