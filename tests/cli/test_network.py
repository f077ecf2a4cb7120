"""`--allow-network`."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from edged.cli.network import parse_networks
from edged.errors import UsageError


def test_networks() -> None:
    assert parse_networks([]) == ()
    assert parse_networks(["loopback", "fd00::/8", "private"]) == ("loopback", ip_network("fd00::/8"), "private")


@pytest.mark.parametrize("text", ["", "public", "localhost", "10.0.0.0/64", "\x1b[31m"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no network") as caught:
        parse_networks(["private", text])
    assert "\x1b" not in caught.value.message
