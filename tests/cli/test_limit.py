"""`--limit NAME=VALUE`."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from edged.cli.limit import parse_limits
from edged.errors import UsageError
from edged.limits import GUEST_LIMITS_HIGHEST, GUEST_LIMITS_LOWEST, GuestLimits, KiB, MiB


def test_none() -> None:
    assert parse_limits([]) == GuestLimits()


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("memory_bytes_max=64MiB", "memory_bytes_max", 64 * MiB),
        ("memory=64 MiB", "memory_bytes_max", 64 * MiB),
        ("memory=1.5GiB", "memory_bytes_max", 1536 * MiB),
        ("memory=100MB", "memory_bytes_max", 100_000_000),
        ("memory=65536", "memory_bytes_max", 64 * KiB),
        ("request_body=0", "request_body_bytes_max", 0),
        ("wall_s_max=10s", "wall_s_max", 10.0),
        ("wall=250ms", "wall_s_max", 0.25),
        ("cpu=2min", "cpu_s_max", 120.0),
        ("cpu=0.5", "cpu_s_max", 0.5),
        ("host_calls=1_000", "host_calls_max", 1000),
        ("instances_ahead=4", "instances_ahead", 4),
    ],
)
def test_values(text: str, name: str, value: float) -> None:
    limits = parse_limits([text])
    assert limits == replace(GuestLimits(), **{name: value})
    assert type(getattr(limits, name)) is type(value)


def test_several_and_the_last_counts() -> None:
    limits = parse_limits(["wall=1s", "handles=7", "wall=2s"])
    assert limits == replace(GuestLimits(), wall_s_max=2.0, handles_max=7)


@pytest.mark.parametrize("text", ["memory", "memory=", "memory=much", "memory=-1", "memory=1 2", "=5", "memory=64mib"])
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError):
        parse_limits([text])


@pytest.mark.parametrize("text", ["wall=10MiB", "memory=10s", "handles=10k"])
def test_a_unit_of_another_kind(text: str) -> None:
    with pytest.raises(UsageError, match="not a quantity") as caught:
        parse_limits([text])
    assert "unit" in caught.value.remedy


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean `memory_bytes_max`") as caught:
        parse_limits(["memory_byte_max=1"])
    assert "wall_s_max" in caught.value.remedy


@pytest.mark.parametrize("name", [field.name for field in fields(GuestLimits)])
def test_at_and_beyond_what_can_work(name: str) -> None:
    lowest, highest = getattr(GUEST_LIMITS_LOWEST, name), getattr(GUEST_LIMITS_HIGHEST, name)
    assert lowest <= getattr(GuestLimits(), name) <= highest
    assert getattr(parse_limits([f"{name}={lowest}"]), name) == lowest
    assert getattr(parse_limits([f"{name}={highest}"]), name) == highest
    beyond = [highest + 1] + ([lowest - 1] if lowest >= 1 else [])
    for value in beyond:
        with pytest.raises(UsageError, match="outside"):
            parse_limits([f"{name}={value}"])


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("memory=3", "Choose from 64KiB to 4GiB."),
        ("request_body=2000000GiB", "Choose from 0B to 1024GiB."),
        ("cpu=0s", "Choose from 0.001 to 86400 s."),
        ("handles=0", "Choose from 1 to 1000000."),
    ],
)
def test_the_range_is_said_in_units_one_can_type(text: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_limits([text])
    assert caught.value.remedy == remedy


def test_other_usual_limits() -> None:
    usual = GuestLimits(memory_bytes_max=MiB, wall_s_max=1.0)
    assert parse_limits([], usual) == usual
    assert parse_limits(["wall=2s"], usual) == replace(usual, wall_s_max=2.0)
