"""How announcing does, for a person: the sessions of each node, then its prefixes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bgp.status import AnycastStatus, PeerStatus, PrefixStatus
from edged.readable import readable
from edged.status.problem import duration
from edged.status.view import NodeView, StatusView

_PREFIX_SIGNS = {
    "warming": ("↻", "cyan"),
    "up": ("✓", "green"),
    "suspect": ("!", "yellow"),
    "degraded": ("!", "yellow"),
    "down": ("✗", "red"),
    "hold-down": ("!", "yellow"),
    "draining": ("!", "yellow"),
    "drained": ("!", "yellow"),
}
_Row = TypeVar("_Row", PeerStatus, PrefixStatus)
_WRAPPED = {"WHY": 16, "ANNOUNCED": 12}
"""Columns that are folded, and what they keep of 80: names of the usual length leave it, and WHY is said above."""


def anycast(view: StatusView) -> RenderableType | None:
    """Of the nodes that are up; None if nothing is announced in this fleet."""
    nodes = [(node, node.anycast) for node in view.nodes if node.state == "up" and node.anycast is not None]
    if not nodes:
        return None
    peers = _table("NODE", "PEER", "AS", "SESSION", "HOLD", "BFD", "SENT", "WHY", right=("SENT",))
    prefixes = _table("NODE", "PREFIX", "STATE", "ANNOUNCED", "WHY")
    for node, status in nodes:
        for name, peer in _named(node, status.peers):
            peers.add_row(name, *_peer(peer, status, view.time))
        for name, prefix in _named(node, status.prefixes):
            prefixes.add_row(name, *_prefix(prefix, view.time))
    return Group(peers, Text(), prefixes)


def _named(node: NodeView, rows: tuple[_Row, ...]) -> Iterator[tuple[str, _Row]]:
    """Each with the node's name before the first."""
    for index, row in enumerate(rows):
        yield ("" if index else readable(node.name)), row


def _peer(peer: PeerStatus, status: AnycastStatus, now: float) -> Iterator[Text | str]:
    up = peer.state == "established"
    yield readable(peer.name)
    yield str(peer.asn)
    since = duration(now - peer.since)
    yield Text(f"✓ up {since}", "green") if up else Text(f"✗ {readable(peer.state)} {since}", "red")
    yield Text(f"{peer.hold_s} s") if up else Text("-", "dim")
    yield _bfd(peer)
    yield f"{len(peer.announced)}/{len(status.prefixes)}"
    yield Text(readable(peer.error), "dim" if up else "")


def _bfd(peer: PeerStatus) -> Text:
    if not peer.bfd:
        return Text("-", "dim")
    return Text("✓ up", "green") if peer.bfd == "up" else Text(f"! {readable(peer.bfd)}", "yellow")


def _prefix(prefix: PrefixStatus, now: float) -> Iterator[Text | str]:
    yield readable(prefix.prefix)
    sign, colour = _PREFIX_SIGNS.get(prefix.state, ("!", "yellow"))
    text = f"{sign} {readable(prefix.state)} {duration(now - prefix.since)}"
    if prefix.state == "hold-down":
        text = f"{sign} hold-down, {duration(prefix.hold_until - now)} more"
    yield Text(text, colour)
    yield _announced(prefix)
    yield Text(readable(prefix.reason), "dim" if prefix.state == "up" else "")


def _announced(prefix: PrefixStatus) -> Text:
    """What is on the wire, and what should be if that is something else."""
    if prefix.announced == prefix.desired:
        return Text(readable(prefix.announced))
    if not prefix.announced:
        return Text(f"? ({readable(prefix.desired)})", "dim")
    return Text(f"✗ {readable(prefix.announced)}, not {readable(prefix.desired)}", "red")


def _table(*titles: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in titles:
        table.add_column(
            title,
            justify="right" if title in right else "left",
            overflow="fold",
            no_wrap=title not in _WRAPPED,
            min_width=_WRAPPED.get(title),
        )
    return table
