"""A router that keeps flows on the way they took first, as one with connection tracking does (firewalls, balancers).

A router without it turns all packets at once when its best path changes, and what was on the wire just then comes to a
node that knows nothing of it. No announcement can avoid that; so what a node itself loses is seen behind such a router.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.lab import Lab

_TABLE = "edged-keep"
_FIRST_ROUTE_TABLE = 1000


@contextmanager
def keeping_flows(lab: Lab, router: str) -> Iterator[None]:
    """While the block runs, IPv4 connections through a router stay on the way that their first packet took."""
    ends = tuple(lab.topology.ends(router))
    marks = range(_FIRST_ROUTE_TABLE, _FIRST_ROUTE_TABLE + len(ends))
    first = "".join(
        f'ct state new ct mark 0 oifname "{end.interface}" ct mark set {mark}\n'
        for mark, end in zip(marks, ends, strict=True)
    )
    rules = (
        f"table ip {_TABLE} {{\n"
        # Answers of nodes go where they always go: only packets of whoever began are held to a way.
        "chain on_the_way_in { type filter hook prerouting priority mangle\n"
        " ct mark != 0 ct direction original meta mark set ct mark\n}\n"
        f"chain on_the_way_out {{ type filter hook forward priority mangle\n{first}}}\n}}\n"
    )
    lab.run(router, ["sh", "-c", f"nft -f - <<'E'\n{rules}E"])
    for mark, end in zip(marks, ends, strict=True):
        way = ["default", "via", str(end.other), "dev", end.interface, "table", str(mark)]
        lab.run(router, ["ip", "route", "add", *way])
        lab.run(router, ["ip", "rule", "add", "fwmark", str(mark), "lookup", str(mark)])
    try:
        yield
    finally:
        for mark in marks:
            lab.run(router, ["ip", "rule", "delete", "fwmark", str(mark)])
            lab.run(router, ["ip", "route", "flush", "table", str(mark)])
        lab.run(router, ["nft", "delete", "table", "ip", _TABLE])
