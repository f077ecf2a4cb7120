"""Messages of PostgreSQL's protocol 3.0 (chapter 55 of its manual), without any I/O.

Each is a letter, four bytes of length that count themselves, and fields. The first one has no letter.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.host.rdbms.failure import QueryFailed
from edged.limits import SQL_COLUMN_COUNT_MAX

PROTOCOL = 3 << 16
SSL_REQUEST = struct.pack(">II", 8, 1234 << 16 | 5679)
SYNC = b"S\0\0\0\x04"
FLUSH = b"H\0\0\0\x04"
TERMINATE = b"X\0\0\0\x04"

_FIELDS = {
    "c": "column", "n": "constraint", "R": "routine", "H": "hint", "t": "table", "d": "datatype", "s": "schema",
    "F": "file", "L": "line", "W": "where",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """What a server says is wrong.

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

    def __str__(self) -> str:
        detail = "" if self.detail is None else f"; {self.detail}"
        return f"{self.severity}: {self.message} ({self.code}){detail}"


class StatementRefused(QueryFailed):
    """The server refused a statement."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a result.

    Attributes:
        oid: of its type.
    """

    name: str
    oid: int


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def startup(parameters: Mapping[str, str]) -> bytes:
    body = b"".join(_z(text) for pair in parameters.items() for text in pair)
    return struct.pack(">II", len(body) + 9, PROTOCOL) + body + b"\0"


def cancel_request(process: int, secret: bytes) -> bytes:
    return struct.pack(">III", 12 + len(secret), 1234 << 16 | 5678, process) + secret


def password(text: str) -> bytes:
    return message(b"p", _z(text))


def sasl_initial(mechanism: str, data: bytes) -> bytes:
    return message(b"p", _z(mechanism) + struct.pack(">I", len(data)) + data)


def sasl(data: bytes) -> bytes:
    return message(b"p", data)


def simple_query(statement: str) -> bytes:
    return message(b"Q", _z(statement))


def parse(statement: str) -> bytes:
    """Into the unnamed statement; the server finds the types of its parameters."""
    return message(b"P", b"\0" + _z(statement) + b"\0\0")


def describe_statement() -> bytes:
    return message(b"D", b"S\0")


def bind_and_execute(parameters: Sequence[tuple[int, bytes | None]]) -> bytes:
    """The unnamed statement with these formats and values. All columns are to come in binary."""
    count = struct.pack(">H", len(parameters))
    body = [b"\0\0", count, *(struct.pack(">H", format_) for format_, _ in parameters), count]
    for _, raw in parameters:
        body += (struct.pack(">i", -1 if raw is None else len(raw)), raw or b"")
    body.append(b"\0\x01\0\x01")
    return message(b"B", b"".join(body)) + message(b"D", b"P\0") + message(b"E", b"\0\0\0\0\0")


def parse_fields(body: bytes) -> list[Field]:
    """RowDescription. Raises: ValueError"""
    (count,) = struct.unpack_from(">H", body)
    if count > SQL_COLUMN_COUNT_MAX:
        raise ValueError("too many columns")
    at = 2
    fields = []
    for _ in range(count):
        end = body.index(b"\0", at)
        # After the name: table, number in it, type, size, modifier, format.
        (oid,) = struct.unpack_from(">6xI", body, end + 1)
        fields.append(Field(body[at:end].decode(errors="replace"), oid))
        at = end + 19
    return fields


def parse_row(body: bytes) -> list[bytes | None]:
    """DataRow. Raises: ValueError"""
    (count,) = struct.unpack_from(">H", body)
    at = 2
    values: list[bytes | None] = []
    for _ in range(count):
        (length,) = struct.unpack_from(">i", body, at)
        at += 4
        if length < 0:
            values.append(None)
            continue
        values.append(body[at : at + length])
        at += length
    if at != len(body):
        raise ValueError("a row is cut off")
    return values


def parse_parameter_types(body: bytes) -> list[int]:
    """ParameterDescription. Raises: ValueError"""
    return list(struct.unpack(f">{int.from_bytes(body[:2])}I", body[2:]))


def parse_report(body: bytes) -> Report:
    """ErrorResponse."""
    fields = {part[:1].decode("latin-1"): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return Report(
        severity=fields.get("S", "ERROR"),
        code=fields.get("C", ""),
        message=fields.get("M", ""),
        detail=fields.get("D"),
        extras=tuple((name, fields[key]) for key, name in _FIELDS.items() if key in fields),
    )


def rows_affected(body: bytes) -> int:
    """CommandComplete: `INSERT 0 5`, `UPDATE 3`, `CREATE TABLE`."""
    last = body.rstrip(b"\0").rpartition(b" ")[2]
    return int(last) if last.isdigit() and len(last) < 20 else 0


def _z(text: str) -> bytes:
    """Raises: ValueError: text with a NUL, which would end it early."""
    if "\0" in text:
        raise ValueError("there is a NUL in the text")
    return text.encode() + b"\0"
