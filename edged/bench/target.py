"""What is measured: the anycast address, and the regions behind it by addresses of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from edged.errors import UsageError
from edged.limits import BENCH_TARGETS_MAX

ANYCAST = "anycast"
_PORTS = {"http": 80, "https": 443}
_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch
_host = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?").fullmatch
_path = re.compile(r"/[!-~]{0,200}").fullmatch
_NO_HOST = "edged.invalid"
"""A Host for an IPv6 address, which httping would write without its brackets."""


@dataclass(frozen=True, slots=True)
class Target:
    """Attributes:
    name: in tables; unique.
    url: as it was given.
    address: that packets go to: literal or name.
    httping: the end of its command line.
    """

    name: str
    url: str
    address: str
    httping: tuple[str, ...]


def parse_target(name: str, url: str, host: str = "") -> Target:
    """
    Args:
        host: that is asked for, in place of the URL's.

    Raises:
        UsageError: no URL for a request, or one that httping cannot take.
    """
    if _name(name) is None:
        raise UsageError(f"{name!r} cannot be the name of a target")
    try:
        parts = urlsplit(url)
        address, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in _PORTS or not address or parts.username is not None or parts.fragment:
        raise UsageError(f"{url!r} is no http:// or https:// URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    literal = _literal(address)
    if _path(path) is None or (literal is None and _host(address) is None) or (host and _host(host) is None):
        raise UsageError(f"{url!r} or the host {host!r} has characters that neither can have")
    at = "" if port is None or port == _PORTS[parts.scheme] else f":{port}"
    if isinstance(literal, IPv6Address):
        if at:
            raise UsageError(
                f"{url}: httping takes no port with an IPv6 address", remedy="Measure port 80 or 443, or IPv4."
            )
        words: tuple[str, ...] = (
            "-6",
            "--divert-connect",
            str(literal),
            "-g",
            f"{parts.scheme}://{host or _NO_HOST}{path}",
        )
    elif host:
        words = ("--divert-connect", address, "-g", f"{parts.scheme}://{host}{at}{path}")
    else:
        words = ("-g", f"{parts.scheme}://{address}{at}{path}")
    return Target(name, url, address, words)


def parse_targets(texts: Sequence[str], host: str = "") -> tuple[Target, ...]:
    """`NAME=URL` of each.

    Raises:
        UsageError
    """
    targets = []
    for text in texts:
        name, equals, url = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} is no target", remedy="Write it as NAME=URL.")
        targets.append(parse_target(name, url, host))
    return check_targets(targets)


def check_targets(targets: Sequence[Target]) -> tuple[Target, ...]:
    """
    Raises:
        UsageError: two have one name, one has that of the anycast address, or there are too many.
    """
    names = [target.name for target in targets]
    if len(set(names)) != len(names) or ANYCAST in names:
        raise UsageError(f"two targets have the same name; {ANYCAST!r} is that of the anycast address")
    if len(names) > BENCH_TARGETS_MAX:
        raise UsageError(f"{len(names)} targets: at most {BENCH_TARGETS_MAX}")
    return tuple(targets)


def _literal(address: str) -> object:
    try:
        return ip_address(address)
    except ValueError:
        return None
