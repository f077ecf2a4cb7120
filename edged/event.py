"""What commands tell whoever shows it, a terminal or a program that reads JSON lines: frozen records with a name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all. Never shown itself.

    Attributes:
        name: does not change; part of the public interface.
    """

    name: ClassVar[str]

    def as_json(self) -> dict[str, object]:
        """`event`, then the fields. Only JSON types."""
        return {"event": self.name, **asdict(self)}
