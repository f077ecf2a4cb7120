"""The limits that travel with an app."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from edged.errors import LimitsRefused
from edged.limits import GUEST_LIMITS_HIGHEST, GUEST_LIMITS_LOWEST, GuestLimits
from edged.wasm.engine import PoolConfig
from edged.worker.limits_of import limits_of

NAMES = [field.name for field in fields(GuestLimits)]


def test_those_given_replace_the_usual_ones() -> None:
    usual = replace(GuestLimits(), queue_max=7)
    assert limits_of({"cpu_s_max": 1, "host_calls_max": 5.0}, usual) == replace(usual, cpu_s_max=1.0, host_calls_max=5)
    assert limits_of({}, usual) == usual


@pytest.mark.parametrize("name", NAMES)
def test_at_the_bounds_and_over(name: str) -> None:
    for bound in (GUEST_LIMITS_LOWEST, GUEST_LIMITS_HIGHEST):
        value = getattr(bound, name)
        assert getattr(limits_of({name: value}, GuestLimits()), name) == value
    for value in (getattr(GUEST_LIMITS_LOWEST, name) - 1, getattr(GUEST_LIMITS_HIGHEST, name) + 1, math.nan):
        with pytest.raises(LimitsRefused, match=name):
            limits_of({name: value}, GuestLimits())


def test_no_such_limit() -> None:
    with pytest.raises(LimitsRefused, match="no limit `memory`"):
        limits_of({"memory": 1}, GuestLimits())


def test_what_the_engine_has_room_for() -> None:
    memory = PoolConfig().memory_bytes_max
    assert limits_of({"memory_bytes_max": memory}, GuestLimits(), PoolConfig()).memory_bytes_max == memory
    with pytest.raises(LimitsRefused, match="memory_bytes_max"):
        limits_of({"memory_bytes_max": memory + 1}, GuestLimits(), PoolConfig())
    assert limits_of({"cpu_s_max": 86_400}, GuestLimits(), PoolConfig()).cpu_s_max == 86_400
