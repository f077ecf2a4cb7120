"""Values of `spin:postgres/postgres@4.0.0` from and to the binary formats of PostgreSQL's types.

What PostgreSQL has and the interface does not is `other` as a type and `unsupported` as a value, with the bytes. A
parameter must fit the type that the server found for its `$1` exactly, as in Spin: an int32 is no bigint.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from edged.host.postgres.calendar import (
    DAY_US,
    EPOCH_UNIX_S,
    SECOND_US,
    date_of_days,
    days_of_date,
    time_of_us,
    us_of_time,
)
from edged.host.rdbms.failure import BadParameter, ConversionFailed, QueryFailed
from edged.limits import SQL_CELL_OVERHEAD_BYTES

TEXT, BINARY = 0, 1
"""Format codes of the protocol."""

_USER_DEFINED_MIN = 16_384
"""The first OID of a type that is not PostgreSQL's own (FirstNormalObjectId)."""

Spend = Callable[[int], None]
"""Takes bytes from the budget of the result."""

_S16 = struct.Struct(">h")
_S32 = struct.Struct(">i")
_S64 = struct.Struct(">q")
_F32 = struct.Struct(">f")
_F64 = struct.Struct(">d")
_INTERVAL = struct.Struct(">qii")
_NUMERIC = struct.Struct(">HhHH")
_ARRAY = struct.Struct(">iII")
_DIMENSION = struct.Struct(">ii")

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_NUMERIC_SIGNS = {0x0000: "", 0x4000: "-"}
_NUMERIC_SPECIAL = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_INFINITE_DAYS = (2**31 - 1, -(2**31))
_INFINITE_US = (2**63 - 1, -(2**63))
_RANGE_EMPTY, _RANGE_LOWER_INCLUSIVE, _RANGE_UPPER_INCLUSIVE, _RANGE_LOWER_NONE, _RANGE_UPPER_NONE = 1, 2, 4, 8, 16


# --- from the server ---


def _number(format_: struct.Struct, raw: bytes, _spend: Spend) -> Any:
    return format_.unpack(raw)[0]


def _text(raw: bytes, _spend: Spend) -> str:
    return raw.decode()


def _date(raw: bytes, _spend: Spend) -> tuple[int, int, int]:
    (days,) = _S32.unpack(raw)
    if days in _INFINITE_DAYS:
        raise ConversionFailed("an infinite date has no year")
    return date_of_days(days)


def _time(raw: bytes, _spend: Spend) -> tuple[int, int, int, int]:
    return time_of_us(_S64.unpack(raw)[0])


def _datetime(raw: bytes, _spend: Spend) -> tuple[int, ...]:
    (microseconds,) = _S64.unpack(raw)
    if microseconds in _INFINITE_US:
        raise ConversionFailed("an infinite timestamp has no year")
    days, time = divmod(microseconds, DAY_US)
    return *date_of_days(days), *time_of_us(time)


def _jsonb(raw: bytes, _spend: Spend) -> bytes:
    if raw[:1] != b"\x01":
        raise ConversionFailed("the server sends jsonb of an unknown version")
    return raw[1:]


def _decimal(raw: bytes, spend: Spend) -> str:
    """The digits as they are, with all that the scale has. A digit of the format is one of base 10 000."""
    count, weight, sign, scale = _NUMERIC.unpack_from(raw)
    if sign in _NUMERIC_SPECIAL:
        return _NUMERIC_SPECIAL[sign]
    groups = struct.unpack(f">{count}H", raw[_NUMERIC.size :])
    # Zeros at either end are not sent, so a few bytes may stand for a hundred thousand digits.
    whole_groups = weight + 1
    spend(4 * max(0, whole_groups) + 4 * max(0, -whole_groups) + scale)
    digits = "0000" * -whole_groups + "".join(f"{group:04}" for group in groups)
    split = max(0, whole_groups) * 4
    digits = digits.ljust(split, "0")
    whole = digits[:split].lstrip("0") or "0"
    fraction = digits[split : split + scale].ljust(scale, "0")
    return _NUMERIC_SIGNS[sign] + whole + ("." + fraction if scale else "")


def _interval(raw: bytes, _spend: Spend) -> tuple[int, int, int]:
    microseconds, days, months = _INTERVAL.unpack(raw)
    return microseconds, days, months


