"""Rules of the canonical ABI that whoever makes a plan and whoever moves values have to agree on.

Core values are letters: `i` i32, `I` i64, `f` f32, `F` f64.

Source: CanonicalABI.md, "Alignment" and "Flattening".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Encoding = Literal["utf8", "utf16", "latin1+utf16"]

PARAMS_FLAT_MAX = 16
"""`MAX_FLAT_PARAMS`: more are passed in memory."""
ASYNC_PARAMS_FLAT_MAX = 4
"""`MAX_FLAT_ASYNC_PARAMS`: the same for a lowering with `async`."""
RESULTS_FLAT_MAX = 1
"""`MAX_FLAT_RESULTS`."""


def align_to(offset: int, align: int) -> int:
    return -(-offset // align) * align


def join(letters: Iterable[str]) -> str:
    """The letters that carry each of several lists of core values: those of a variant's cases."""
    joined: list[str] = []
    for case in letters:
        for index, letter in enumerate(case):
            if index == len(joined):
                joined.append(letter)
            elif joined[index] != letter:
                joined[index] = "i" if {joined[index], letter} == {"i", "f"} else "I"
    return "".join(joined)
