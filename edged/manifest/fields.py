"""Parsers of fields, and the ways to put them together.

A parser takes a `Node` and gives a typed value, or raises `Invalid` with all that is wrong below that node. A table
of the manifest is a dict from key to `Field`, given to `record`: the grammar of spin.toml is written as such dicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar, cast

from edged.manifest.document import Node
from edged.manifest.problems import Problems, nearest, shown

T = TypeVar("T")
Parse = Callable[[Node], T]
NameCheck = Callable[[str], str | None]
"""None, or the reason why a name is not one (`edged.manifest.names`)."""


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table."""

    parse: Parse[Any]
    required: bool = False


# --- scalars ---


def string(node: Node) -> str:
    if not isinstance(node.value, str):
        raise node.invalid(f"must be a string, not {node.kind}")
    return node.value


def line(node: Node) -> str:
    """A string that is not empty and has no control characters: a name, a path, a pattern, a command."""
    text = string(node)
    if not text.strip():
        raise node.invalid("must not be empty")
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise node.invalid("must not hold control characters")
    return text


def boolean(node: Node) -> bool:
    if not isinstance(node.value, bool):
        raise node.invalid(f"must be true or false, not {node.kind}")
    return node.value


def integer(low: int, high: int) -> Parse[int]:
    """An integer between two limits, both included."""

    def parse(node: Node) -> int:
        if not isinstance(node.value, int) or isinstance(node.value, bool):
            raise node.invalid(f"must be an integer, not {node.kind}")
        if not low <= node.value <= high:
            raise node.invalid(f"must be between {low} and {high}")
        return node.value

    return parse


def named(check: NameCheck) -> Parse[str]:
    """A string that is a name by its own grammar."""

    def parse(node: Node) -> str:
        text = string(node)
        if reason := check(text):
            raise node.invalid(f"= {shown(text)} {reason}")
        return text

    return parse


# --- arrays and tables ---


def table_of(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        raise node.invalid(f"must be a table, not {node.kind}")
    return cast(dict[str, Node], node.value)


def items_of(node: Node) -> list[Node]:
    if not isinstance(node.value, list):
        raise node.invalid(f"must be an array, not {node.kind}")
    return cast(list[Node], node.value)


def array(parse: Parse[T]) -> Parse[tuple[T, ...]]:
    """An array whose items are all of one form."""

    def parse_array(node: Node) -> tuple[T, ...]:
        problems = Problems()
        values = [problems.attempt(parse, item) for item in items_of(node)]
        problems.check()
        return tuple(cast(list[T], values))

    return parse_array


def some(parse: Parse[tuple[T, ...]]) -> Parse[tuple[T, ...]]:
    """An array that has at least one item."""

    def parse_some(node: Node) -> tuple[T, ...]:
        values = parse(node)
        if not values:
            raise node.invalid("must not be empty")
        return values

    return parse_some


def mapping(parse: Parse[T], check: NameCheck | None = None) -> Parse[Mapping[str, T]]:
    """A table with keys of the user's choice, checked by `check`, and values of one form."""

    def parse_mapping(node: Node) -> Mapping[str, T]:
        problems = Problems()
        values: dict[str, T | None] = {}
        for key, child in table_of(node).items():
            if check and (reason := check(key)):
                problems.add(child.line, f"{child.label}: the key {reason}")
            values[key] = problems.attempt(parse, child)
        problems.check()
        return MappingProxyType(cast(dict[str, T], values))

    return parse_mapping


def record(fields: Mapping[str, Field]) -> Parse[dict[str, Any]]:
    """A table with these keys and no others. Gives the values of those that are there."""

    def parse_record(node: Node) -> dict[str, Any]:
        problems = Problems()
        table = table_of(node)
        values = {}
        for key, child in table.items():
            if key in fields:
                values[key] = problems.attempt(fields[key].parse, child)
            else:
                guess = nearest(key, fields) or f"; known here: {', '.join(fields)}"
                problems.add(child.line, f"unknown field {child.label}{guess}")
        for key, expected in fields.items():
            if expected.required and key not in table:
                problems.add(node.line, f"{node.label} needs `{key}`")
        problems.check()
        return values

    return parse_record


def either(**parsers: Parse[Any]) -> Parse[Any]:
    """The parser for the node's own kind: `either(string=..., table=...)`."""
    kinds = {("an " if kind[0] in "aeiou" else "a ") + kind: parse for kind, parse in parsers.items()}

    def parse(node: Node) -> Any:
        if node.kind not in kinds:
            raise node.invalid(f"must be {' or '.join(kinds)}, not {node.kind}")
        return kinds[node.kind](node)

    return parse


def plain_table(node: Node) -> Mapping[str, object]:
    """A table that is kept as it is."""
    table_of(node)
    return node.plain_table()


def keys_of(node: Node, key: str) -> frozenset[str]:
    """Keys of the child table `key`, right or wrong; empty where there is no such table.

    What other parts of the manifest refer to, so that a faulty declaration is not also reported as a missing one.
    """
    child = node.value.get(key) if isinstance(node.value, dict) else None
    return frozenset(child.value) if child is not None and isinstance(child.value, dict) else frozenset()
