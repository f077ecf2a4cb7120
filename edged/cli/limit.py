"""`--limit NAME=VALUE`: what a guest may use, as an operator writes it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from edged.errors import UsageError
from edged.limits import GUEST_LIMITS_HIGHEST, GUEST_LIMITS_LOWEST, GuestLimits, KiB, MiB
from edged.manifest.problems import nearest, shown

_BYTE_UNITS = {"": 1, "B": 1, "KiB": KiB, "MiB": MiB, "GiB": 1024 * MiB, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_SECOND_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_COUNT_UNITS = {"": 1}

_quantity = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?) *([A-Za-z]*)").fullmatch


def parse_limits(texts: Iterable[str], usual: GuestLimits | None = None) -> GuestLimits:
    """The usual limits with those given in their place. The name may leave out its unit: `memory=64MiB`.

    Args:
        usual: None for edged's own.

    Raises:
        UsageError: a name, value or unit that does not exist, or a value outside of what can work.
    """
    given: dict[str, Any] = dict(_limit(text) for text in texts)
    return replace(GuestLimits() if usual is None else usual, **given)


def _limit(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--limit {shown(text)} has no value", remedy="Write it as --limit memory_bytes_max=64MiB.")
    known = [field.name for field in fields(GuestLimits)]
    field_name = next((field for field in known if name in (field, _short(field))), None)
    if field_name is None:
        raise UsageError(
            f"there is no limit {shown(name)}{nearest(name, [*known, *map(_short, known)])}",
            remedy=f"Name one of: {', '.join(known)}.",
        )
    return field_name, _value(field_name, value)


def _short(field_name: str) -> str:
    """`memory_bytes_max` is `memory` too, `cpu_s_max` is `cpu`."""
    return re.sub(r"(_bytes|_s)?_max$", "", field_name)


def _value(field_name: str, text: str) -> float:
    units: dict[str, int] | dict[str, float] = _COUNT_UNITS
    if field_name.endswith("_bytes_max"):
        units = _BYTE_UNITS
    elif field_name.endswith("_s_max"):
        units = _SECOND_UNITS
    match = _quantity(text.strip())
    if match is None or match[2] not in units:
        names = ", ".join(unit for unit in units if unit)
        raise UsageError(
            f"--limit {field_name}={text} is not a quantity",
            remedy=f"Write a number with one of the units {names}." if names else "Write a number without a unit.",
        )
    value = float(match[1].replace("_", "")) * units[match[2]]
    lowest, highest = getattr(GUEST_LIMITS_LOWEST, field_name), getattr(GUEST_LIMITS_HIGHEST, field_name)
    if not lowest <= value <= highest:
        write = _size if units is _BYTE_UNITS else _number
        raise UsageError(
            f"--limit {field_name}={text} is outside of what can work",
            remedy=f"Choose from {write(lowest)} to {write(highest)}{' s' if units is _SECOND_UNITS else ''}.",
        )
    return value if isinstance(lowest, float) else math.floor(value)


def _number(value: float) -> str:
    return str(value).removesuffix(".0")


def _size(count: int) -> str:
    """In the largest unit that divides it."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if count and count % _BYTE_UNITS[unit] == 0), "B")
    return f"{count // _BYTE_UNITS[unit]}{unit}"
