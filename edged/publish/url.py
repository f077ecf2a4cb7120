"""Where an app answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from edged.status.view import NodeView, StatusView


def app_url(view: StatusView, app: str, hosts: Sequence[str], regions: Collection[str]) -> str:
    """The address to try: the first host, or `APP.DOMAIN`, with scheme and port of a node that serves it:
    of the first region, where one is up.

    Returns:
        "" if no host is known: neither the app nor the fleet has one.
    """
    domain = view.fleet.domain
    host = next((host for host in hosts if not host.startswith("*")), f"{app}.{domain}" if domain else "")
    if not host:
        return ""
    order = {region.name: number for number, region in enumerate(view.regions)}
    nodes = [node for node in view.nodes if node.region in regions and node.url]
    nodes.sort(key=lambda node: (node.state != "up", order.get(node.region, len(order))))
    scheme, port = _scheme_and_port(nodes[0]) if nodes else ("https", None)
    return f"{scheme}://{host}{'' if port is None else f':{port}'}/"


def _scheme_and_port(node: NodeView) -> tuple[str, int | None]:
    try:
        parts = urlsplit(node.url)
        return parts.scheme or "https", parts.port
    except ValueError:
        return "https", None
