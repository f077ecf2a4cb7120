"""Values of the interfaces as JSON and back: a variant is a list of its case, as WIT spells it, and its payload."""

import re
from dataclasses import fields
from enum import Enum
from types import ModuleType
from typing import Any


def case(value: object) -> str:
    """The case of a variant, whose class is named `Variant_CaseName`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(value).__name__.rpartition("_")[2]).lower()


def failure(error: object) -> str:
    """An error's case, and behind a colon what it says or the error that it holds."""
    payload = getattr(error, "value", None)
    if isinstance(payload, str):
        return f"{case(error)}: {payload}"
    return f"{case(error)}: {failure(payload)}" if "_" in type(payload).__name__ else case(error)


def to_json(value: object) -> Any:
    """Bytes become text, or hexadecimal digits where they are none."""
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value.hex()
        case list() | tuple():
            return [to_json(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
    if isinstance(value, Enum):
        return value.name.lower()
    if "_" not in type(value).__name__:  # a record
        return [to_json(getattr(value, field.name)) for field in fields(value)]
    return [case(value), *(to_json(getattr(value, field.name)) for field in fields(value))]


def from_json(types: ModuleType, variant: str, described: list[Any]) -> Any:
    """A variant of an interface. Its payload is text where the interface takes bytes."""
    name, *payload = described
    made = getattr(types, f"{variant}_{''.join(part.capitalize() for part in name.split('-'))}")
    convert = {"binary": str.encode, "jsonb": str.encode, "date": tuple, "time": tuple, "datetime": tuple}.get(name)
    return made(*map(convert, payload)) if convert else made(*payload)
