"""What one app's guests may use, of the numbers that travel with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from edged.errors import LimitsRefused
from edged.limits import GUEST_LIMITS_HIGHEST, GUEST_LIMITS_LOWEST, GuestLimits
from edged.wasm.engine import PoolConfig
from edged.worker.worker import pool_for

_NAMES = frozenset(field.name for field in fields(GuestLimits))


def limits_of(given: Mapping[str, int | float], usual: GuestLimits, pool: PoolConfig | None = None) -> GuestLimits:
    """The usual limits with those given in their place.

    Args:
        pool: of the engine, which has to have room for them; None where the pool is made for them.

    Raises:
        LimitsRefused: a limit that does not exist, is outside of what can work, or for which the pool has no room.
    """
    for name, value in given.items():
        if name not in _NAMES:
            raise LimitsRefused(f"there is no limit `{name}`", remedy=f"Name one of: {', '.join(sorted(_NAMES))}.")
        lowest, highest = getattr(GUEST_LIMITS_LOWEST, name), getattr(GUEST_LIMITS_HIGHEST, name)
        if not lowest <= value <= highest:
            raise LimitsRefused(
                f"{name} = {value:g} is outside of what can work", remedy=f"Choose from {lowest:g} to {highest:g}."
            )
    numbers = {name: type(getattr(usual, name))(value) for name, value in given.items()}
    limits = replace(usual, **numbers)
    if pool is not None:
        wanted = pool_for(limits)
        small = [each.name for each in fields(PoolConfig) if getattr(wanted, each.name) > getattr(pool, each.name)]
        if small:
            raise LimitsRefused(
                f"the app's limits need more {', '.join(small)} than the workers of this node were started with"
            )
    return limits
