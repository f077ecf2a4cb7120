"""A limit of guests as people write it, `memory = "64MiB"`: on a command line, in a manifest, in a node's settings."""

from __future__ import annotations

import math
import re
from dataclasses import fields

from edged.limits import GUEST_LIMITS_HIGHEST, GUEST_LIMITS_LOWEST, GuestLimits, KiB, MiB
from edged.manifest.problems import nearest

_BYTE_UNITS = {"": 1, "B": 1, "KiB": KiB, "MiB": MiB, "GiB": 1024 * MiB, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_SECOND_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_COUNT_UNITS = {"": 1}

_quantity = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?) *([A-Za-z]*)").fullmatch


class LimitInvalid(ValueError):
    """Never leaves the module that parses the text around the limit.

    Attributes:
        reason: a clause that follows the limit as it was written.
        remedy: a sentence.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def parse_limit(name: str, text: str) -> tuple[str, float]:
    """The field of `GuestLimits` and its value; an int where the field is one.

    Args:
        name: the field, or the field without its unit: `memory` is `memory_bytes_max`, `cpu` is `cpu_s_max`.
        text: a number, with a unit where the field has one.

    Raises:
        LimitInvalid: a name, value or unit that does not exist, or a value outside of what can work.
    """
    known = [field.name for field in fields(GuestLimits)]
    field_name = next((field for field in known if name in (field, _short(field))), None)
    if field_name is None:
        raise LimitInvalid(
            f"names no limit{nearest(name, [*known, *map(_short, known)])}", f"Name one of: {', '.join(known)}."
        )
    return field_name, _value(field_name, text)


def _short(field_name: str) -> str:
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
        raise LimitInvalid(
            "is not a quantity",
            f"Write a number with one of the units {names}." if names else "Write a number without a unit.",
        )
    value = float(match[1].replace("_", "")) * units[match[2]]
    lowest, highest = getattr(GUEST_LIMITS_LOWEST, field_name), getattr(GUEST_LIMITS_HIGHEST, field_name)
    if not lowest <= value <= highest:
        write = _size if units is _BYTE_UNITS else _number
        raise LimitInvalid(
            "is outside of what can work",
            f"Choose from {write(lowest)} to {write(highest)}{' s' if units is _SECOND_UNITS else ''}.",
        )
    return value if isinstance(lowest, float) else math.floor(value)


def _number(value: float) -> str:
    return str(value).removesuffix(".0")


def _size(count: int) -> str:
    """In the largest unit that divides it."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if count and count % _BYTE_UNITS[unit] == 0), "B")
    return f"{count // _BYTE_UNITS[unit]}{unit}"
