"""What nodes of a large fleet tell each other first: of whom they heard last, and whose report they hold.

    asks: beats of all nodes, own report ──> answers: its beats, and those reports that the asker lacks

A beat takes some 30 bytes where a report takes thousands, and most of what changes in a report from one beat to the
next are counts. So being alive is told by beats, and a report is sent on where it says something new, or the one over
there is REPORT_STALE_BEATS old.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from edged.errors import RequestInvalid
from edged.limits import REPORT_COUNT_MAX
from registry.errors import Malformed
from registry.strict import Reader

_NAME_BYTES_MAX = 255


class Beat(NamedTuple):
    """What one node knows of another.

    Attributes:
        incarnation, beat: of the newest that was heard of it; see `edged.fleet.report.NodeReport`.
        shown: beat of the report that is held of that incarnation; 0 for none.
    """

    node: str
    incarnation: int
    beat: int
    shown: int


def encode_beats(beats: Iterable[Beat]) -> list[Any]:
    """As they stand in a message."""
    return [list(beat) for beat in beats]


def parse_beats(value: object) -> list[Beat]:
    """The beats of a message.

    Raises:
        RequestInvalid
    """
    if not isinstance(value, list) or len(value) > REPORT_COUNT_MAX:
        raise RequestInvalid(f"beats are no array of up to {REPORT_COUNT_MAX}")
    return [_parse(item) for item in value]


def _parse(item: object) -> Beat:
    if not isinstance(item, list) or len(item) != len(Beat._fields):
        raise RequestInvalid("a beat is a name and three numbers")
    reader = Reader(dict(zip(Beat._fields, item, strict=True)), "beat")
    try:
        return Beat(
            reader.line("node", _NAME_BYTES_MAX),
            reader.integer("incarnation"),
            reader.integer("beat"),
            reader.integer("shown"),
        )
    except Malformed as error:
        raise RequestInvalid(error.message) from None
