"""Where no guest has any business: the prefixes that the fleet announces, the addresses of its nodes, and the routers.

    View ── prefixes, addresses ──────────┐
      └─── host names ── resolve, again ──┴──> networks, for every site

A name that cannot be looked up keeps the addresses that it had. Loopback is never among them: a fleet on one machine
has it, and whether guests reach it is the operator's word.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import structlog
import trio

from edged.fleet.view import View
from edged.limits import CLOSED_RESOLVE_INTERVAL_S, CLOSED_RESOLVE_S_MAX

log = structlog.get_logger()

Address = IPv4Address | IPv6Address
Resolve = Callable[[str], Awaitable[Collection[str]]]
"""A host name to addresses. Raises OSError."""


async def resolve(name: str) -> Collection[str]:
    """By the system's resolver, in a thread."""
    found = await trio.socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return {str(each[4][0]) for each in found}


class ClosedNetworks:
    """See the module.

    Args:
        view: of the fleet, as it is now.
        changed: called where names have come to other addresses.
        routers: that this node speaks BGP to.
    """

    def __init__(
        self,
        view: Callable[[], View],
        changed: Callable[[], None],
        resolver: Resolve = resolve,
        *,
        routers: Callable[[], Collection[Address]] = lambda: (),
    ) -> None:
        self._view = view
        self._routers = routers
        self._changed = changed
        self._resolve = resolver
        self._resolved: dict[str, frozenset[str]] = {}
        self._news = trio.Event()

    def __call__(self) -> tuple[str, ...]:
        """The networks of this moment, in order."""
        view = self._view()
        found = set(view.roster.prefixes if view.roster else ())
        hosts = _hosts(view)
        found.update(_networks([*hosts, *map(str, self._routers())]))
        for name in hosts:
            found.update(_networks(self._resolved.get(name, ())))
        return tuple(sorted(found))

    def refresh(self) -> None:
        """The fleet has changed: names that are new are looked up now."""
        self._news.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look names up until cancelled. Started after the first time, or once that takes too long."""
        is_started = False
        while True:
            self._news = trio.Event()
            before = self()
            await self._look_up()
            if not is_started:
                task_status.started()
                is_started = True
            elif self() != before:
                self._changed()
            with trio.move_on_after(CLOSED_RESOLVE_INTERVAL_S):
                await self._news.wait()

    async def _look_up(self) -> None:
        names = [host for host in _hosts(self._view()) if not _is_address(host)]
        self._resolved = {name: known for name, known in self._resolved.items() if name in names}
        with trio.move_on_after(CLOSED_RESOLVE_S_MAX):
            for name in names:
                try:
                    self._resolved[name] = frozenset(await self._resolve(name))
                except (OSError, UnicodeError) as error:
                    log.warning("node.name-unknown", name=name, reason=str(error))


def _hosts(view: View) -> list[str]:
    return [node.address.rpartition(":")[0].strip("[]") for node in view.nodes]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _networks(texts: Iterable[str]) -> set[str]:
    addresses = [ip_address(text.partition("%")[0]) for text in texts if _is_address(text.partition("%")[0])]
    return {str(ip_network(each)) for each in addresses if not each.is_loopback}
