"""Routes to routers that are several hops away, through the provider's private gateway.

A provider's BGP routers may have addresses that the default route does not lead to, or leads to by the wrong interface.
Whoever runs the machine sets such routes and we look whether they are there; or we set them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bgp.errors import BgpError
from bgp.ip import ip, ip_json
from bgp.prefix import Address


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """To one router.

    Attributes:
        destination: the router.
        gateway: the next hop, of the same family.
        interface: by which the gateway is reached; "" for the one that has its network. A link-local gateway needs one.
    """

    destination: Address
    gateway: Address
    interface: str = ""

    def __str__(self) -> str:
        return " ".join(self.words)

    @property
    def words(self) -> tuple[str, ...]:
        """As ip(8) takes it."""
        to = f"{self.destination}/{self.destination.max_prefixlen}"
        words = (to, "via", str(self.gateway))
        return (*words, "dev", self.interface) if self.interface else words


@dataclass(frozen=True, slots=True)
class RouteProblem:
    """A route that is not there, or leads elsewhere. `remedy` is a sentence."""

    route: StaticRoute
    message: str
    remedy: str

    def __str__(self) -> str:
        return self.message


async def check(routes: Iterable[StaticRoute]) -> tuple[RouteProblem, ...]:
    """Which routes are missing in the main table, or lead to another gateway.

    Raises:
        NetworkSettingFailed
        NetworkSettingForbidden
    """
    problems = []
    for route in routes:
        message = await _problem(route)
        if message:
            problems.append(RouteProblem(route, message, f"Run `ip route replace {route}`, and have it set at boot."))
    return tuple(problems)


async def keep(routes: Iterable[StaticRoute], *, own: bool) -> tuple[RouteProblem, ...]:
    """What is wrong with routes still, each for itself: one that cannot be set, or looked at, keeps no other from it.

    Args:
        own: set those that are missing or lead elsewhere. They stay: without them, the next start has no session.
    """
    problems: list[RouteProblem] = []
    for route in routes:
        try:
            found = await check([route])
            if found and own:
                await _set(route)
                found = await check([route])
        except BgpError as error:
            found = (RouteProblem(route, f"{error.message} [{error.code}]", error.remedy),)
        problems += found
    return tuple(problems)


async def _set(route: StaticRoute) -> None:
    await ip(f"-{route.destination.version}", "route", "replace", *route.words, "proto", "static")


async def _problem(route: StaticRoute) -> str:
    """What is wrong with a route; "" for nothing."""
    family = f"-{route.destination.version}"
    to = f"{route.destination}/{route.destination.max_prefixlen}"
    shown = await ip_json(family, "route", "show", "exact", to)
    if not shown:
        return f"there is no route to {route.destination}"
    for entry in shown:
        if entry.get("gateway") == str(route.gateway) and route.interface in ("", entry.get("dev")):
            return ""
    way = f"via {shown[0].get('gateway', 'no gateway')} dev {shown[0].get('dev', '?')}"
    return f"the route to {route.destination} leads {way}, not via {route.gateway}"
