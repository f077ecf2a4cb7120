"""Fields of what a node answers, each of the type that is asked for."""

from __future__ import annotations

from typing import Any, TypeVar

from edged.errors import ProtocolError

_T = TypeVar("_T", str, int, bool, bytes)


class Answer:
    """One table of an answer.

    Args:
        value: what came.
        what: its name, for messages.

    Raises (this and all methods):
        ProtocolError: it has another shape.
    """

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise ProtocolError(f"`{what}` in the node's answer is no table")
        self._value: dict[Any, Any] = value
        self._what = what

    def get(self, key: str, kind: type[_T]) -> _T:
        value = self._value.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._wrong(key, kind.__name__)
        return value

    def maybe(self, key: str, kind: type[_T]) -> _T | None:
        """None where the key is absent or null."""
        return None if self._value.get(key) is None else self.get(key, kind)

    def number(self, key: str) -> float | None:
        """A number, or None where it is absent or null."""
        value = self._value.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(key, "number")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._list(key, str))

    def blobs(self, key: str) -> list[bytes]:
        return self._list(key, bytes)

    def tables(self, key: str) -> list[Answer]:
        return [Answer(value, f"{self._what}.{key}") for value in self._list(key, dict)]

    def table(self, key: str) -> Answer:
        return Answer(self._value.get(key), f"{self._what}.{key}")

    def maybe_table(self, key: str) -> Answer | None:
        """None where the key is absent or null."""
        return None if self._value.get(key) is None else self.table(key)

    def text_map(self, key: str) -> dict[str, str]:
        value = self._value.get(key)
        if not isinstance(value, dict) or not all(isinstance(x, str) for pair in value.items() for x in pair):
            raise self._wrong(key, "table of text")
        return dict(value)

    def _list(self, key: str, kind: type) -> list[Any]:
        value = self._value.get(key)
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, kind) for item in value):
            raise self._wrong(key, "array")
        return list(value)

    def _wrong(self, key: str, kind: str) -> ProtocolError:
        return ProtocolError(f"`{self._what}.{key}` in the node's answer is no {kind}")


def answers(value: object, what: str) -> list[Answer]:
    """An answer that is an array of tables."""
    if not isinstance(value, (list, tuple)):
        raise ProtocolError(f"`{what}` in the node's answer is no array")
    return [Answer(item, what) for item in value]
