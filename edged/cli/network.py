"""`--allow-network NETWORK`."""

from __future__ import annotations

from collections.abc import Iterable

from edged.errors import UsageError
from edged.manifest.problems import shown
from edged.runtime_config.networks import NetworkName, parse_network


def parse_networks(texts: Iterable[str]) -> tuple[NetworkName, ...]:
    """`loopback`, `private` or a range of addresses, each.

    Raises:
        UsageError
    """
    return tuple(_network(text) for text in texts)


def _network(text: str) -> NetworkName:
    try:
        return parse_network(text)
    except ValueError as error:
        raise UsageError(f"--allow-network {shown(text)} {error}", remedy="Correct it.") from None
