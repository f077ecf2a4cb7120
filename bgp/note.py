"""Something for the log, from where nothing is logged: the parts without input or output."""

from __future__ import annotations

from typing import Literal

NoteLevel = Literal["debug", "info", "warning", "error"]


class Note:
    """An event of docs/logging.md with its fields."""

    __slots__ = ("event", "fields", "level")

    def __init__(self, level: NoteLevel, event: str, /, **fields: object) -> None:
        self.level = level
        self.event = event
        self.fields = fields
