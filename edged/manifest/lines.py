"""Which line each key of a TOML text stands on.

`tomllib` gives values without positions, and its errors are the ones to show; so it parses first, and this
scanner then walks a text that is known to be valid TOML 1.0. That is why it checks nothing: it only has to tell
keys, strings, comments and brackets apart. Values themselves are taken from `tomllib`, never from here.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]
"""Keys and array indices from the root: `("trigger", "http", 0, "route")`."""

_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_KEY = re.compile(r'[ \t]*("(?:\\.|[^"\\])*"|\'[^\']*\'|[A-Za-z0-9_-]+)[ \t]*')
# A multi-line string may end in one or two quotes of its own, right before the three that close it.
_SCALAR = re.compile(
    r"""\"\"\"(?:\\.|[^\\])*?\"\"\""{0,2}|'''.*?''''{0,2}|"(?:\\.|[^"\\])*"|'[^']*'|[^,\]}\n#]+""",
    re.DOTALL,
)


def line_numbers(text: str) -> dict[Path, int]:
    """Line (from 1) of every key, table header and array item of a valid TOML text with `\\n` line ends.

    A table that has no header of its own (`b` in `[a.b.c]`) stands where it is first named.
    """
    return _Scanner(text).document()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [i for i, c in enumerate(text) if c == "\n"]
        self._lines: dict[Path, int] = {}
        self._item_counts: dict[Path, int] = {}  # arrays of tables, by path: how many [[headers]] so far

    def document(self) -> dict[Path, int]:
        self._note((), self._at)
        table: Path = ()
        while self._peek():
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _peek(self) -> str:
        """The next character that means something, or nothing at the end."""
        self._at = self._after(_BLANK)
        return self._text[self._at : self._at + 1]

    def _after(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        assert found is not None, f"not valid TOML at offset {self._at}"
        return found.end()

    def _note(self, path: Path, at: int) -> None:
        self._lines[path] = bisect_right(self._newlines, at - 1) + 1

    def _header(self) -> Path:
        start = self._at
        is_item = self._text.startswith("[[", start)
        self._at += 2 if is_item else 1
        *above, last = self._keys()
        self._at += 2 if is_item else 1
        path = (*self._descend((), above, start), last)
        if is_item:
            index = self._item_counts.get(path, 0)
            self._item_counts[path] = index + 1
            if index == 0:
                self._note(path, start)
            path = (*path, index)
        self._note(path, start)
        return path

    def _descend(self, path: Path, keys: list[str], at: int) -> Path:
        for key in keys:
            path = (*path, key)
            if path not in self._lines:
                self._note(path, at)
            if path in self._item_counts:  # a key below [[x]] belongs to the latest x
                path = (*path, self._item_counts[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        start = self._at
        *above, last = self._keys()
        self._at += 1  # the equals sign
        path = (*self._descend(table, above, start), last)
        self._note(path, start)
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            found = _KEY.match(self._text, self._at)
            assert found is not None, f"not a TOML key at offset {self._at}"
            keys.append(_unquoted(found[1]))
            self._at = found.end()
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _value(self, path: Path) -> None:
        opening = self._peek()
        if opening == "{":
            self._at += 1
            while self._next_inside("}"):
                self._pair(path)
        elif opening == "[":
            self._at += 1
            index = 0
            while self._next_inside("]"):
                self._note((*path, index), self._at)
                self._value((*path, index))
                index += 1
        else:
            self._at = self._after(_SCALAR)

    def _next_inside(self, closing: str) -> bool:
        """Move to the next element of a bracketed list; False once past its end."""
        if self._peek() == ",":
            self._at += 1
        if self._peek() != closing:
            return True
        self._at += 1
        return False


def _unquoted(key: str) -> str:
    if key[0] == '"':
        return str(tomllib.loads(f"key = {key}")["key"])
    return key[1:-1] if key[0] == "'" else key
