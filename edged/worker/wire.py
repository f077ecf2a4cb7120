"""Records of a control connection: msgpack maps in frames, to and from frozen dataclasses.

    dataclass -> map -> frame: 4 bytes length, big-endian, then msgpack -> socketpair

Parsing is strict: a record has exactly its fields, of exactly their types, or the connection is broken. A worker runs
guests, so what comes from it is believed no further than that. Sans-IO.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgpack

from edged.errors import ControlError
from edged.limits import CONTROL_FRAME_BYTES_MAX
from edged.worker.latency import Latency, parse_latency

Wire = Mapping[str, Any]
RecordT = TypeVar("RecordT")

_LENGTH_BYTES = 4
_INT_MAX = 2**63 - 1


def as_wire(record: object) -> Wire:
    """A record as maps, lists and scalars. `dataclasses.asdict` copies what it finds, and views of maps cannot be."""
    wire: Wire = _plain(record)
    return wire


def _plain(value: object) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def broken(what: str) -> ControlError:
    return ControlError(f"a control connection carries what it should not: {what}")


def encode_frame(kind: str, value: Wire) -> bytes:
    """One frame.

    Raises:
        ControlError: it is larger than a frame may be.
    """
    body: bytes = msgpack.packb({kind: value})
    if len(body) > CONTROL_FRAME_BYTES_MAX:
        raise ControlError(f"a {kind} has {len(body)} bytes, and a control frame may have {CONTROL_FRAME_BYTES_MAX}")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class FrameDecoder:
    """Bytes in any pieces to frames. Holds one frame at most, and what came with its end."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[str, object]]:
        """The frames that are whole now: kind and value.

        Raises:
            ControlError: too long, or not msgpack of the one shape. Nothing after it can be understood.
        """
        self._held += data
        while len(self._held) >= _LENGTH_BYTES:
            length = int.from_bytes(self._held[:_LENGTH_BYTES], "big")
            if length > CONTROL_FRAME_BYTES_MAX:
                raise broken(f"a frame of {length} bytes")
            end = _LENGTH_BYTES + length
            if len(self._held) < end:
                return
            body = bytes(self._held[_LENGTH_BYTES:end])
            del self._held[:end]
            yield _decode(body)


def _decode(body: bytes) -> tuple[str, object]:
    try:
        value = msgpack.unpackb(body)
    except (ValueError, TypeError, RecursionError) as error:  # msgpack's own are ValueErrors; an unhashable key
        raise broken(f"no msgpack ({type(error).__name__})") from None
    if not isinstance(value, dict) or len(value) != 1:
        raise broken("not one kind of record")
    kind, record = next(iter(value.items()))
    if not isinstance(kind, str):
        raise broken("a kind that is no name")
    return kind, record


def parse_record(kind: type[RecordT], value: object) -> RecordT:
    """A dataclass from a map with exactly its fields. What types there are: see `_parse`.

    Raises:
        ControlError
    """
    hints = _hints(kind)  # type: ignore[arg-type]  # classes are hashable
    if not isinstance(value, dict) or value.keys() != hints.keys():
        raise broken(f"a {kind.__name__} with other fields")
    return kind(**{name: _parse(hint, value[name], name) for name, hint in hints.items()})


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _parse(hint: Any, value: object, name: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Latency:
        try:
            return parse_latency(value)
        except ValueError as error:
            raise broken(str(error)) from None
    if isinstance(hint, type) and is_dataclass(hint):
        return parse_record(hint, value)
    if hint is float and type(value) in (int, float):
        return value
    if hint in (str, bool, int) and type(value) is hint and not (hint is int and not 0 <= value <= _INT_MAX):  # type: ignore[operator]
        return value
    if origin in (Union, types.UnionType):
        for argument in arguments:
            if argument is type(None) and value is None:
                return None
        return _parse_any([each for each in arguments if each is not type(None)], value, name)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_parse(arguments[0], each, name) for each in value)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
        return {_parse(arguments[0], key, name): _parse(arguments[1], each, name) for key, each in value.items()}
    raise broken(f"`{name}` is not what it should be")


def _parse_any(hints: list[Any], value: object, name: str) -> Any:
    if len(hints) == 1:
        return _parse(hints[0], value, name)
    for hint in hints:
        if type(value) is hint:
            return _parse(hint, value, name)
    raise broken(f"`{name}` is not what it should be")
