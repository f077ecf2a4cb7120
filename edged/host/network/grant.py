"""What one component may reach: the destinations of its manifest, through the gate of the operator."""

from __future__ import annotations

from dataclasses import dataclass, field

from edged.host.network.dialer import Dialer
from edged.host.network.refusals import Refusals
from edged.manifest.outbound import AllowedHosts


@dataclass(frozen=True, slots=True)
class Grant:
    """Given to every interface that opens connections.

    Attributes:
        allowed: `allowed_outbound_hosts`, resolved.
        dialer: of the app. Asked second, for addresses.
        component: its id, for the log.
        refusals: told what the manifest does not allow; None tells nobody.
    """

    allowed: AllowedHosts = field(default_factory=AllowedHosts)
    dialer: Dialer = field(default_factory=Dialer)
    component: str = ""
    refusals: Refusals | None = None

    def allows(self, scheme: str, host: str, port: int) -> bool:
        """Whether the manifest allows it. Asked first, by name."""
        return self.allowed.allows(scheme, host, port) or self._refuse(f"{scheme}://{host}:{port}")

    def allows_self(self) -> bool:
        """Whether the manifest allows requests to the app's own routes."""
        return any(map(self.allowed.allows_self, ("http", "https"))) or self._refuse("http://self")

    def _refuse(self, destination: str) -> bool:
        if self.refusals is not None:
            self.refusals.by_manifest(self.component, destination)
        return False
