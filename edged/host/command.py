"""What a command is given by whoever runs it, where that changes from one call to the next: a CGI request, say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.host.streams import Sink, Source


@dataclass(frozen=True, slots=True)
class Command:
    """Takes the place of what the component itself has.

    Attributes:
        arguments: argv, the program's name first.
        environment: all variables, names to values.
        stdin: read to its end.
        stdout: an output that makes the guest wait when nobody takes it, which an `OutputSink` does not.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    stdin: Source
    stdout: Sink
