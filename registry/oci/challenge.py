"""How a registry asks who we are (RFC 7235 4.1; the token specification of the distribution project)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.request import parse_http_list, parse_keqv_list

_CHARS_MAX = 8_192  # a header that is longer than our own servers would take


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of an account at a registry."""

    username: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """The value of an `Authorization` header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry wants.

    Attributes:
        scheme: `bearer` or `basic`.
        parameters: names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str]


def parse_challenge(headers: Iterable[str]) -> Challenge | None:
    """The challenge that we can answer, from all `WWW-Authenticate` headers; a token rather than a password."""
    found: dict[str, Challenge] = {}
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        if len(header) > _CHARS_MAX or scheme.lower() not in ("bearer", "basic"):
            continue
        # The standard library stumbles over `name=` without a value.
        items = [item for item in parse_http_list(rest) if item.partition("=")[2]]
        parameters = {name.lower(): value for name, value in parse_keqv_list(items).items()}
        found.setdefault(scheme.lower(), Challenge(scheme.lower(), parameters))
    return found.get("bearer") or found.get("basic")
