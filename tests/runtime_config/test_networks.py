"""Names of networks."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from edged.runtime_config.networks import parse_network


@pytest.mark.parametrize("text", ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32", "::1/128"])
def test_ranges(text: str) -> None:
    assert parse_network(text) == ip_network(text)


def test_bits_of_the_host_do_not_count() -> None:
    assert parse_network("10.1.2.3/8") == ip_network("10.0.0.0/8")
    assert parse_network("10.1.2.3") == ip_network("10.1.2.3/32")


def test_words() -> None:
    assert [parse_network(word) for word in ("private", "loopback")] == ["private", "loopback"]


@pytest.mark.parametrize("text", ["", "public", "Private", "10.0.0.0/33", "example.com", "10.0.0.0/8/8", "[::1]", "*"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        parse_network(text)
