"""A table of a page, and the signs in it. Every colour has a sign beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Literal

Mark = Literal["ok", "warn", "bad"]
MARKS: dict[str, str] = {"ok": "●", "warn": "▲", "bad": "✖"}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A head that begins with `#` is of a column of numbers. Cells are markup."""
    kinds = [' class="number"' if head.startswith("#") else "" for head in heads]
    top = "".join(f"<th{kind}>{escape(head.lstrip('#'))}" for kind, head in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}" for kind, cell in zip(kinds, row, strict=True)) + "\n" for row in rows
    )
    return f"<table>\n<tr>{top}\n{body}</table>"


def marked(kind: str, text: str) -> str:
    return f'<span class="{kind}">{MARKS[kind]}</span> {escape(text)}'
