"""Which of the sites that are ready are served, and who has to stand back for whom. Pure.

| of one app                                     | served                                       |
|------------------------------------------------|----------------------------------------------|
| several sites with `serve` that are ready      | the last of them                             |
| none of those is ready yet                     | what is served now, if the table still has it |
| no site with `serve`                           | none                                         |

A host belongs to one app: to the one that is served on it, else to the first in the table. A site of another app that
wants it is not served, nor is it ready: its release has failed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edged.errors import HostTaken
from edged.worker.table import Site, Table


@dataclass(frozen=True, slots=True)
class Placing:
    """What follows from a table and what is ready.

    Attributes:
        serve: sites by app.
        refused: sites by key that want a host of another app, and why they cannot have it.
    """

    serve: Mapping[str, Site]
    refused: Mapping[str, HostTaken]


def place(table: Table, ready: Collection[str], serving: Mapping[str, str]) -> Placing:
    """Decide.

    Args:
        ready: keys of sites that could be served.
        serving: app -> key of what is served now.
    """
    owners = _owners(table, serving)
    refused: dict[str, HostTaken] = {}
    for site in table.sites:
        taken = next((host for host in map(same_host, site.hosts) if owners[host] != site.app), None)
        if taken is not None:
            refused[site.key] = HostTaken(f"the host {taken} belongs to the app {owners[taken]}")
    serve: dict[str, Site] = {}
    wanted = {site.app for site in table.sites if site.serve}
    for site in table.sites:
        if site.app in wanted and site.key in ready and site.key not in refused:
            current = serve.get(site.app)
            if site.serve or (serving.get(site.app) == site.key and current is None):
                serve[site.app] = site
    return Placing(serve, refused)


def same_host(host: str) -> str:
    """A host as it is compared, see `edged.http.hosts`."""
    return host.lower().removesuffix(".")


def _owners(table: Table, serving: Mapping[str, str]) -> Mapping[str, str]:
    owners: dict[str, str] = {}

    def rank(site: Site) -> int:
        """Who is served goes before who should be, and before candidates."""
        return 0 if serving.get(site.app) == site.key else 1 if site.serve else 2

    for site in sorted(table.sites, key=rank):
        for host in site.hosts:
            owners.setdefault(same_host(host), site.app)
    return owners
