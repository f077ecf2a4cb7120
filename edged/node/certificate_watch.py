"""Looks every now and then how long certificates are good for, before links and clients find out that they are not.

                                    30 days left      7 days       1 day        none
    this node's, and those for TLS  a line of log     an alarm     once more    once more
    of other nodes, of keys         a line of log     a line       a line       a line

Every node looks at all of them. Only whose certificate it is raises an alarm, or one would be said by every node;
`edged status` has the others from the roster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import structlog
import trio
from cryptography import x509

from edged.errors import CertificateExpiring, EdgedError
from edged.fleet.certificate import Identity, days_left
from edged.fleet.files import read_file
from edged.fleet.state import FleetState
from edged.limits import CERTIFICATE_DAYS_ALARMED, CERTIFICATE_DAYS_TOLD, CERTIFICATE_LOOK_S, TLS_FILE_BYTES_MAX
from edged.node.config import CertificateTable

log = structlog.get_logger()

_DAY_S = 86_400
_ROSTER_REMEDY = "Make a new one and sign the roster."
_TLS_REMEDY = "Renew it, and send the node SIGHUP."


class _Seen(NamedTuple):
    """A certificate.

    Attributes:
        subject: of its alarm: "certificate of node ams1".
        days: that it is good for.
        is_own: this node raises an alarm.
    """

    subject: str
    days: float
    is_own: bool
    remedy: str


class CertificateWatch:
    """Of one node.

    Args:
        identity, state: of the node.
        files: of the certificates that clients are shown, as node.toml has them now.
        clock: unix time, s.

    Attributes:
        tls_days: that those of `files` were good for when they were last looked at, by their first host. One that
            cannot be read is not among them: that is an alarm of its own.
    """

    def __init__(
        self,
        identity: Identity,
        state: FleetState,
        files: Callable[[], Sequence[CertificateTable]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identity = identity
        self._state = state
        self._files = files
        self._clock = clock
        self._levels: dict[str, float] = {}
        self.tls_days: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await trio.to_thread.run_sync(self.look)
            await trio.sleep(CERTIFICATE_LOOK_S)

    def look(self) -> None:
        """Once, in a thread: it reads files."""
        now = self._clock()
        self.tls_days = dict(self._tls(now))
        seen = [*self._of_roster(now), *(_of_tls(host, days) for host, days in self.tls_days.items())]
        for one in seen:
            self._tell(one, now)
        for subject in self._levels.keys() - {one.subject for one in seen}:  # left the roster, or node.toml
            self._good(subject)

    def _of_roster(self, now: float) -> Iterator[_Seen]:
        own = self._identity
        yield _Seen(f"certificate of node {own.name}", days_left(own.certificate, now), True, _ROSTER_REMEDY)
        for node in self._state.nodes():
            if node.name != own.name:
                yield _Seen(f"certificate of node {node.name}", days_left(node.certificate, now), False, "")
        roster = self._state.roster
        for key in () if roster is None else roster.keys:
            yield _Seen(f"certificate of key {key.name}", days_left(key.certificate, now), False, "")

    def _tls(self, now: float) -> Iterator[tuple[str, float]]:
        for each in self._files():
            try:
                # The first of a chain is the one for the hosts; who issued it lasts longer.
                leaf = x509.load_pem_x509_certificates(read_file(each.certificate, TLS_FILE_BYTES_MAX))[0]
            except (EdgedError, ValueError):
                continue
            yield each.hosts[0], (leaf.not_valid_after_utc.timestamp() - now) / _DAY_S

    def _tell(self, seen: _Seen, now: float) -> None:
        level = min((days for days in CERTIFICATE_DAYS_TOLD if seen.days <= days), default=None)
        if level is None:
            self._good(seen.subject)
            return
        if self._levels.get(seen.subject) == level:
            return
        self._good(seen.subject)
        self._levels[seen.subject] = level
        log.warning("certificate.expiring", subject=seen.subject, days=round(seen.days, 1))
        if seen.is_own and level <= CERTIFICATE_DAYS_ALARMED:
            said = f"it expires in less than {level:g} day{'' if level == 1 else 's'}" if level else "it has expired"
            self._state.raise_alarm(CertificateExpiring(said, remedy=seen.remedy), seen.subject, now)

    def _good(self, subject: str) -> None:
        """What was said of it is so no more."""
        if self._levels.pop(subject, None) is not None:
            self._state.clear_alarm(subject, CertificateExpiring.code)


def _of_tls(host: str, days: float) -> _Seen:
    return _Seen(f"certificate for {host}", days, True, _TLS_REMEDY)
