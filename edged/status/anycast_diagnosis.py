"""What is wrong with announcing, in words: of the whole fleet first, then of each node. No input or output, no clock.

Times of a node are by its own clock; the answer's time is by that of another. Both are believed to agree to seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bgp.status import AnycastStatus, PeerStatus, PrefixStatus
from edged.limits import ANYCAST_SETTLE_S, ANYCAST_WARMING_S_WARNED
from edged.status.problem import Problem, Severity, duration
from edged.status.view import NodeView, StatusView

WITHDRAWN = ("down", "hold-down", "draining", "drained")
"""States of a prefix in which it is not announced, or about not to be."""


def anycast_problems(view: StatusView) -> Iterator[Problem]:
    """All that is wrong with announcing. Nothing on a fleet that announces nothing."""
    yield from _coverage(view)
    for node in view.nodes:
        if node.state != "up" or node.anycast is None:
            continue
        where = f"node {node.name} in {node.region}"
        yield from _speaker(where, node.anycast)
        yield from _peers(where, node.anycast, view.time)
        yield from _prefixes(where, node, node.anycast, view.time)
        for alarm in node.anycast.alarms:
            yield Problem("error", f"{where}: {alarm}")


def is_announced(anycast: AnycastStatus, prefix: str) -> bool:
    """Whether a router has it from this node, as proven by what was sent."""
    return any(peer.state == "established" and prefix in peer.announced for peer in anycast.peers)


def _coverage(view: StatusView) -> Iterator[Problem]:
    """Prefixes that nobody answers for, or that one region alone does. Of a node that is silent only what it should
    announce counts."""
    configured: dict[str, list[NodeView]] = {}
    for node in view.nodes:
        for each in node.anycast.prefixes if node.anycast else ():
            configured.setdefault(each.prefix, []).append(node)
    for prefix, nodes in sorted(configured.items()):
        regions = {
            node.region for node in nodes if node.state == "up" and node.anycast and is_announced(node.anycast, prefix)
        }
        if not regions:
            text = f"no node that is heard of announces {prefix}: nobody answers there"
            yield Problem("error", text, _bring_back(nodes, prefix))
        elif len(regions) == 1 and len(view.regions) > 1:
            (region,) = regions
            text = f"{prefix} is announced by the region {region} only: when that fails, nobody answers there"
            yield Problem("warning", text, _bring_back([node for node in nodes if node.region != region], prefix))


def _bring_back(nodes: Sequence[NodeView], prefix: str) -> str:
    """What to do so that one of these nodes announces it."""
    if not nodes:
        return "Give nodes of another region a [bgp] table with this prefix."
    for node in nodes:
        if node.state != "up" or node.anycast is None:
            continue  # one that was stopped left traffic first: what it said last is no order to stay away
        if any(each.prefix == prefix and each.state == "drained" for each in node.anycast.prefixes):
            return f"Run `edged undrain {node.name}`."
    return f"Look at what is said of {', '.join(node.name for node in nodes)}."


def _speaker(where: str, anycast: AnycastStatus) -> Iterator[Problem]:
    speaker = anycast.speaker
    if speaker.state == "fault":
        why = f": {speaker.error}" if speaker.error else ""
        remedy = "It is started again every few seconds; look at the node's log for lines with `bgp`."
        yield Problem("error", f"{where}: the process that speaks BGP ends again and again{why}", remedy)


def _peers(where: str, anycast: AnycastStatus, now: float) -> Iterator[Problem]:
    if anycast.speaker.state == "stopped":  # on purpose: the node is leaving
        return
    # With another session the prefix stays reachable: somebody should look, and nobody has to be woken.
    severity: Severity = "warning" if any(peer.state == "established" for peer in anycast.peers) else "error"
    for peer in anycast.peers:
        who = f"{peer.name} ({peer.address}, AS{peer.asn})"
        if peer.state == "established":
            if peer.bfd in ("down", "init"):
                text = f"{where}: BFD with {who} is {peer.bfd}: a dead path is noticed only after {peer.hold_s} s"
                yield Problem("warning", text, "Look at BFD at the router, and at UDP ports 3784 and 4784 on the way.")
        elif _is_settling(peer, now):
            yield Problem("warning", f"{where}: the session with {who} is not up yet", "Ask again in a few seconds.")
        else:
            why = f": {peer.error}" if peer.error else f": no reason is known, its state is {peer.state}"
            text = f"{where}: the session with {who} is down for {duration(now - peer.since)}{why}"
            yield Problem(severity, text, peer.remedy or "Look at the router's log.")


def _is_settling(peer: PeerStatus, now: float) -> bool:
    """Whether it has never been up, and had hardly time to."""
    return not peer.flaps and not peer.error and now - peer.since < ANYCAST_SETTLE_S


def _prefixes(where: str, node: NodeView, anycast: AnycastStatus, now: float) -> Iterator[Problem]:
    """Prefixes that are in the same state for the same reason are one problem."""
    alike: dict[tuple[str, str, float], list[PrefixStatus]] = {}
    for prefix in anycast.prefixes:
        alike.setdefault((prefix.state, prefix.reason, prefix.hold_until), []).append(prefix)
    for group in alike.values():
        first, names = group[0], ", ".join(prefix.prefix for prefix in group)
        text, remedy, severity = _state(first, node, anycast, names, now)
        if text:
            yield Problem(severity, f"{where} {text}", remedy)
    for prefix in anycast.prefixes:
        if prefix.announced not in ("", prefix.desired) and now - prefix.since >= ANYCAST_SETTLE_S:
            text = f"{where}: {prefix.prefix} is {_level(prefix.announced)}, and should be {_level(prefix.desired)}"
            yield Problem("error", text, "It is corrected within seconds; look at the node's log for lines with `bgp`.")


_LEVELS = {"plain": "announced as usual", "last-resort": "announced as the last resort", "withdrawn": "withdrawn"}


def _level(level: str) -> str:
    return _LEVELS.get(level, level)


def _state(
    prefix: PrefixStatus, node: NodeView, anycast: AnycastStatus, names: str, now: float
) -> tuple[str, str, Severity]:
    """What is to be said of a state: text, remedy and severity. No text if it is as it should be."""
    why = f": {prefix.reason}" if prefix.reason else ""
    since = duration(now - prefix.since)
    if prefix.state == "down":
        return f"has withdrawn {names} for {since}{why}", "It comes back by itself once that is well again.", "error"
    if prefix.state == "hold-down":
        left = duration(prefix.hold_until - now)
        text = f"is well again, and holds {names} withdrawn for another {left}, after {_times(prefix.flaps)}{why}"
        return text, "It comes back by itself; find out why it failed.", "warning"
    if prefix.state == "degraded":
        return f"announces {names} as the last resort for {since}{why}", "Look at what is said there.", "warning"
    if prefix.state == "draining":
        return f"is being drained of {names}{why}", "", "warning"
    if prefix.state == "drained":
        proven = anycast.drain is None or anycast.drain.withdrawal_proven
        doubt = "" if proven else ", and the withdrawal was not seen to be sent to every router"
        text = f"is drained of {names} for {since}{why}{doubt}"
        return text, f"Run `edged undrain {node.name}` to have it announce again.", "warning"
    if prefix.state == "warming" and now - prefix.since >= ANYCAST_WARMING_S_WARNED:
        return (
            f"does not announce {names} yet, {since} after its start{why}",
            "Look at its apps and workers.",
            "warning",
        )
    return "", "", "warning"


def _times(count: int) -> str:
    return "1 failure" if count == 1 else f"{count} failures"
