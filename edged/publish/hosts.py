"""Hosts that a deployment wants and another app of the fleet has: told before anything is published.

The nodes decide, see `edged.worker.placing`; what they would refuse is known beforehand from the status of the fleet.
An app that is refused on a node for its hosts does not have them there, so it keeps nobody else from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from edged.errors import HostTaken
from edged.fleet.deployment import Deployment
from edged.status.view import AppView, StatusView

_Place = tuple[str, str]  # region and host, as it is compared


def hosts_of(app: str, hosts: Sequence[str], domain: str) -> tuple[str, ...]:
    """What an app answers for: its hosts, or `APP.DOMAIN` if it names none and the fleet has a domain."""
    return tuple(hosts) or ((f"{app}.{domain}".lower(),) if domain else ())


def check_hosts(view: StatusView, deployment: Deployment) -> None:
    """Look whether a deployment can have its hosts.

    Raises:
        HostTaken: another app has one of them in the same region.
    """
    domain, app = view.fleet.domain, deployment.app
    wanted = set(_places(deployment.regions, hosts_of(app, deployment.hosts, domain)))
    if (own := view.app(app)) is not None:
        wanted -= set(_places(_served_in(own), hosts_of(app, own.hosts, domain)))
    for other in view.apps:
        if other.name == app:
            continue
        taken = wanted & set(_places(_held_in(other), hosts_of(other.name, other.hosts, domain)))
        if taken:
            region, host = min(taken)
            raise HostTaken(
                f"the host {host} belongs to the app {other.name} in {region}: nothing was changed",
                remedy=f"Give {app} another with `edged push --host`, or push {other.name} without it first.",
            )


def _places(regions: Iterable[str], hosts: Sequence[str]) -> Iterator[_Place]:
    # As `edged.http.hosts` compares them.
    return ((region, host.lower().removesuffix(".")) for region in regions for host in hosts)


def _served_in(app: AppView) -> set[str]:
    """Where the newest deployment of an app is served, so that nobody else can have its hosts."""
    return {node.region for node in app.nodes if node.running == app.sequence}


def _held_in(app: AppView) -> set[str]:
    """Where an app has its hosts, or is about to."""
    return set(app.regions) - {node.region for node in app.nodes if node.error_code == HostTaken.code}
