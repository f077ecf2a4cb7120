"""How announcing does, as metrics. `docs/metrics.md` lists each.

Of nodes that are up: what a dead one said last of its sessions is not so any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from edged.status.view import NodeView

_LEVELS = {"withdrawn": 0.0, "last-resort": 1.0, "plain": 2.0}
"""The higher, the more traffic it draws."""


def bgp_metrics(nodes: Sequence[NodeView], now: float) -> Iterator[Metric]:
    """All of them; without samples where nothing is announced.

    Args:
        now: unix s, for what is a time that is left.
    """
    up = [(node, node.anycast) for node in nodes if node.state == "up" and node.anycast is not None]
    of_node = ["node", "region"]
    speaker = GaugeMetricFamily("edged_bgp_speaker_up", "1 if the process that speaks BGP runs.", labels=of_node)
    restarts = CounterMetricFamily("edged_bgp_speaker_restarts", "Of it, since the node started.", labels=of_node)
    drained = GaugeMetricFamily("edged_bgp_drained", "1 if no prefix is announced on purpose.", labels=of_node)
    alarms = GaugeMetricFamily("edged_bgp_alarms", "What was refused or is missing.", labels=of_node)
    for node, anycast in up:
        of = [node.name, node.region]
        speaker.add_metric(of, float(anycast.speaker.state == "running"))
        restarts.add_metric(of, anycast.speaker.restarts)
        is_drained = bool(anycast.prefixes) and all(prefix.state == "drained" for prefix in anycast.prefixes)
        drained.add_metric(of, float(is_drained))
        alarms.add_metric(of, len(anycast.alarms))
    yield from (speaker, restarts, drained, alarms)

    of_peer = [*of_node, "peer"]
    session = GaugeMetricFamily("edged_bgp_session_up", "1 if the session is established.", labels=of_peer)
    since = GaugeMetricFamily("edged_bgp_session_since_seconds", "When it came up or went down, unix.", labels=of_peer)
    hold = GaugeMetricFamily("edged_bgp_session_hold_seconds", "Hold time that was agreed on.", labels=of_peer)
    flaps = CounterMetricFamily("edged_bgp_session_flaps", "Sessions that were lost.", labels=of_peer)
    bfd = GaugeMetricFamily("edged_bgp_bfd_up", "1 if BFD is up; absent without BFD.", labels=of_peer)
    sent = GaugeMetricFamily("edged_bgp_session_prefixes", "Prefixes that the router has of it.", labels=of_peer)
    for node, anycast in up:
        for peer in anycast.peers:
            of = [node.name, node.region, peer.name]
            session.add_metric(of, float(peer.state == "established"))
            since.add_metric(of, peer.since)
            hold.add_metric(of, peer.hold_s)
            flaps.add_metric(of, peer.flaps)
            sent.add_metric(of, len(peer.announced))
            if peer.bfd:
                bfd.add_metric(of, float(peer.bfd == "up"))
    yield from (session, since, hold, flaps, bfd, sent)

    of_prefix = [*of_node, "prefix"]
    desired = GaugeMetricFamily("edged_bgp_prefix_desired", "2 plain, 1 last resort, 0 withdrawn.", labels=of_prefix)
    announced = GaugeMetricFamily("edged_bgp_prefix_announced", "The same, of what was sent.", labels=of_prefix)
    state = GaugeMetricFamily("edged_bgp_prefix_state", "1 with the state that it is in.", labels=[*of_prefix, "state"])
    held = GaugeMetricFamily("edged_bgp_prefix_hold_down_seconds", "Left of its hold-down.", labels=of_prefix)
    lost = CounterMetricFamily("edged_bgp_prefix_flaps", "Withdrawals for bad health.", labels=of_prefix)
    for node, anycast in up:
        for prefix in anycast.prefixes:
            of = [node.name, node.region, prefix.prefix]
            state.add_metric([*of, prefix.state], 1.0)
            held.add_metric(of, max(0.0, prefix.hold_until - now))
            lost.add_metric(of, prefix.flaps)
            for gauge, level in ((desired, prefix.desired), (announced, prefix.announced)):
                if level in _LEVELS:
                    gauge.add_metric(of, _LEVELS[level])
    yield from (desired, announced, state, held, lost)
