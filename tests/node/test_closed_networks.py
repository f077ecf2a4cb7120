"""What no guest may reach: the fleet's prefixes and nodes, whatever they are called by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import trio
import trio.testing

from edged.host.network.configured import configured_gate
from edged.limits import CLOSED_RESOLVE_INTERVAL_S, CLOSED_RESOLVE_S_MAX
from edged.node.closed_networks import ClosedNetworks
from edged.runtime_config.model import OutboundNetworking


@dataclass
class _Node:
    address: str


@dataclass
class _Roster:
    prefixes: tuple[str, ...]


@dataclass
class _View:
    nodes: list[_Node]
    roster: _Roster | None


class Names:
    def __init__(self, **known: Collection[str]) -> None:
        self.known: dict[str, Collection[str]] = dict(known)

    async def __call__(self, name: str) -> Collection[str]:
        if name not in self.known:
            raise OSError("no such name")
        return self.known[name]


def view(*addresses: str, prefixes: tuple[str, ...] = ()) -> Any:
    return _View([_Node(address) for address in addresses], _Roster(prefixes))


async def test_prefixes_addresses_and_names(autojump_clock: trio.testing.MockClock) -> None:
    seen = view("8.8.8.8:7400", "[2a00::1]:7400", "fra:7400", "127.0.0.1:7400", prefixes=("9.9.9.0/24",))
    names = Names(fra=("1.1.1.1", "2a00::2", "127.0.0.2", "fe80::1%eth0"))
    changes: list[int] = []
    closed = ClosedNetworks(lambda: seen, lambda: changes.append(1), names)
    known = ("2a00::1/128", "8.8.8.8/32", "9.9.9.0/24")
    assert closed() == known
    async with trio.open_nursery() as nursery:
        await nursery.start(closed.run)
        assert closed() == tuple(sorted((*known, "1.1.1.1/32", "2a00::2/128", "fe80::1/128")))
        assert changes == []

        names.known["fra"] = ("1.0.0.1",)
        await trio.sleep(CLOSED_RESOLVE_INTERVAL_S + 1)
        assert (closed(), changes) == (tuple(sorted((*known, "1.0.0.1/32"))), [1])

        del names.known["fra"]  # it keeps what it had
        seen.nodes.append(_Node("ams:7400"))
        names.known["ams"] = ("1.0.0.2",)
        closed.refresh()
        await trio.testing.wait_all_tasks_blocked()
        assert (closed(), changes) == (tuple(sorted((*known, "1.0.0.1/32", "1.0.0.2/32"))), [1, 1])

        seen.nodes.clear()
        assert closed() == ("9.9.9.0/24",)
        nursery.cancel_scope.cancel()


async def test_a_resolver_that_hangs_keeps_no_node_from_starting(autojump_clock: trio.testing.MockClock) -> None:
    async def hang(_name: str) -> Collection[str]:
        await trio.sleep_forever()
        raise AssertionError

    closed = ClosedNetworks(lambda: view("fra:7400"), lambda: None, hang)
    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        await nursery.start(closed.run)
        assert trio.current_time() - began == pytest.approx(CLOSED_RESOLVE_S_MAX)
        nursery.cancel_scope.cancel()


async def test_no_word_of_the_operator_opens_them(autojump_clock: trio.testing.MockClock) -> None:
    """Nodes, by address and by name, and prefixes; loopback is as the operator says."""
    seen = view("10.0.0.1:7400", "peer:7400", "127.0.0.1:7400", prefixes=("8.8.8.0/24",))
    closed = ClosedNetworks(lambda: seen, lambda: None, Names(peer=("10.0.0.2",)))
    async with trio.open_nursery() as nursery:
        await nursery.start(closed.run)
        nursery.cancel_scope.cancel()
    gate = configured_gate(
        OutboundNetworking(), allowed=("private", "loopback"), closed=tuple(map(ip_network, closed()))
    )
    refused = ("10.0.0.1", "10.0.0.2", "8.8.8.8", "::ffff:10.0.0.2")
    assert [gate.admits(ip_address(text)) for text in refused] == [False] * len(refused)
    allowed = ("10.0.0.3", "8.8.4.4", "127.0.0.1")
    assert [gate.admits(ip_address(text)) for text in allowed] == [True] * len(allowed)


def test_routers_are_closed_as_well() -> None:
    routers = [ip_address("192.0.2.1"), ip_address("2001:db8::1"), ip_address("127.0.0.1")]
    closed = ClosedNetworks(lambda: view("198.51.100.7:7400"), lambda: None, Names(), routers=lambda: routers)
    assert closed() == ("192.0.2.1/32", "198.51.100.7/32", "2001:db8::1/128")
