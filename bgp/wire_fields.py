"""What a value in a line between daemon and child may be: parsers, put together like the types that they make. Pure.

    record(Beat, number=number(0, 9))({"number": 1}) -> Beat(number=1)

Each takes what JSON gave and returns the value, or raises WireInvalid, which names the type that was found, never the
value: it may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from typing import Any, TypeVar, cast, get_args

from bgp.errors import WireInvalid
from bgp.prefix import Address

T = TypeVar("T")
Parser = Callable[[object], T]
_printable = re.compile(r"[\x20-\x7e]*").fullmatch


def invalid(what: str, value: object) -> WireInvalid:
    return WireInvalid(f"{what} is not what it should be: {type(value).__name__}")


def number(low: float, high: float) -> Parser[int]:
    def parse(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise invalid(f"a number of {low} to {high}", value)
        return value

    return parse


def seconds(high: float) -> Parser[float]:
    def parse(value: object) -> float:
        if type(value) not in (int, float) or not 0 < cast(float, value) <= high:
            raise invalid(f"a time of at most {high} s", value)
        return float(cast(float, value))

    return parse


def text(chars_max: int, *, chars_min: int = 0) -> Parser[str]:
    def parse(value: object) -> str:
        if not isinstance(value, str) or not chars_min <= len(value) <= chars_max or not _printable(value):
            raise invalid(f"a text of {chars_min} to {chars_max} printable ASCII characters", value)
        return value

    return parse


def one_of(alternatives: Any) -> Parser[Any]:
    known = get_args(alternatives)

    def parse(value: object) -> Any:
        if not isinstance(value, str) or value not in known:
            raise invalid(f"one of {', '.join(known)}", value)
        return value

    return parse


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise invalid("true or false", value)
    return value


def just(make: Callable[[], T]) -> Parser[T]:
    """A kind of line that says no more than that."""

    def parse(value: object) -> T:
        if value is not True:
            raise invalid("true", value)
        return make()

    return parse


def or_none(parser: Parser[T]) -> Parser[T | None]:
    return lambda value: None if value is None else parser(value)


def several(parser: Parser[T], count_max: int) -> Parser[tuple[T, ...]]:
    def parse(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) > count_max:
            raise invalid(f"a list of at most {count_max}", value)
        return tuple(parser(each) for each in value)

    return parse


def mapping(keys: Parser[str], values: Parser[T], count_max: int) -> Parser[dict[str, T]]:
    def parse(value: object) -> dict[str, T]:
        if not isinstance(value, dict) or len(value) > count_max:
            raise invalid(f"an object of at most {count_max}", value)
        return {keys(key): values(each) for key, each in value.items()}

    return parse


def record(make: Callable[..., T], **fields: Parser[Any]) -> Parser[T]:
    """An object with exactly these fields."""

    def parse(value: object) -> T:
        if not isinstance(value, dict) or value.keys() != fields.keys():
            raise invalid(f"an object with {', '.join(fields)}", value)
        return make(**{name: parser(value[name]) for name, parser in fields.items()})

    return parse


def address(value: object) -> Address:
    if not isinstance(value, str) or len(value) > 64:
        raise invalid("an address", value)
    try:
        return ip_address(value)
    except ValueError:
        raise invalid("an address", value) from None


def address_v4(value: object) -> IPv4Address:
    parsed = address(value)
    if not isinstance(parsed, IPv4Address):
        raise invalid("an IPv4 address", value)
    return parsed
