"""Anycast addresses and routes of the machine that this runs on, which is a namespace that a test made.

python -m tests.bgp.in_namespace WHAT ARGUMENT...       prints JSON: what there is, or the error
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import trio

from bgp import static_route
from bgp.addresses import OwnedAddresses, is_present
from bgp.errors import BgpError
from bgp.static_route import StaticRoute


async def present(*addresses: str) -> list[bool]:
    return [is_present(ip_address(address)) for address in addresses]


async def present_without_descriptors(*addresses: str) -> list[bool]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return await present(*addresses)


async def own(*addresses: str) -> list[str]:
    """Twice, since what is there is left alone."""
    owned = OwnedAddresses()
    wanted = [ip_address(address) for address in addresses]
    first = await owned.own(wanted)
    assert await owned.own(wanted) == ()
    return [str(address) for address in first]


async def own_and_release(*addresses: str) -> list[str]:
    owned = OwnedAddresses()
    await owned.own([ip_address(address) for address in addresses])
    released = await owned.release()
    assert await owned.release() == ()
    return [str(address) for address in released]


async def own_and_release_once(*addresses: str) -> list[str]:
    owned = OwnedAddresses()
    await owned.own([ip_address(address) for address in addresses])
    return [str(address) for address in await owned.release()]


async def check(*routes: str) -> list[list[str]]:
    return [[problem.message, problem.remedy] for problem in await static_route.check(_routes(routes))]


async def own_routes(*routes: str) -> list[list[str]]:
    """Those that were wrong, and what is wrong with them still."""
    wanted = _routes(routes)
    wrong = await static_route.check(wanted)
    left = await static_route.keep(wanted, own=True)
    assert await static_route.keep(wanted, own=True) == left
    return [[str(problem.route) for problem in wrong], [problem.message for problem in left]]


async def keep_routes(*routes: str) -> list[str]:
    """What is wrong with routes that are not ours."""
    return [problem.message for problem in await static_route.keep(_routes(routes), own=False)]


def _routes(texts: tuple[str, ...]) -> list[StaticRoute]:
    """Each as DESTINATION,GATEWAY[,INTERFACE]."""
    return [
        StaticRoute(ip_address(to), ip_address(via), *rest) for to, via, *rest in (text.split(",") for text in texts)
    ]


_WHAT: dict[str, Callable[..., Awaitable[object]]] = {
    each.__name__: each
    for each in (
        present,
        present_without_descriptors,
        own,
        own_and_release,
        own_and_release_once,
        check,
        own_routes,
        keep_routes,
    )
}


async def main() -> None:
    what, *arguments = sys.argv[1:]
    try:
        answer = await _WHAT[what](*arguments)
    except BgpError as error:
        answer = error.as_json()
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    trio.run(main)
