"""What a PostgreSQL server says is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edged.host.rdbms.failure import QueryFailed

_FIELDS = {
    "c": "column", "n": "constraint", "R": "routine", "H": "hint", "t": "table", "d": "datatype", "s": "schema",
    "F": "file", "L": "line", "W": "where",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """An ErrorResponse.

    Attributes:
        severity: as ERROR, in the server's language.
        code: SQLSTATE.
        extras: names of Spin -> values.
    """

    severity: str
    code: str
    message: str
    detail: str | None
    extras: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Report:
        """Of fields by their letters (55.8 of PostgreSQL's manual)."""
        return cls(
            severity=fields.get("S", "ERROR"),
            code=fields.get("C", ""),
            message=fields.get("M", ""),
            detail=fields.get("D"),
            extras=tuple((name, fields[key]) for key, name in _FIELDS.items() if key in fields),
        )

    def __str__(self) -> str:
        detail = "" if self.detail is None else f"; {self.detail}"
        return f"{self.severity}: {self.message} ({self.code}){detail}"


class StatementRefused(QueryFailed):
    """The server refused a statement."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
