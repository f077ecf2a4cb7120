"""Values of a JSON document that somebody else wrote, each with its type, range and place in the error."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar

from bgp.errors import MetadataInvalid
from bgp.limits import PASSWORD_CHARS_MAX
from bgp.prefix import Address

_ASN_MAX = 2**32 - 1
_ASN_DIGITS_MAX = 10
_T = TypeVar("_T")


def typed(value: object, kind: type[_T], where: str) -> _T:
    """
    Raises:
        MetadataInvalid
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MetadataInvalid(f"{where} is no {_KINDS[kind]}")
    return value


def field(table: dict[str, Any], key: str, kind: type[_T], where: str) -> _T:
    """
    Raises:
        MetadataInvalid: also if it is not there.
    """
    if key not in table:
        raise MetadataInvalid(f"{where} has no {key!r}")
    return typed(table[key], kind, f"{where}.{key}")


def asn(value: object, where: str) -> int:
    """An AS number, as a number or as its digits.

    Raises:
        MetadataInvalid: also 0, which is nobody's (RFC 7607).
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _ASN_DIGITS_MAX:
        value = int(value)
    number = typed(value, int, where)
    if not 0 < number <= _ASN_MAX:
        raise MetadataInvalid(f"{where} is no AS number")
    return number


def address(value: object, version: int, where: str) -> Address:
    """
    Raises:
        MetadataInvalid: no address of a router or of this machine, or of the other family; or with a zone, which a
            document cannot know.
    """
    try:
        parsed = (IPv4Address if version == 4 else IPv6Address)(typed(value, str, where))
    except ValueError:
        raise MetadataInvalid(f"{where} is no IPv{version} address") from None
    if "%" in str(parsed):
        raise MetadataInvalid(f"{where} is an address with a zone")
    # Routes are set to what this says. 240/4, with the broadcast address, is reserved; parts of IPv6 that are in use
    # count as reserved, too.
    special = parsed.is_unspecified or parsed.is_multicast or parsed.is_loopback
    if special or (parsed.is_reserved if isinstance(parsed, IPv4Address) else parsed.ipv4_mapped is not None):
        raise MetadataInvalid(f"{where} is the address of no machine")
    return parsed


def password(value: object, where: str) -> str:
    """Of TCP-MD5; never part of an error.

    Raises:
        MetadataInvalid
    """
    text = typed(value, str, where)
    if len(text) > PASSWORD_CHARS_MAX or not (text.isascii() and text.isprintable()):
        raise MetadataInvalid(f"{where} is no password of at most {PASSWORD_CHARS_MAX} printable characters")
    return text


_KINDS: dict[type, str] = {dict: "object", list: "array", str: "string", int: "number", bool: "true or false"}