def _range(of: Callable[[bytes, Spend], Any], raw: bytes, spend: Spend) -> tuple[Any, Any]:
    """An empty range looks like one without bounds, as in Spin: the interface cannot tell it."""
    flags, at = raw[0], 1
    bounds: list[Any] = []
    for none, inclusive in (
        (_RANGE_LOWER_NONE, _RANGE_LOWER_INCLUSIVE),
        (_RANGE_UPPER_NONE, _RANGE_UPPER_INCLUSIVE),
    ):
        if flags & (none | _RANGE_EMPTY):
            bounds.append(None)
            continue
        (length,) = _S32.unpack_from(raw, at)
        value = of(raw[at + 4 : at + 4 + length], spend)
        bounds.append((value, "inclusive" if flags & inclusive else "exclusive"))
        at += 4 + length
    return bounds[0], bounds[1]


def _array(of: Callable[[bytes, Spend], Any], raw: bytes, spend: Spend) -> list[Any]:
    dimensions, _flags, _element = _ARRAY.unpack_from(raw)
    if dimensions == 0:
        return []
    if dimensions != 1:
        raise ConversionFailed("an array has more than one dimension")
    count, _lower = _DIMENSION.unpack_from(raw, _ARRAY.size)
    spend(SQL_CELL_OVERHEAD_BYTES * max(0, count))
    at = _ARRAY.size + _DIMENSION.size
    values: list[Any] = []
    for _ in range(count):
        (length,) = _S32.unpack_from(raw, at)
        at += 4
        if length < 0:
            values.append(None)
            continue
        values.append(of(raw[at : at + length], spend))
        at += length
    return values


class _Decoded(NamedTuple):
    """How values of a type come: the case of db-data-type, which names that of db-value too, and the function."""

    case: str
    decode: Callable[[bytes, Spend], Any]


_s32, _s64 = partial(_number, _S32), partial(_number, _S64)
_STR = _Decoded("str", _text)
_DATETIME = _Decoded("datetime", _datetime)
_ARRAY_STR = _Decoded("array-str", partial(_array, _text))

_TYPES: Mapping[int, _Decoded] = {
    16: _Decoded("boolean", lambda raw, _spend: raw == b"\x01"),
    17: _Decoded("binary", lambda raw, _spend: raw),
    20: _Decoded("int64", _s64),
    21: _Decoded("int16", partial(_number, _S16)),
    23: _Decoded("int32", _s32),
    25: _STR,  # text
    700: _Decoded("floating32", partial(_number, _F32)),
    701: _Decoded("floating64", partial(_number, _F64)),
    1007: _Decoded("array-int32", partial(_array, _s32)),
    1009: _ARRAY_STR,  # text[]
    1014: _ARRAY_STR,  # character[]
    1015: _ARRAY_STR,  # varchar[]
    1016: _Decoded("array-int64", partial(_array, _s64)),
    1042: _STR,  # character
    1043: _STR,  # varchar
    1082: _Decoded("date", _date),
    1083: _Decoded("time", _time),
    1114: _DATETIME,  # timestamp
    1184: _DATETIME,  # timestamptz, in UTC
    1186: _Decoded("interval", _interval),
    1231: _Decoded("array-decimal", partial(_array, _decimal)),
    1700: _Decoded("decimal", _decimal),
    2950: _Decoded("uuid", lambda raw, _spend: str(uuid.UUID(bytes=raw))),
    3802: _Decoded("jsonb", _jsonb),
    3904: _Decoded("range-int32", partial(_range, _s32)),
    3906: _Decoded("range-decimal", partial(_range, _decimal)),
    3926: _Decoded("range-int64", partial(_range, _s64)),
}
"""OID of a type -> how its values are told."""


def data_type(oid: int) -> str | None:
    """The case of `db-data-type`, None where it is `other`."""
    found = _TYPES.get(oid)
    return None if found is None else found.case


def decode(oid: int, raw: bytes | None, spend: Spend) -> Any:
    """A `db-value`.

    Raises:
        QueryFailed: the value does not fit the interface or is malformed; in Spin too, such a row fails the query.
        ResultTooLarge
    """
    if raw is None:
        return "db-null"
    found = _TYPES.get(oid)
    if found is None:
        return "unsupported", raw
    try:
        return found.case, found.decode(raw, spend)
    except ConversionFailed as failed:
        raise QueryFailed(str(failed)) from None
    except (struct.error, ValueError, LookupError):
        raise QueryFailed(f"the server sends a malformed {found.case}") from None


# --- to the server ---


def _exact_decimal(value: str) -> str:
    if not _DECIMAL.fullmatch(value):
        raise ValueError("it is not a number in digits")
    return value


def _list(of: Callable[[Any], str], values: list[Any]) -> bytes:
    return ("{" + ",".join("NULL" if value is None else of(value) for value in values) + "}").encode()


