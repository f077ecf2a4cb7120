"""Which app a host name belongs to.

| entry           | matches                                                              |
|-----------------|----------------------------------------------------------------------|
| `example.com`   | that name                                                            |
| `*.example.com` | every name below it, at any depth; the longest such entry wins       |
| `*`             | every host that no other entry matches                               |

Names are compared without port, trailing dot and case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class HostTable(Generic[T]):
    """An immutable table.

    Args:
        entries: pairs of host and target.

    Raises:
        ValueError: a host twice; the message is the host.
    """

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._targets: dict[str, T] = {}
        for written, target in entries:
            host = written.lower().removesuffix(".")
            if host in self._targets:
                raise ValueError(host)
            self._targets[host] = target
        self._only = self._targets.get("*") if len(self._targets) == 1 else None

    def find(self, authority: str) -> T | None:
        """Whom a request is for, by its `Host` or `:authority`."""
        if self._only is not None:
            return self._only
        host = host_of(authority)
        if (target := self._targets.get(host)) is not None:
            return target
        while host:
            _, _, host = host.partition(".")
            if (target := self._targets.get(f"*.{host}" if host else "*")) is not None:
                return target
        return self._targets.get("*")


def host_of(authority: str) -> str:
    """The host of an authority (RFC 3986 3.2.2), as it is compared: `[::1]:80` is `[::1]`, `A.b.:1` is `a.b`."""
    if authority.startswith("["):
        return authority.partition("]")[0].lower() + "]"
    return authority.partition(":")[0].lower().removesuffix(".")
