"""The commands. Each is thin: parse, call, render. What they call knows nothing of click or of terminals."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from types import ModuleType

import click

from edged.cli.failure import failure_of, show_failure
from edged.version import full

# Command -> module with a click command of the same name. Imported when used: `edged --version` must be quick.
_COMMANDS = {
    "up": "edged.cli.up",
    "node": "edged.cli.node",
    "check": "edged.cli.check",
    "doctor": "edged.cli.doctor",
    "login": "edged.cli.login",
    "push": "edged.cli.push",
    "apps": "edged.cli.apps",
    "status": "edged.cli.status",
    "releases": "edged.cli.releases",
    "rollback": "edged.cli.rollback",
    "logs": "edged.cli.logs",
    "variables": "edged.cli.variables",
    "remove": "edged.cli.remove",
    "drain": "edged.cli.drain",
    "undrain": "edged.cli.drain",
    "upgrade": "edged.cli.upgrade",
    "completion": "edged.cli.completion",
    "bench": "edged.cli.bench",
    "bundle": "edged.cli.bundle",
    "fleet": "edged.cli.fleet",
    "provision": "edged.cli.provision",
    "keys": "edged.cli.keys",
    "compile": "edged.cli.compile",
    "worker": "edged.cli.worker",
    "speaker": "edged.cli.speaker",
}

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class _Commands(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        module = _COMMANDS.get(name)
        return None if module is None else getattr(_imported(module), name)


def _imported(name: str) -> ModuleType:
    """A module, imported without looking for garbage among what stays anyway, which is a tenth of the time."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.enable()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(full(), prog_name="edged")
def _edged() -> None:
    """Spin applications on bare-metal nodes, close to every user."""


def main() -> None:
    """The console script. Ends the process with the exit status of the error, if any (docs/errors.md)."""
    try:
        status = _edged.main(standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(64)
    except Exception as error:
        failure = failure_of(error)
        show_failure(failure)
        sys.exit(failure.exit_status)
    finally:
        _let_go()
    sys.exit(status if isinstance(status, int) else 0)


def _let_go() -> None:
    """What a reader that went away did not take is dropped. Python would end with 120 for it, whatever was done."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
