"""Documents in the providers' shapes, made after their public pages, and ways to spoil them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
GONE = object()


def document(provider: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{provider}.json").read_text())


def changed(provider: str, path: Sequence[str | int], value: object) -> dict[str, Any]:
    """One value in place of another, or gone."""
    whole = document(provider)
    at: Any = whole
    for key in path[:-1]:
        at = at[key]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return whole
