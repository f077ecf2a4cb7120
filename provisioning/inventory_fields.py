"""What may be said of a machine: parsers of single values, and of tables made of them.

A parser takes what tomllib gives and returns what it means, or raises `Wrong` with the reason. Tables put the keys in
front of it. Text may be printed on one line whatever it says, so that none is read as anything else further on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from ipaddress import ip_address, ip_interface
from typing import Any, TypeVar

from provisioning.limits import DEPTH_MAX, TEXT_CHARS_MAX

S = TypeVar("S")
T = TypeVar("T")
Parse = Callable[[object], T]

_SHOWN_CHARS = 60
_INTEGER_MAX = 2**53 - 1  # what JSON and TOML readers agree on (RFC 8259 6)

_label = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?").fullmatch
_address = re.compile(r"(?:\[[0-9a-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})").fullmatch
_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
_mac = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}").fullmatch
# What needs no quotes in a shell, in YAML and in systemd's files alike.
_url = re.compile(
    r"https?://(?:\[[0-9a-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~+=@,/-]*)?"
).fullmatch
_path = re.compile(r"(?:/[A-Za-z0-9._+=@,-]+)+").fullmatch
_CREDENTIALS = set("?@")


class Wrong(Exception):
    """A value that is not what it should be.

    Attributes:
        reason: goes on after the key: "is not ...".
        keys: the way to it, outermost first.
    """

    def __init__(self, reason: str, *keys: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.keys = keys


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a table."""

    parse: Parse[Any]
    required: bool = False


Fields = Mapping[str, Field]


def shown(value: object) -> str:
    """As it stands in a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "..."


def near(name: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a sentence; "" for nothing."""
    found = get_close_matches(name, sorted(known), 1)
    return f"; is {found[0]!r} meant?" if found else ""


# --- tables ---


def record(fields: Fields) -> Parse[dict[str, Any]]:
    """A table with these keys and no others; those that are not there are not in what comes out."""

    def parse(value: object) -> dict[str, Any]:
        table = as_table(value)
        for name in table:
            if name not in fields:
                raise Wrong(f"is not known{near(name, fields)}", name)
        for name, field in fields.items():
            if field.required and name not in table:
                raise Wrong("is missing", name)
        return {name: below(name, field.parse, table[name]) for name, field in fields.items() if name in table}

    return parse


def array(parse: Parse[T], count_max: int) -> Parse[tuple[T, ...]]:
    """An array of at most so many, none twice."""

    def parse_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise Wrong("is not an array")
        if len(value) > count_max:
            raise Wrong(f"has {len(value)} items: at most {count_max}")
        found = tuple(below(f"[{index}]", parse, item) for index, item in enumerate(value))
        if len(set(found)) != len(found):
            raise Wrong("has something twice")
        return found

    return parse_all


def below(key: str, parse: Callable[[S], T], value: S) -> T:
    """Parse what stands under a key."""
    try:
        return parse(value)
    except Wrong as wrong:
        raise Wrong(wrong.reason, key, *wrong.keys) from None


def as_table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Wrong("is not a table")
    return value


def free_table(value: object) -> dict[str, Any]:
    """A table of texts, numbers, booleans, and arrays and tables of these: others know what it means."""
    found = _free(as_table(value), 0)
    assert isinstance(found, dict)  # a table comes out as one
    return found


def _free(value: object, depth: int) -> object:
    if depth > DEPTH_MAX:
        raise Wrong(f"has more than {DEPTH_MAX} tables and arrays within each other")
    deeper = partial(_free, depth=depth + 1)
    match value:
        case dict():
            return {text(name): below(name, deeper, item) for name, item in value.items()}
        case list():
            return [below(f"[{index}]", deeper, item) for index, item in enumerate(value)]
        case str():
            return text(value)
        case int() if abs(value) <= _INTEGER_MAX:
            return value
        case float() if math.isfinite(value):
            return value
        case _:
            raise Wrong("is neither text, number, boolean, array nor table")


# --- values ---


def text(value: object) -> str:
    """One line of printable text."""
    if not isinstance(value, str):
        raise Wrong("is not text")
    if len(value) > TEXT_CHARS_MAX:
        raise Wrong(f"has more than {TEXT_CHARS_MAX} characters")
    if not value.isprintable():
        raise Wrong(f"= {shown(value)} has characters that cannot be printed")
    return value


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong("is neither true nor false")
    return value


def one_of(names: Iterable[str]) -> Parse[str]:
    known = tuple(names)

    def parse(value: object) -> str:
        name = text(value)
        if name not in known:
            raise Wrong(f"= {shown(name)} is none of {', '.join(known)}{near(name, known)}")
        return name

    return parse


def label(value: object) -> str:
    """The name of a fleet, a node or a region (RFC 1123 label)."""
    return _matching(value, _label, "use lower-case letters, digits and hyphens, at most 63")


def host_port(value: object) -> str:
    found = _matching(value, _address, "write host:port, as in 203.0.113.7:7400")
    host, _, port = found.rpartition(":")
    if not 0 < int(port) < 65_536:
        raise Wrong(f"= {shown(found)} has a port that none can be")
    if host.startswith("["):
        ip(host[1:-1])
    return found


def sha256(value: object) -> str:
    return _matching(value, _sha256, "write the 64 lower-case hexadecimal digits of `sha256sum`")


def url(value: object) -> str:
    """http or https, `{sha256}` anywhere in its path, and nothing in it that is secret: user-data is read by many."""
    found = text(value)
    if _CREDENTIALS & set(found):
        raise Wrong(f"= {shown(_without_credentials(found))} has a password or a query: user-data may hold no secret")
    if not _url(found.replace("{sha256}", "0")):
        raise Wrong(f"= {shown(found)} is no URL to fetch: write http://HOST/PATH or https://HOST/PATH")
    return found


def _without_credentials(found: str) -> str:
    return found.partition("?")[0].rpartition("@")[2]


def absolute_path(value: object) -> str:
    found = _matching(value, _path, "write an absolute path of letters, digits and . _ + = @ , -")
    if ".." in found.split("/"):
        raise Wrong(f"= {shown(found)} goes up: write where it leads to")
    return found


def mac(value: object) -> str:
    return _matching(value, _mac, "write 52:54:00:12:34:56").lower()


def ip(value: object) -> str:
    found = text(value)
    try:
        address = ip_address(found)
    except ValueError:
        raise Wrong(f"= {shown(found)} is no address: write 192.0.2.1 or 2001:db8::1") from None
    if "%" in found or address.is_unspecified or address.is_multicast:
        raise Wrong(f"= {shown(found)} is the address of no machine")
    return str(address)


def interface(value: object) -> str:
    """An address with its prefix length."""
    found = text(value)
    try:
        parsed = ip_interface(found)
    except ValueError:
        parsed = None
    if parsed is None or "/" not in found:
        raise Wrong(f"= {shown(found)} is no address with its prefix length: write 192.0.2.10/24 or 2001:db8::10/64")
    ip(found.partition("/")[0])
    return parsed.with_prefixlen


def _matching(value: object, match: Callable[[str], object], hint: str) -> str:
    found = text(value)
    if not match(found):
        raise Wrong(f"= {shown(found)} cannot be: {hint}")
    return found
