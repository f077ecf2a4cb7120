"""How announcing does, as tables of the page: sessions, then prefixes."""

from __future__ import annotations

from html import escape

from bgp.status import AnycastStatus, PeerStatus, PrefixStatus
from edged.admin.html_table import marked, table
from edged.status.problem import duration
from edged.status.view import NodeView, StatusView

_PREFIX_MARK = {"up": "ok", "warming": "warn", "down": "bad"}
_PEER_HEADS = ("node", "router", "#AS", "session", "#hold s", "BFD", "has", "error")
_PREFIX_HEADS = ("node", "region", "prefix", "state", "announced", "#flaps", "why")


def anycast_tables(status: StatusView) -> str:
    """Of the nodes that are up; nothing if nothing is announced in this fleet."""
    nodes = [(node, node.anycast) for node in status.nodes if node.state == "up" and node.anycast is not None]
    if not nodes:
        return ""
    peers = [_peer(node, peer, status.time) for node, anycast in nodes for peer in anycast.peers]
    prefixes = [_prefix(node, prefix, status.time) for node, anycast in nodes for prefix in anycast.prefixes]
    drains = "".join(_drain(node, anycast) for node, anycast in nodes)
    return f"<h2>Anycast</h2>\n{table(_PREFIX_HEADS, prefixes)}\n{drains}<br>\n{table(_PEER_HEADS, peers)}"


def _peer(node: NodeView, peer: PeerStatus, now: float) -> tuple[str, ...]:
    up = peer.state == "established"
    state = f"{peer.state} {duration(now - peer.since)}"
    return (
        escape(node.name),
        f"{escape(peer.name)} <code>{escape(peer.address)}</code>",
        str(peer.asn),
        marked("ok" if up else "bad", state),
        str(peer.hold_s) if up else "",
        marked("ok" if peer.bfd == "up" else "warn", peer.bfd) if peer.bfd else "",
        "<br>".join(f"<code>{escape(prefix)}</code>" for prefix in peer.announced),
        escape(peer.error),
    )


def _prefix(node: NodeView, prefix: PrefixStatus, now: float) -> tuple[str, ...]:
    state = f"{prefix.state} {duration(now - prefix.since)}"
    if prefix.state == "hold-down":
        state = f"hold-down, {duration(prefix.hold_until - now)} more"
    announced = escape(prefix.announced or "not known")
    if prefix.announced != prefix.desired:
        announced = marked("bad" if prefix.announced else "warn", f"{prefix.announced or '?'}, not {prefix.desired}")
    return (
        escape(node.name),
        escape(node.region),
        f"<code>{escape(prefix.prefix)}</code>",
        marked(_PREFIX_MARK.get(prefix.state, "warn"), state),
        announced,
        str(prefix.flaps),
        escape(prefix.reason),
    )


def _drain(node: NodeView, anycast: AnycastStatus) -> str:
    drain = anycast.drain
    if drain is None:
        return ""
    took = f", {drain.ended - drain.started:.1f} s" if drain.ended else ""
    proven = "withdrawal seen to be sent" if drain.withdrawal_proven else "withdrawal not seen to be sent"
    said = f"last drain of {node.name}: {drain.step}{took}, {proven}, {drain.connections_left} connections closed"
    return f'<p class="dim">{escape(said)}: {escape(drain.reason)}</p>\n'
