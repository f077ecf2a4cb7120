"""Networks as an operator names them: `private`, `loopback`, or an address range."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

NetworkName = Literal["private", "loopback"] | IPv4Network | IPv6Network


def parse_network(text: str) -> NetworkName:
    """`private`, `loopback`, or CIDR notation. Bits of the address that are not the network's do not count.

    Raises:
        ValueError: with the reason, as a clause that follows the text.
    """
    match text:
        case "private" | "loopback":
            return text
        case _:
            try:
                return ip_network(text, strict=False)
            except ValueError:
                raise ValueError("is no network: `private`, `loopback`, or a range as 10.0.0.0/8 or fd00::/8") from None
