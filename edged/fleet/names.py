"""Names that stand in records, and in the names of files that hold them: one grammar, without room for surprises."""

from __future__ import annotations

import re

from edged.errors import RecordInvalid
from registry import release
from registry.errors import RegistryError

_label = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?").fullmatch
_glob = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._*-]{0,62}").fullmatch
_host_name = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*").fullmatch
_address = re.compile(r"(?:\[[0-9a-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):([0-9]{1,5})").fullmatch


def check_label(text: str, what: str) -> str:
    """A fleet, node, region or key: lower-case letters, digits and hyphens, at most 63 (RFC 1123 label).

    Raises:
        RecordInvalid
    """
    if not _label(text):
        raise RecordInvalid(f"{what} {text!r}: use lower-case letters, digits and hyphens, at most 63")
    return text


def check_app(text: str) -> str:
    """An app, as releases have it: letters, digits, dots, hyphens and underscores, beginning with a letter or digit."""
    try:
        return release.check_app(text)
    except RegistryError as error:
        raise RecordInvalid(error.message) from error


def check_app_glob(text: str, what: str) -> str:
    """Likewise, with '*' for any part of a name."""
    if not _glob(text):
        raise RecordInvalid(f"{what} {text!r}: use the name of an app, in which * stands for anything")
    return text


def check_host_name(text: str, what: str) -> str:
    """A host name, lower case."""
    if not _host_name(text):
        raise RecordInvalid(f"{what} {text!r} is not a host name")
    return text


def check_address(text: str, what: str) -> str:
    """host:port, or [IPv6]:port."""
    match = _address(text)
    if not match or not 0 < int(match[1]) < 65_536:
        raise RecordInvalid(f"{what} {text!r} is not an address: write host:port, as in 203.0.113.7:7400")
    return text
