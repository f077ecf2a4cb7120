"""Telling whoever runs an app which destinations its guests were refused, and what to do about it.

A guest sees an error-code and no more; the log has one line for each destination.
"""

from __future__ import annotations

import structlog

from edged.limits import REFUSALS_LOGGED_MAX

log = structlog.get_logger()


class Refusals:
    """Of one app.

    Args:
        app: its name, for the log.
    """

    def __init__(self, app: str) -> None:
        self._app = app
        self._told: set[str] = set()

    def by_manifest(self, component: str, destination: str) -> None:
        """`allowed_outbound_hosts` does not have it."""
        if self._is_new(f"{component} {destination}"):
            remedy = f'Add "{destination}" to allowed_outbound_hosts of the component, if it is meant to get there.'
            log.warning(
                "outbound.not-allowed", app=self._app, component=component, destination=destination, remedy=remedy
            )

    def by_address(self, host: str) -> None:
        """The name is allowed, and leads to no address that guests may reach."""
        if self._is_new(host):
            remedy = (
                "If it is meant to get there, open the network: edged up --allow-network loopback (or private, or a "
                "range), or allow_networks in the runtime config."
            )
            log.warning("outbound.address-prohibited", app=self._app, host=host, remedy=remedy)

    def _is_new(self, what: str) -> bool:
        if what in self._told or len(self._told) >= REFUSALS_LOGGED_MAX:
            return False
        self._told.add(what)
        return True
