"""The canary's names, and who is of this machine."""

from __future__ import annotations

import pytest

from edged.http.canary import canary_host, is_canary, is_here


@pytest.mark.parametrize("authority", ["worker-0.canary.edged.invalid", "WORKER-12.Canary.edged.invalid.:8080"])
def test_a_canary(authority: str) -> None:
    assert is_canary(authority)


@pytest.mark.parametrize(
    "authority", ["", "canary.edged.invalid", "worker-0.canary.edged.invalid.test", "xcanary.edged.invalid", "[::1]:80"]
)
def test_no_canary(authority: str) -> None:
    assert not is_canary(authority)


def test_a_workers_own() -> None:
    assert is_canary(canary_host(3))
    assert canary_host(3) != canary_host(13)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_is_here(host: str) -> None:
    assert is_here(host)


@pytest.mark.parametrize("host", ["203.0.113.10", "2001:db8::10", "8.8.8.8"])
def test_others_are_not(host: str) -> None:
    assert not is_here(host)
