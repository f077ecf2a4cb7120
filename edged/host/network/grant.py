"""What one component may reach: the destinations of its manifest, through the gate of the operator."""

from __future__ import annotations

from dataclasses import dataclass, field

from edged.host.network.dialer import Dialer
from edged.manifest.outbound import AllowedHosts


@dataclass(frozen=True, slots=True)
class Grant:
    """Given to every interface that opens connections.

    Attributes:
        allowed: `allowed_outbound_hosts`, resolved. Asked first, by name; no entry means no.
        dialer: of the app. Asked second, for addresses.
    """

    allowed: AllowedHosts = field(default_factory=AllowedHosts)
    dialer: Dialer = field(default_factory=Dialer)
