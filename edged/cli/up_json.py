"""`edged up --json`: one JSON object a line on stdout for each event, and for the error that ends the command."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

from edged.cli.failure import Failure
from edged.event import Event


class JsonView:
    """Shows events to a program."""

    def show(self, event: Event) -> None:
        _print(event.as_json())

    def fail(self, error: Failure) -> None:
        """The last line of a command that failed."""
        _print({"event": "error", **error.as_json()})

    def close(self) -> None:
        """Nothing is kept open."""


def _print(shape: dict[str, object]) -> None:
    # A reader that went away must not end what is served.
    with suppress(OSError, ValueError):
        sys.stdout.write(json.dumps(shape) + "\n")
        sys.stdout.flush()
