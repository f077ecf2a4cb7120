"""Which apps a node may take away: what publishers meant, counted anew from what they signed.

`edged.fleet.removal` decides it cleverly, for thousands of records; here it is counted one by one.
"""

from __future__ import annotations

from collections.abc import Iterable

from edged.fleet.deployment import Deployment
from edged.fleet.record import Version
from edged.fleet.view import Record
from edged.limits import REMOVAL_WINDOW_S


class Removals:
    """Those that a node had reason to follow, at some moment of any of its lives."""

    def __init__(self) -> None:
        self._meant: set[tuple[str, Version]] = set()

    def look(self, records: Iterable[Record]) -> None:
        """At all that the node holds: each time that there is another one."""
        removals = [
            (record.signer, record.value)
            for record in records
            if isinstance(record.value, Deployment) and not record.value.regions
        ]
        for signer, removal in removals:
            together = [
                other
                for by, other in removals
                if by == signer and removal.issued - REMOVAL_WINDOW_S <= other.issued <= removal.issued
            ]
            if len(together) <= removal.removal_count:
                self._meant.add((removal.app, removal.version))

    def has_meant(self, app: str, after: Version) -> bool:
        """Whether any removal of an app since this version of it ever was as its publisher had said. Another deployment
        may have come by the time that a slow disk lets it go."""
        return any(name == app and version > after for name, version in self._meant)
