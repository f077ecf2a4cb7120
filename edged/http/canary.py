"""Names of the canary: how whoever asks it, and the worker that answers, call each worker.

A worker answers for a host of its own with a tiny guest. Names below `invalid` are nobody's (RFC 6761 6.4), so no app
can be deployed to one by mistake. A worker that is asked for another's answers 421, and either way says which it is.
"""

from __future__ import annotations

from ipaddress import ip_address

from bgp.addresses import is_present
from bgp.errors import NetworkSettingFailed
from edged.http.hosts import host_of

CANARY_BODY = b"ok"
"""What its guest answers."""
_SUFFIX = ".canary.edged.invalid"
WORKER_HEADER = "edged-worker"
"""Of an answer: the number of the worker that gave it."""


def canary_host(worker: int) -> str:
    """The host that asks for one worker's canary."""
    return f"worker-{worker}{_SUFFIX}"


def is_canary(authority: str) -> bool:
    """Whether a request asks for the canary of some worker."""
    return host_of(authority).endswith(_SUFFIX)


def is_here(host: str) -> bool:
    """Whether this machine has the address: whether a client of it is one of our own. Not where it cannot be told."""
    try:
        return is_present(ip_address(host))
    except NetworkSettingFailed:
        return False
