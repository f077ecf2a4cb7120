"""Checks `metadata`, `routes` and `addresses`: what announcing needs of the provider and of this machine's network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import trio

from bgp.addresses import absent
from bgp.errors import BgpError, MetadataUnavailable
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.prefix import Address, parse_prefix
from bgp.static_route import RouteProblem, check
from edged.anycast.config import BgpTable, MetadataTable
from edged.doctor.finding import Finding, then
from edged.doctor.subject import Subject

_MAY_NOT = (
    "The node sets it by itself, and needs CAP_NET_ADMIN for that: see its log, and AmbientCapabilities= of its unit."
)
_AGAIN = "The node asks again by itself: nothing else needs to be done."


async def look_at_metadata(subject: Subject) -> Iterator[Finding]:
    table = _table(subject)
    if table is None or table.metadata is None or subject.metadata is None:
        return iter(())
    return judge_metadata(
        table.metadata, subject.metadata, is_let_through=os.geteuid() == 0 or not subject.is_provisioned
    )


def judge_metadata(
    table: MetadataTable, found: ProviderSessions | BgpError, *, is_let_through: bool
) -> Iterator[Finding]:
    """
    Args:
        is_let_through: the firewall lets this user ask, so that what comes of it is what the node meets.
    """
    if isinstance(found, ProviderSessions):
        text = f"the metadata of {table.provider} describes {len(found.peers)} sessions of AS{found.asn}"
        yield Finding("metadata", "ok", text)
    elif isinstance(found, MetadataUnavailable) and not is_let_through:
        text = f"the metadata of {table.provider}, which the firewall closes to all but root and the node"
        yield Finding("metadata", "unknown", text, "Run `edged doctor` as root.")
    else:
        text = f"the metadata of {table.provider}: {found.message}"
        yield Finding("metadata", "problem", text, then(found.remedy, _AGAIN))


async def look_at_routes(subject: Subject) -> Iterator[Finding]:
    table = _table(subject)
    if table is None or table.metadata is None or not isinstance(subject.metadata, ProviderSessions):
        return iter(())
    routes = subject.metadata.routes
    if not routes:
        return iter(())
    try:
        problems = await check(routes)
    except BgpError as error:
        return iter((Finding("routes", "unknown", error.message, error.remedy),))
    return judge_routes(problems, len(routes), by_node=table.metadata.own_routes, is_running=subject.status is not None)


def judge_routes(problems: Iterable[RouteProblem], count: int, *, by_node: bool, is_running: bool) -> Iterator[Finding]:
    """
    Args:
        count: of the routes that were looked at.
        by_node: the node sets them, while it runs.
        is_running: it does.
    """
    wrong = tuple(problems)
    for problem in wrong:
        if by_node and not is_running:
            yield Finding("routes", "note", f"{problem.message}: the node sets it when it runs")
        else:
            yield Finding("routes", "problem", problem.message, _MAY_NOT if by_node else problem.remedy)
    if not wrong:
        yield Finding("routes", "ok", f"the routes to {count} routers are there")


async def look_at_addresses(subject: Subject) -> Iterator[Finding]:
    table = _table(subject)
    if table is None:
        return iter(())
    prefixes = () if subject.status is None else subject.status.fleet.prefixes
    wanted = wanted_addresses(table, prefixes)
    if not wanted:
        text = "which addresses this node serves is in the roster alone, and the node does not answer"
        return iter((Finding("addresses", "unknown", text),)) if subject.status is None else iter(())
    try:
        missing = await trio.to_thread.run_sync(absent, wanted)
    except BgpError as error:
        return iter((Finding("addresses", "unknown", error.message, error.remedy),))
    return judge_addresses(missing, len(wanted), by_node=table.own_addresses, is_running=subject.status is not None)


def wanted_addresses(table: BgpTable, prefixes: Iterable[str]) -> tuple[Address, ...]:
    """The anycast addresses of this machine.

    Args:
        prefixes: of the roster, as far as it is known.
    """
    networks = table.prefixes or tuple(map(parse_prefix, prefixes))
    found = (*table.addresses, *(address for network in networks for address in table.addresses_of(network)))
    return tuple(dict.fromkeys(found))


def judge_addresses(missing: Iterable[Address], count: int, *, by_node: bool, is_running: bool) -> Iterator[Finding]:
    """
    Args:
        missing: of the `count` that are wanted.
        by_node: the node puts them there, while it runs.
        is_running: it does.
    """
    absent_ones = tuple(missing)
    for address in absent_ones:
        by_hand = f"Run: ip address add {address}/{address.max_prefixlen} dev lo; and have it set at boot."
        text = f"the anycast address {address} is not on this machine"
        if by_node and not is_running:
            yield Finding("addresses", "note", f"{text}: the node puts it there when it runs")
        else:
            text += ": its prefix is not announced"
            yield Finding("addresses", "problem", text, _MAY_NOT if by_node else by_hand)
    if not absent_ones:
        yield Finding("addresses", "ok", f"all anycast addresses are on this machine: {count}")


def _table(subject: Subject) -> BgpTable | None:
    return None if subject.config is None else subject.config.bgp
