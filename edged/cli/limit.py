"""`--limit NAME=VALUE`: what a guest may use, as an operator writes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from edged.bundle.guest_limit import LimitInvalid, parse_limit
from edged.errors import UsageError
from edged.limits import GuestLimits
from edged.manifest.problems import shown


def parse_limits(texts: Iterable[str], usual: GuestLimits | None = None) -> GuestLimits:
    """The usual limits with those given in their place. The name may leave out its unit: `memory=64MiB`.

    Args:
        usual: None for edged's own.

    Raises:
        UsageError: a name, value or unit that does not exist, or a value outside of what can work.
    """
    given: dict[str, Any] = given_limits(texts)
    return replace(GuestLimits() if usual is None else usual, **given)


def given_limits(texts: Iterable[str]) -> dict[str, float]:
    """Only those that are given.

    Raises:
        UsageError
    """
    return dict(_limit(text) for text in texts)


def _limit(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--limit {shown(text)} has no value", remedy="Write it as --limit memory_bytes_max=64MiB.")
    try:
        return parse_limit(name, value)
    except LimitInvalid as error:
        raise UsageError(f"--limit {shown(text)} {error.reason}", remedy=error.remedy) from None
