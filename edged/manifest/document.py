"""TOML text -> a tree of `Node`s that know their line and their name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edged.limits import MANIFEST_DEPTH_MAX, MANIFEST_DOTS_PER_LINE_MAX
from edged.manifest.lines import Path, line_numbers
from edged.manifest.problems import Invalid, Problem, shown

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")

# bool is an int to isinstance: it has to be asked first.
_KINDS: tuple[tuple[type, str], ...] = (
    (dict, "a table"),
    (list, "an array"),
    (str, "a string"),
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
)


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the document.

    Attributes:
        value: `dict[str, Node]`, `list[Node]`, or what tomllib makes of a scalar.
        line: line of its key, from 1.
        path: how messages call it: `component.hello.files[1]`; empty for the whole document.
        name: its own key, or its index as text.
    """

    value: object
    line: int
    path: str
    name: str

    @property
    def kind(self) -> str:
        """`a string`, `a table`, ... for messages."""
        return next((name for cls, name in _KINDS if isinstance(self.value, cls)), "a date or time")

    @property
    def label(self) -> str:
        return shown(self.path) if self.path else "the manifest"

    def invalid(self, text: str) -> Invalid:
        """An error at this line: `label` and what is wrong with it."""
        return Invalid(Problem(self.line, f"{self.label} {text}"))

    def plain(self) -> object:
        """The value without positions, immutable: mappings, tuples and scalars."""
        if isinstance(self.value, dict):
            return self.plain_table()
        if isinstance(self.value, list):
            return tuple(item.plain() for item in self.value)
        return self.value

    def plain_table(self) -> Mapping[str, object]:
        assert isinstance(self.value, dict)
        return MappingProxyType({key: child.plain() for key, child in self.value.items()})


def parse_document(text: str) -> Node:
    """Parse TOML 1.0.

    Raises:
        Invalid: not TOML, or nested deeper than `MANIFEST_DEPTH_MAX`.
    """
    text = text.replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        # tomllib needs quadratic time in the parts of a dotted key, which never spans lines.
        if line.count(".") > MANIFEST_DOTS_PER_LINE_MAX:
            raise Invalid(Problem(number, f"has more than {MANIFEST_DOTS_PER_LINE_MAX} dots on one line"))
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(str(error), text) from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(values)
    return _Builder(line_numbers(text)).node(values, (), "", 1)


def _syntax_error(message: str, text: str) -> Invalid:
    position = _POSITION.search(message)
    if position is None:
        return Invalid(Problem(1, f"not valid TOML: {message}"))
    line = int(position[1]) if position[1] else text.rstrip("\n").count("\n") + 1
    return Invalid(Problem(line, f"not valid TOML: {message[: position.start()]}"))


def _too_deep() -> Invalid:
    return Invalid(Problem(1, f"the file is nested deeper than {MANIFEST_DEPTH_MAX} levels"))


def _check_depth(values: dict[str, object]) -> None:
    # A loop, not a recursion: this is what makes the recursions over the tree safe.
    level: list[object] = [values]
    for _ in range(MANIFEST_DEPTH_MAX):
        children = (child for value in level for child in _children(value))
        level = [child for child in children if isinstance(child, dict | list)]
        if not level:
            return
    raise _too_deep()


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class _Builder:
    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines

    def node(self, value: object, where: Path, path: str, parent_line: int) -> Node:
        """`parent_line` stands in for a value that the scanner has no line for."""
        line = self._lines.get(where, parent_line)
        name = str(where[-1]) if where else ""
        if isinstance(value, dict):
            below = {key: self.node(child, (*where, key), _dotted(path, key), line) for key, child in value.items()}
            return Node(below, line, path, name)
        if isinstance(value, list):
            items = [self.node(item, (*where, i), f"{path}[{i}]", line) for i, item in enumerate(value)]
            return Node(items, line, path, name)
        return Node(value, line, path, name)


def _dotted(path: str, key: str) -> str:
    key = key if _BARE_KEY.fullmatch(key) else f'"{key}"'
    return f"{path}.{key}" if path else key
