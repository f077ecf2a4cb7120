"""A status as metrics, in Prometheus' text format. `docs/metrics.md` lists each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edged.admin.bgp_metrics import bgp_metrics
from edged.admin.loop_metrics import Loop, loop_metrics
from edged.status.view import AppView, StatusView

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Field of a NodeView -> metric, what it says.
_NODE_GAUGES = {
    "workers_ready": ("edged_workers_ready", "Worker processes that serve."),
    "workers_total": ("edged_workers_total", "Worker processes that there should be."),
    "requests_s": ("edged_requests_per_second", "Requests a second, lately."),
    "p50_ms": ("edged_request_p50_milliseconds", "Half of all answers took less, lately."),
    "p99_ms": ("edged_request_p99_milliseconds", "All but a hundredth of all answers took less, lately."),
    "certificate_days": ("edged_node_certificate_days", "Until the node's certificate expires."),
    "disk_free_bytes": ("edged_disk_free_bytes", "Of the file system with the registry."),
    "disk_used_bytes": ("edged_registry_bytes", "That the registry takes."),
    "heard_s": ("edged_node_heard_seconds", "Since the node was last heard of."),
    "roster_version": ("edged_roster_version", "Of the roster that the node has."),
}

_STAGES_OK = frozenset({"live"})


def metrics_text(status: StatusView, loop: Loop, tls_days: Mapping[str, float]) -> bytes:
    """The whole answer of /metrics.

    Args:
        loop: of the node that answers.
        tls_days: that the certificates which its clients are shown are good for, by host.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Status(status, loop, tls_days))
    return generate_latest(registry)


class _Status(Collector):
    def __init__(self, status: StatusView, loop: Loop, tls_days: Mapping[str, float]) -> None:
        self._status = status
        self._loop = loop
        self._tls_days = tls_days

    def collect(self) -> Iterator[Metric]:
        nodes, apps = self._status.nodes, self._status.apps
        up = GaugeMetricFamily("edged_node_up", "1 if the node was heard of lately.", labels=["node", "region"])
        for node in nodes:
            up.add_metric([node.name, node.region], float(node.state == "up"))
        yield up
        for field, (name, said) in _NODE_GAUGES.items():
            gauge = GaugeMetricFamily(name, said, labels=["node", "region"])
            for node in nodes:
                value = getattr(node, field)
                if value is not None:
                    gauge.add_metric([node.name, node.region], value)
            yield gauge
        keys = GaugeMetricFamily("edged_key_certificate_days", "Until the key's certificate expires.", labels=["key"])
        for key in self._status.fleet.keys:
            if key.certificate_days is not None:
                keys.add_metric([key.name], key.certificate_days)
        tls = GaugeMetricFamily("edged_tls_certificate_days", "Until clients refuse it.", labels=["host"])
        for host, days in self._tls_days.items():
            tls.add_metric([host], days)
        yield from (keys, tls)
        yield from _apps(apps)
        yield from bgp_metrics(nodes, self._status.time)
        yield from loop_metrics(self._loop)
        yield GaugeMetricFamily("edged_alarms", "Alarms of this node.", value=len(self._status.alarms))


def _apps(apps: Sequence[AppView]) -> Iterator[Metric]:
    labels = ["app", "node", "region"]
    desired = GaugeMetricFamily("edged_app_desired_sequence", "Of the deployment that the node knows.", labels=labels)
    running = GaugeMetricFamily("edged_app_running_sequence", "Of the deployment that the node serves.", labels=labels)
    live = GaugeMetricFamily("edged_app_live", "1 if the node serves what it should.", labels=labels)
    requests = CounterMetricFamily("edged_app_requests", "Since the node serves this release.", labels=labels)
    failures = CounterMetricFamily("edged_app_failures", "Of these, those that the guest failed.", labels=labels)
    for app in apps:
        for node in app.nodes:
            of = [app.name, node.node, node.region]
            desired.add_metric(of, node.desired)
            running.add_metric(of, node.running)
            live.add_metric(of, float(node.stage in _STAGES_OK))
            requests.add_metric(of, node.requests)
            failures.add_metric(of, node.failures)
    yield from (desired, running, live, requests, failures)
