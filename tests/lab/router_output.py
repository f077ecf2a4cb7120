"""What routers say of themselves, parsed: `birdc` in text, `vtysh` in JSON. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bgp.announcement import Community, LargeCommunity


@dataclass(frozen=True, slots=True)
class Seen:
    """A route as a router has it.

    Attributes:
        by: BIRD's name of the session, or for FRR the address of the neighbour.
        best: the router uses it.
    """

    by: str
    best: bool
    next_hop: str
    as_path: tuple[int, ...]
    med: int | None
    local_preference: int
    communities: frozenset[Community]
    large_communities: frozenset[LargeCommunity]


@dataclass(frozen=True, slots=True)
class Session:
    """Attributes:
    state: in lower case, as RFC 4271 names them; "down" where BIRD has switched it off.
    error: the last, as the router words it; "" for none.
    hold_s: negotiated; 0 for no session.
    """

    state: str
    error: str = ""
    hold_s: int = 0

    @property
    def established(self) -> bool:
        return self.state == "established"


_entry = re.compile(r"^(?:\S+)?\s+unicast \[(\w+) [^\]]*\] (\*?)", re.MULTILINE)
_pair = re.compile(r"\((\d+), ?(\d+)\)")
_triple = re.compile(r"\((\d+), ?(\d+), ?(\d+)\)")


def bird_routes(text: str) -> tuple[Seen, ...]:
    """Of `show route for PREFIX all`, or `show route PREFIX all`."""
    entries = list(_entry.finditer(text))
    found = []
    for number, entry in enumerate(entries):
        end = entries[number + 1].start() if number + 1 < len(entries) else len(text)
        values = dict(re.findall(r"^\tBGP\.(\w+): ?(.*)$", text[entry.end() : end], re.MULTILINE))
        if values:
            found.append(_bird_route(entry[1], bool(entry[2]), values))
    return tuple(found)


def _bird_route(by: str, best: bool, values: Mapping[str, str]) -> Seen:
    return Seen(
        by=by,
        best=best,
        next_hop=values["next_hop"].split()[0],
        as_path=tuple(map(int, values["as_path"].split())),
        med=int(values["med"]) if "med" in values else None,
        local_preference=int(values["local_pref"]),
        communities=frozenset(Community(int(a), int(b)) for a, b in _pair.findall(values.get("community", ""))),
        large_communities=frozenset(
            LargeCommunity(int(a), int(b), int(c)) for a, b, c in _triple.findall(values.get("large_community", ""))
        ),
    )


def bird_session(text: str) -> Session:
    """Of `show protocols all NAME`."""

    def value(key: str) -> str:
        match = re.search(rf"^\s+{key}:\s+(.*)$", text, re.MULTILINE)
        return match[1].strip() if match else ""

    hold = re.match(r"[\d.]+/(\d+)", value("Hold timer"))
    return Session(value("BGP state").lower() or "down", value("Last error"), int(hold[1]) if hold else 0)


def frr_routes(text: str) -> tuple[Seen, ...]:
    """Of `show bgp FAMILY unicast PREFIX json`."""
    return tuple(_frr_route(path) for path in json.loads(text).get("paths", []))


def _frr_route(path: Mapping[str, Any]) -> Seen:
    words = path["aspath"]["string"].split()
    communities = path.get("community", {}).get("list", [])
    large = path.get("largeCommunity", {}).get("list", [])
    next_hop = next((hop for hop in path["nexthops"] if hop.get("used")), path["nexthops"][0])
    return Seen(
        by=path["peer"]["peerId"],
        best=bool(path.get("bestpath", {}).get("overall")),
        next_hop=next_hop["ip"],
        as_path=tuple(int(word) for word in words if word.isdecimal()),
        med=path.get("metric"),
        local_preference=path.get("locPrf", 100),
        communities=frozenset(_KNOWN.get(each) or Community(*map(int, each.split(":"))) for each in communities),
        large_communities=frozenset(LargeCommunity(*map(int, each.split(":"))) for each in large),
    )


_KNOWN = {"gracefulShutdown": Community(65535, 0), "noExport": Community(65535, 65281)}
"""Communities that FRR calls by name."""


def frr_session(text: str) -> Session:
    """Of `show bgp neighbors ADDRESS json`."""
    (found,) = json.loads(text).values()
    state = found.get("bgpState", "idle").lower()
    error = found.get("lastNotificationReason") or found.get("lastResetDueTo") or ""
    hold_s = found.get("bgpTimerHoldTimeMsecs", 0) // 1000 if state == "established" else 0
    return Session(state, error, hold_s)
