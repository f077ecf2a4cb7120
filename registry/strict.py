"""Records as bytes: msgpack in one strict, deterministic form. What is signed or hashed is written and read here.

The form: maps have text keys in ascending order (of code points, which is that of their UTF-8 bytes), every value has
its shortest encoding, floating-point numbers are 64 bits wide and finite, and nothing follows the value. So a value has
one encoding, and `decode` refuses all others by encoding again what it read: duplicate or unsorted keys, numbers and
lengths longer than need be, extension types and trailing bytes all end there.

`Reader` then takes a decoded map apart, field by field, with a bound on each:

    reader = Reader(decode(data, bytes_max=4096), "voucher")
    node = reader.line("node", bytes_max=64)
    expires = reader.integer("expires", lowest=0)
    reader.end()  # refuses what was not asked for
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final

import msgpack

from registry.errors import Malformed
from registry.limits import RECORD_DEPTH_MAX, RECORD_ITEM_COUNT_MAX

INTEGER_MAX: Final = 2**63 - 1  # unsigned 64 bits would fit the encoding, but few languages have them
INTEGER_MIN: Final = -(2**63)

_SHOWN_CHARS_MAX = 60  # of a foreign key in a message


def encode(value: object) -> bytes:
    """The one encoding of a value made of None, bool, int, float, str, bytes, lists, tuples and maps with text keys.

    Raises:
        Malformed: the value has another type in it, a number that is not finite or not within 64 bits, text that is not
            Unicode, or more depth or items than `decode` takes back.
    """
    try:
        packed: bytes = msgpack.packb(_ordered(value, 0), use_bin_type=True, strict_types=True)
    except UnicodeEncodeError:
        raise Malformed("text with a lone surrogate has no encoding") from None
    return packed


def decode(data: bytes, bytes_max: int) -> object:
    """The value that `encode` gives these very bytes for: dicts, lists, text, bytes, numbers, bools and None.

    Takes some 10 ms per MiB, and at most 60 MB beside the result for hostile bytes.

    Raises:
        Malformed: longer than `bytes_max`, or not the strict form.
    """
    if len(data) > bytes_max:
        raise Malformed(f"a record of {len(data)} bytes, where {bytes_max} are allowed")
    try:
        value: object = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_array_len=RECORD_ITEM_COUNT_MAX,
            max_map_len=RECORD_ITEM_COUNT_MAX,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException):
        # The library says these in words about its buffers, which help nobody.
        raise Malformed("the bytes are no msgpack value, or have trailing bytes or too many items") from None
    if encode(value) != data:
        raise Malformed(
            "not the one encoding of its value: keys that are duplicate or unsorted, or numbers longer than need be"
        )
    return value


class Reader:
    """The fields of a decoded map, each asked for once; `end` refuses those that were not.

    Args:
        value: what `decode` gave, or part of it.
        what: names the record in messages: "roster", "roster.nodes[3]".

    Every method raises `Malformed` if the field is missing, has another type or is out of its bounds.
    """

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise Malformed(f"{what} is {_kind(value)}, not a map")
        self._fields: dict[str, object] = dict(value)
        self.what = what

    def text(self, name: str, bytes_max: int, *, bytes_min: int = 0) -> str:
        """Any text, with its length in UTF-8."""
        value = self._take(name)
        if not isinstance(value, str):
            raise self.refused(name, f"is {_kind(value)}, not text")
        self._bounded(name, len(value.encode()), bytes_min, bytes_max, "bytes")
        return value

    def line(self, name: str, bytes_max: int, *, bytes_min: int = 1) -> str:
        """Text that may be shown on a terminal or in a log: printable characters and spaces, no line breaks."""
        value = self.text(name, bytes_max, bytes_min=bytes_min)
        if not value.isprintable():
            raise self.refused(name, "has characters that cannot be printed")
        return value

    def choice(self, name: str, allowed: Collection[str]) -> str:
        """One of a closed set of words."""
        value = self._take(name)
        if not isinstance(value, str) or value not in allowed:
            raise self.refused(name, f"is none of {', '.join(sorted(allowed))}")
        return value

    def integer(self, name: str, lowest: int = 0, highest: int = INTEGER_MAX) -> int:
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.refused(name, f"is {_kind(value)}, not a whole number")
        self._bounded(name, value, lowest, highest)
        return value

    def number(self, name: str, lowest: float = 0, highest: float = INTEGER_MAX) -> int | float:
        """A whole or a finite floating-point number, as it was written."""
        value = self._take(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.refused(name, f"is {_kind(value)}, not a number")
        self._bounded(name, value, lowest, highest)
        return value

    def boolean(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise self.refused(name, f"is {_kind(value)}, not true or false")
        return value

    def bytes_(self, name: str, bytes_max: int, *, bytes_min: int = 0) -> bytes:
        value = self._take(name)
        if not isinstance(value, bytes):
            raise self.refused(name, f"is {_kind(value)}, not bytes")
        self._bounded(name, len(value), bytes_min, bytes_max, "bytes")
        return value

    def array(self, name: str, count_max: int) -> list[object]:
        """An array of anything: the caller looks at each item."""
        value = self._take(name)
        if not isinstance(value, list):
            raise self.refused(name, f"is {_kind(value)}, not an array")
        self._bounded(name, len(value), 0, count_max, "items")
        return value

    def mapping(self, name: str, count_max: int) -> dict[str, object]:
        """A map whose keys are data, not field names: the caller looks at each key and value."""
        value = self._take(name)
        if not isinstance(value, dict):
            raise self.refused(name, f"is {_kind(value)}, not a map")
        self._bounded(name, len(value), 0, count_max, "items")
        return value

    def texts(self, name: str, count_max: int, bytes_max: int) -> tuple[str, ...]:
        """An array of printable, non-empty texts."""
        return tuple(
            Reader({str(index): item}, f"{self.what}.{name}").line(str(index), bytes_max)
            for index, item in enumerate(self.array(name, count_max))
        )

    def reader(self, name: str) -> Reader:
        """A record inside this one."""
        return Reader(self._take(name), f"{self.what}.{name}")

    def readers(self, name: str, count_max: int) -> list[Reader]:
        """An array of records inside this one."""
        items = self.array(name, count_max)
        return [Reader(item, f"{self.what}.{name}[{index}]") for index, item in enumerate(items)]

    def end(self) -> None:
        """All fields were taken; one that was not is unknown, and its record made by a version that we do not know."""
        for name in self._fields:
            raise Malformed(f"{self.what} has an unknown field {name[:_SHOWN_CHARS_MAX]!r}")

    def refused(self, name: str, why: str) -> Malformed:
        """The error that says what is wrong with a field, in the form that all of these have."""
        return Malformed(f"{self.what}.{name} {why}")

    def _take(self, name: str) -> object:
        try:
            return self._fields.pop(name)
        except KeyError:
            raise Malformed(f"{self.what} has no field {name!r}") from None

    def _bounded(self, name: str, value: float, lowest: float, highest: float, unit: str = "") -> None:
        if not lowest <= value <= highest:
            raise self.refused(name, f"is {value} {unit}".rstrip() + f", not {lowest} to {highest}")


_AS_THEY_ARE: Final = frozenset({type(None), bool, str, bytes})


def _ordered(value: object, depth: int) -> object:
    """The value with its maps in order, once it is known to be one that has an encoding."""
    if depth > RECORD_DEPTH_MAX:
        raise Malformed(f"more than {RECORD_DEPTH_MAX} maps and arrays inside each other")
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, int):
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            raise Malformed("a whole number of more than 64 bits")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Malformed("a number that is not finite")
        return value
    if isinstance(value, (list, tuple)):
        _counted(len(value))
        return [_ordered(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        _counted(len(value))
        if not all(isinstance(key, str) for key in value):
            raise Malformed("a map with a key that is not text")
        return {key: _ordered(value[key], depth + 1) for key in sorted(value)}
    raise Malformed(f"{_kind(value)} has no encoding")


def _counted(count: int) -> None:
    if count > RECORD_ITEM_COUNT_MAX:
        raise Malformed(f"a map or array of {count} items, where {RECORD_ITEM_COUNT_MAX} are allowed")


_KINDS: Final[dict[type, str]] = {
    dict: "a map",
    list: "an array",
    str: "text",
    bytes: "bytes",
    bool: "true or false",
    int: "a whole number",
    float: "a fraction",
    type(None): "nothing",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")
