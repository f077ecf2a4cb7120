"""The grammars of names: each check returns None, or the reason as a clause that follows the name.

Component ids are kebab-case words as in the component model, each all lower or all upper case; a colon may stand
inside a word. Variables are lower_snake_case. Store labels may be either.
"""

from __future__ import annotations

import re

from edged.manifest.problems import shown

_WORD_FIRST = r"(?:[a-z][a-z0-9:]*|[A-Z][A-Z0-9:]*)"
_WORD_NEXT = r"(?:[a-z0-9][a-z0-9:]*|[A-Z][A-Z0-9:]*)"
_KEBAB = re.compile(f"{_WORD_FIRST}(?:-{_WORD_NEXT})*")
_SNAKE = re.compile(f"{_WORD_FIRST}(?:_{_WORD_NEXT})*")
_VARIABLE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def kebab_problem(text: str) -> str | None:
    if _KEBAB.fullmatch(text):
        return None
    instead = kebab_from(text)
    hint = f"; {shown(instead)} would be" if _KEBAB.fullmatch(instead) else ""
    return f"is not a kebab-case id: words of letters and digits in one case, joined by `-`, a letter first{hint}"


def kebab_from(text: str) -> str:
    """What an id of manifest v1 becomes in v2: itself where it can, else lower case with hyphens."""
    return text if _KEBAB.fullmatch(text) else text.replace("_", "-").lower()


def variable_problem(text: str) -> str | None:
    if _VARIABLE.fullmatch(text):
        return None
    return "is not a variable name: lower-case letters and digits, words joined by one `_`, a letter first"


def label_problem(text: str) -> str | None:
    if _KEBAB.fullmatch(text) or _SNAKE.fullmatch(text):
        return None
    return "is not a label: words of letters and digits in one case, joined by `-` or by `_`, a letter first"


def environment_problem(text: str) -> str | None:
    if text and "=" not in text and "\0" not in text:
        return None
    return "is not the name of an environment variable: not empty, no `=`, no NUL"
