"""What the log says of destinations that were refused."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from edged.host.network.dialer import AddressProhibited, Dialer
from edged.host.network.grant import Grant
from edged.host.network.refusals import Refusals
from edged.limits import REFUSALS_LOGGED_MAX
from edged.manifest.outbound import AllowedHosts, parse_host


async def test_each_destination_is_told_once() -> None:
    refusals = Refusals("app")
    grant = Grant(AllowedHosts((parse_host("http://a.test"),)), Dialer(refused=refusals.by_address), "api", refusals)
    with capture_logs() as lines:
        assert grant.allows("http", "a.test", 80)
        for _ in range(2):
            assert not grant.allows("http", "b.test", 8080)
            assert not grant.allows_self()
            with pytest.raises(AddressProhibited):
                await grant.dialer.addresses("127.0.0.1", 80)
    told = [
        (line["event"], line["app"], line.get("component"), line.get("destination", line.get("host"))) for line in lines
    ]
    assert told == [
        ("outbound.not-allowed", "app", "api", "http://b.test:8080"),
        ("outbound.not-allowed", "app", "api", "http://self"),
        ("outbound.address-prohibited", "app", None, "127.0.0.1"),
    ]
    assert all(line["log_level"] == "warning" and line["remedy"] for line in lines)


def test_as_many_as_the_limit_are_told() -> None:
    refusals = Refusals("app")
    with capture_logs() as lines:
        for port in range(REFUSALS_LOGGED_MAX + 1):
            refusals.by_manifest("api", f"http://a:{port}")
    assert len(lines) == REFUSALS_LOGGED_MAX


def test_a_grant_that_nobody_listens_to() -> None:
    assert not Grant().allows("http", "a", 80)
    assert not Grant().allows_self()
