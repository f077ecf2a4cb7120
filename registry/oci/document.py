"""JSON from strangers: strict, bounded, and taken apart with errors that say where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NoReturn, TypeVar, cast

from registry.errors import OciInvalid
from registry.limits import OCI_JSON_DEPTH_MAX

T = TypeVar("T")


def parse_json(data: bytes, what: str) -> Table:
    """The object in `data`, whose size the caller has bounded.

    Raises:
        OciInvalid: not JSON (RFC 8259) in UTF-8, no object, a key twice, NaN, or too deep.
    """

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        table = dict(found)
        if len(table) != len(found):
            raise OciInvalid(f"{what} has a key twice in one object")
        return table

    def constant(name: str) -> NoReturn:
        raise OciInvalid(f"{what} has {name}, which is no number")

    try:
        value = json.loads(data.decode(), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise OciInvalid(f"{what} is not JSON") from None
    _check_depth(value, what)
    if not isinstance(value, dict):
        raise OciInvalid(f"{what} is not a JSON object")
    return Table(value, what)


class Table:
    """An object of the document. Keys that nobody asks for are ignored: the formats grow by adding some.

    Args:
        what: names it in messages.

    Every method raises `OciInvalid` where a value is not of its type; None and a missing key are the same.
    """

    def __init__(self, value: dict[str, object], what: str) -> None:
        self.value = value
        self.what = what

    def text(self, key: str, default: str | None = None) -> str:
        return self._get(key, str, "text", default)

    def integer(self, key: str) -> int:
        value = self._get(key, int, "a whole number", None)
        if isinstance(value, bool):
            raise self.invalid(key, "is not a whole number")
        return value

    def boolean(self, key: str) -> bool:
        return self._get(key, bool, "true or false", False)

    def table(self, key: str) -> Table:
        """The object below `key`; an empty one if there is none."""
        return Table(self._get(key, dict, "an object", {}), f"{self.what}.{key}")

    def items(self, key: str, count_max: int) -> list[object]:
        """The array below `key`; an empty one if there is none."""
        items = self._get(key, list, "an array", [])
        if len(items) > count_max:
            raise self.invalid(key, f"has more than {count_max} entries")
        return items

    def tables(self, key: str, count_max: int) -> Iterator[Table]:
        """The array of objects below `key`."""
        for index, item in enumerate(self.items(key, count_max)):
            yield _table(item, f"{self.what}.{key}[{index}]")

    def texts(self, key: str, count_max: int) -> list[str]:
        """The array of texts below `key`."""
        items = self.items(key, count_max)
        if not all(isinstance(item, str) for item in items):
            raise self.invalid(key, "is not an array of texts")
        return cast(list[str], items)

    def text_map(self) -> dict[str, str]:
        """This object itself, with texts as values."""
        for key in self.value:
            self.text(key)
        return cast(dict[str, str], self.value)

    def table_map(self) -> Iterator[tuple[str, Table]]:
        """The entries of this object, with objects as values."""
        for key, value in self.value.items():
            yield key, _table(value, f"{self.what}.{key}")

    def invalid(self, key: str, text: str) -> OciInvalid:
        return OciInvalid(f"{self.what}.{key} {text}")

    def _get(self, key: str, kind: type[T], name: str, default: T | None) -> T:
        value = self.value.get(key)
        if value is None:
            if default is None:
                raise OciInvalid(f"{self.what} has no {key}")
            return default
        if not isinstance(value, kind):
            raise self.invalid(key, f"is not {name}")
        return value


def _table(value: object, what: str) -> Table:
    if not isinstance(value, dict):
        raise OciInvalid(f"{what} is not an object")
    return Table(value, what)


def _check_depth(value: object, what: str) -> None:
    # A loop, not a recursion: this is what makes recursions over the document safe.
    level = [value]
    for _ in range(OCI_JSON_DEPTH_MAX):
        children: list[object] = []
        for item in level:
            if isinstance(item, dict):
                children.extend(item.values())
            elif isinstance(item, list):
                children.extend(item)
        level = [child for child in children if isinstance(child, dict | list)]
        if not level:
            return
    raise OciInvalid(f"{what} has more than {OCI_JSON_DEPTH_MAX} objects and arrays inside each other")
