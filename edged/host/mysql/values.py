"""Values of `fermyon:spin/rdbms-types` from and to the binary protocol of MySQL.

As in Spin, dates, times, decimals, bits and JSON have no place in the interface: their columns are `other`, and a value
in one fails the query. `CAST(... AS CHAR)` makes text of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from edged.host.mysql.packets import Definition, Reader, lenenc
from edged.host.rdbms.failure import ConversionFailed

_UNSIGNED, _BINARY = 1 << 5, 1 << 7

_Number = tuple[struct.Struct, str]
_FLOAT32: _Number = (struct.Struct("<f"), "floating32")
_FLOAT64: _Number = (struct.Struct("<d"), "floating64")
_INT32: _Number = (struct.Struct("<i"), "int32")
_UINT32: _Number = (struct.Struct("<I"), "uint32")

_NUMBERS: Mapping[int, tuple[_Number, _Number]] = {
    1: ((struct.Struct("<b"), "int8"), (struct.Struct("<B"), "uint8")),
    2: ((struct.Struct("<h"), "int16"), (struct.Struct("<H"), "uint16")),
    3: (_INT32, _UINT32),
    4: (_FLOAT32, _FLOAT32),
    5: (_FLOAT64, _FLOAT64),
    8: ((struct.Struct("<q"), "int64"), (struct.Struct("<Q"), "uint64")),
    9: (_INT32, _UINT32),  # MEDIUMINT
}
"""Type -> format and case of signed ones, and of those with the flag UNSIGNED."""

_STRINGS: Mapping[int, tuple[str, str]] = {
    250: ("binary", "binary"),  # MEDIUMBLOB
    251: ("binary", "binary"),  # LONGBLOB
    252: ("str", "binary"),  # TEXT and BLOB of any size
    253: ("str", "binary"),  # VARCHAR and VARBINARY
    254: ("str", "binary"),  # CHAR and BINARY, ENUM, SET
}
"""Type -> the cases without and with the flag BINARY, which columns with a collation `..._bin` have too."""

_YEAR, _SHORT_LENGTHS = 13, frozenset({7, 10, 11, 12, 14})
"""TIMESTAMP, DATE, TIME, DATETIME, NEWDATE: a byte of length, and as many bytes."""


def data_type(column: Definition) -> str:
    """The case of `db-data-type`."""
    if column.kind in _NUMBERS:
        return _NUMBERS[column.kind][bool(column.flags & _UNSIGNED)][1]
    if column.kind in _STRINGS:
        return _STRINGS[column.kind][bool(column.flags & _BINARY)]
    return "other"


def decode_row(columns: Sequence[Definition], body: bytes) -> list[Any]:
    """A ProtocolBinary::ResultsetRow as `list<db-value>`.

    Raises:
        ConversionFailed: a value that the interface has no place for.
        ValueError: it is malformed.
    """
    reader = Reader(body, 1)
    nulls = reader.integer((len(columns) + 9) // 8) >> 2
    row: list[Any] = []
    unfit: Definition | None = None
    for column in columns:
        if nulls & 1:
            row.append("db-null")
        else:
            raw = _take(column, reader)
            case = data_type(column)
            if case == "other":
                unfit = unfit or column
            row.append((case, raw))
        nulls >>= 1
    if unfit is not None:
        raise ConversionFailed(f"column {unfit.name} is of a type that is not supported: cast it to CHAR")
    return row


def _take(column: Definition, reader: Reader) -> Any:
    kind = column.kind
    if kind in _NUMBERS:
        format_ = _NUMBERS[kind][bool(column.flags & _UNSIGNED)][0]
        return format_.unpack(reader.take(format_.size))[0]
    if kind == _YEAR:
        return reader.take(2)
    if kind in _SHORT_LENGTHS:
        return reader.take(reader.integer(1))
    raw = reader.string()
    if data_type(column) != "str":
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ConversionFailed(f"column {column.name} has text that is not UTF-8") from None


_LONGLONG, _FLOAT, _DOUBLE, _VAR_STRING, _NULL = 8, 4, 5, 253, 6
_UNSIGNED_TYPE = 0x80 << 8


def encode(parameters: Sequence[Any]) -> bytes:
    """`list<parameter-value>` as the end of COM_STMT_EXECUTE: which are NULL, their types, their values."""
    nulls = 0
    types = []
    values = []
    for index, parameter in enumerate(parameters):
        if parameter == "db-null":
            nulls |= 1 << index
            types.append(_NULL)
            continue
        case, value = parameter
        match case:
            case "floating32":
                types.append(_FLOAT)
                values.append(struct.pack("<f", value))
            case "floating64":
                types.append(_DOUBLE)
                values.append(struct.pack("<d", value))
            case "str" | "binary":
                raw = value.encode() if case == "str" else bytes(value)
                types.append(_VAR_STRING)
                values += (lenenc(len(raw)), raw)
            case "uint64":
                types.append(_LONGLONG | _UNSIGNED_TYPE)
                values.append(struct.pack("<Q", value))
            case _:  # boolean and the other integers
                types.append(_LONGLONG)
                values.append(struct.pack("<q", value))
    bitmap = nulls.to_bytes((len(parameters) + 7) // 8, "little")
    return bitmap + b"\x01" + struct.pack(f"<{len(types)}H", *types) + b"".join(values)
