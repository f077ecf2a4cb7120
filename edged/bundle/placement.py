"""`[application.tool.edged]`: where an app wants to be, under which names, within which limits.

    [application.tool.edged]
    hosts = ["shop.example.com"]                   # default: <app>.<domain of the fleet>
    regions = ["eu", "us"]                         # default: all of the fleet
    limits = { memory_bytes_max = "64MiB" }        # of each of its guests; names and units as in --limit
    probe = "/healthz"                             # must answer below 500 before a release is served
    scopes = { nightly = "fleet" }                 # of triggers; `edged.manifest.scopes` reads it

What a command line says has precedence over it, and what the fleet allows over both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from edged.bundle.guest_limit import LimitInvalid, parse_limit
from edged.errors import ManifestError
from edged.limits import (
    HOST_LABEL_CHARS_MAX,
    HOST_NAME_CHARS_MAX,
    PLACEMENT_HOST_COUNT_MAX,
    PLACEMENT_REGION_COUNT_MAX,
    PROBE_CHARS_MAX,
)
from edged.manifest.document import Node, parse_document
from edged.manifest.fields import Field, Parse, array, line, named, plain_table, record, table_of
from edged.manifest.problems import Invalid, Problems, manifest_error, shown

_TABLE = ("application", "tool", "edged")

_label = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?").fullmatch


@dataclass(frozen=True, slots=True)
class Placement:
    """What an app asks of the fleet. Empty means that it asks nothing.

    Attributes:
        hosts: names in lower case that it answers for.
        regions: where it is to run.
        limits: field of `GuestLimits` -> value.
        probe: path and query of a GET that a healthy release answers with less than 400.
    """

    hosts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    probe: str = ""


def parse_placement(data: bytes, file: Path) -> Placement:
    """Read it from the bytes of a manifest.

    Args:
        data: of a manifest that `edged.manifest.parse` took.
        file: where they come from, for messages.

    Raises:
        ManifestError: one line per problem, each `file:line: ...`.
    """
    try:
        node = _find(parse_document(data.decode("utf-8-sig")))
        values = {} if node is None else _placement(node)
        values.pop("scopes", None)  # the manifest has them in its triggers
        return Placement(**values)
    except Invalid as invalid:
        raise manifest_error(str(file), invalid.problems) from None
    except UnicodeDecodeError:
        raise ManifestError(f"{file}:1: not UTF-8") from None


def host_problem(text: str) -> str | None:
    """Why this is no host name that an app could answer for (RFC 1123 2.1, in lower case), or None."""
    if len(text) > HOST_NAME_CHARS_MAX:
        return f"has more than {HOST_NAME_CHARS_MAX} characters"
    if not all(_label(label) and len(label) <= HOST_LABEL_CHARS_MAX for label in text.split(".")):
        return "is not a host name: lower-case letters, digits and hyphens between dots, no port"
    return None


def region_problem(text: str) -> str | None:
    """Why this is no name of a region, or None."""
    if _label(text) and len(text) <= HOST_LABEL_CHARS_MAX:
        return None
    return f"is not a region: lower-case letters, digits and hyphens, at most {HOST_LABEL_CHARS_MAX}"


def probe_problem(text: str) -> str | None:
    """Why nothing could be asked for by this, or None."""
    if len(text) > PROBE_CHARS_MAX:
        return f"has more than {PROBE_CHARS_MAX} characters"
    if not text.startswith("/") or not all("!" <= character <= "~" for character in text) or "#" in text:
        return "is not a path: ASCII without blanks, beginning with a slash"
    return None


def _find(node: Node) -> Node | None:
    for key in _TABLE:
        if not isinstance(node.value, dict) or key not in node.value:
            return None
        node = node.value[key]
    return node


def _few(check: Callable[[str], str | None], count_max: int) -> Parse[tuple[str, ...]]:
    parse_all = array(named(check))

    def parse(node: Node) -> tuple[str, ...]:
        values = parse_all(node)
        if not 1 <= len(values) <= count_max:
            raise node.invalid(f"must have 1 to {count_max} entries; leave it out for the usual")
        twice = next((value for index, value in enumerate(values) if value in values[:index]), None)
        if twice is not None:
            raise node.invalid(f"has {shown(twice)} twice")
        return values

    return parse


def _limits(node: Node) -> Mapping[str, float]:
    problems = Problems()
    limits: dict[str, float] = {}
    for child in table_of(node).values():
        parsed = problems.attempt(_limit, child)
        if parsed is not None and parsed[0] in limits:
            problems.add(child.line, f"{child.label}: {parsed[0]} is given twice")
        if parsed is not None:
            limits[parsed[0]] = parsed[1]
    problems.check()
    return MappingProxyType(limits)


def _limit(node: Node) -> tuple[str, float]:
    is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    text = str(node.value) if is_number else line(node)
    try:
        return parse_limit(node.name, text)
    except LimitInvalid as error:
        raise node.invalid(f"= {shown(text)} {error.reason}. {error.remedy}") from None


_placement = record(
    {
        "hosts": Field(_few(host_problem, PLACEMENT_HOST_COUNT_MAX)),
        "regions": Field(_few(region_problem, PLACEMENT_REGION_COUNT_MAX)),
        "limits": Field(_limits),
        "probe": Field(named(probe_problem)),
        "scopes": Field(plain_table),
    }
)