def _bounds(of: Callable[[Any], str], value: tuple[Any, Any]) -> bytes:
    lower, upper = value
    opening = "(" if lower is None else ("[" if lower[1] == "inclusive" else "(") + of(lower[0])
    closing = ")" if upper is None else of(upper[0]) + ("]" if upper[1] == "inclusive" else ")")
    return f"{opening},{closing}".encode()


def _string_array(element: int, values: list[str | None]) -> bytes:
    if not values:
        return _ARRAY.pack(0, 0, element)
    parts = [_ARRAY.pack(1, None in values, element), _DIMENSION.pack(len(values), 1)]
    for value in values:
        raw = b"" if value is None else value.encode()
        parts += (_S32.pack(-1 if value is None else len(raw)), raw)
    return b"".join(parts)


class _Encoded(NamedTuple):
    """How a case of parameter-value goes: in which format, to which types, by which function."""

    format: int
    oids: frozenset[int]
    encode: Callable[[Any], bytes]


def _binary(oid: int, encode: Callable[[Any], bytes]) -> _Encoded:
    return _Encoded(BINARY, frozenset({oid}), encode)


def _in_text(encode: Callable[[Any], bytes], *oids: int) -> _Encoded:
    return _Encoded(TEXT, frozenset(oids), encode)


_ARRAY_STR_ELEMENTS = {1003: 19, 1009: 25, 1014: 1042, 1015: 1043}
_PARAMETERS: Mapping[str, _Encoded] = {
    "boolean": _binary(16, lambda value: b"\x01" if value else b"\x00"),
    "int8": _binary(18, lambda value: struct.pack(">b", value)),  # "char"
    "int16": _binary(21, _S16.pack),
    "int32": _binary(23, _S32.pack),
    "int64": _binary(20, _S64.pack),
    "floating32": _binary(700, _F32.pack),
    "floating64": _binary(701, _F64.pack),
    # In text: the server reads it as its own kind, so that an enum of the user's takes its labels.
    "str": _in_text(str.encode, 19, 25, 705, 1042, 1043),
    "binary": _binary(17, bytes),
    "date": _binary(1082, lambda value: _S32.pack(days_of_date(value))),
    "time": _binary(1083, lambda value: _S64.pack(us_of_time(value))),
    "datetime": _binary(1114, lambda value: _S64.pack(days_of_date(value[:3]) * DAY_US + us_of_time(value[3:]))),
    "timestamp": _binary(1184, lambda value: _S64.pack((value - EPOCH_UNIX_S) * SECOND_US)),
    "uuid": _binary(2950, lambda value: uuid.UUID(value).bytes),
    "jsonb": _in_text(bytes, 114, 3802),
    "decimal": _in_text(lambda value: _exact_decimal(value).encode(), 1700),
    "range-int32": _in_text(partial(_bounds, str), 3904),
    "range-int64": _in_text(partial(_bounds, str), 3926),
    "range-decimal": _in_text(partial(_bounds, _exact_decimal), 3906),
    "array-int32": _in_text(partial(_list, str), 1007),
    "array-int64": _in_text(partial(_list, str), 1016),
    "array-decimal": _in_text(partial(_list, _exact_decimal), 1231),
    "interval": _binary(1186, lambda value: _INTERVAL.pack(*value)),
}


def encode(number: int, parameter: Any, oid: int) -> tuple[int, bytes | None]:
    """Format and bytes of a `parameter-value` for a type, None for NULL.

    Args:
        number: of the parameter, from 1, for messages.

    Raises:
        QueryFailed: it does not fit the type.
        BadParameter: it is no value of its own type.
    """
    if parameter == "db-null":
        return TEXT, None
    case, value = parameter
    if case == "array-str":
        if oid not in _ARRAY_STR_ELEMENTS:
            raise _misfit(number, case, oid)
        return BINARY, _string_array(_ARRAY_STR_ELEMENTS[oid], value)
    how = _PARAMETERS[case]
    if oid not in how.oids and not (case == "str" and oid >= _USER_DEFINED_MIN):
        raise _misfit(number, case, oid)
    try:
        return how.format, how.encode(value)
    except (ValueError, struct.error) as error:
        reason = "it is out of range" if isinstance(error, struct.error) else error
        raise BadParameter(f"parameter {number} is no {case}: {reason}") from None


def _misfit(number: int, case: str, oid: int) -> QueryFailed:
    wanted = data_type(oid) or f"the type with OID {oid}"
    return QueryFailed(f"parameter {number} is {case}, but the statement takes {wanted}; cast it: ${number}::type")
