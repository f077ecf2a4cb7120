"""Guests that reach for what is not theirs: every way is refused, as the guest itself sees it, and nothing is sent.

The test plays the network: which addresses a name has, and that public addresses lead to a server of its own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from ipaddress import ip_address

import pytest
import trio

from edged.host.http.outbound import Outgoing
from edged.host.http_client.client import HttpClient
from edged.host.network.dialer import Dialer, connect
from edged.host.network.gate import Address
from edged.host.network.grant import Grant
from edged.host.registry import HostConfig
from edged.limits import GuestLimits
from edged.manifest.outbound import AllowedHosts, parse_host
from edged.wasm.engine import Engine
from tests.conftest import GuestPath
from tests.end_to_end.in_process import Ask, running_engine, serving
from tests.end_to_end.upstream import Upstream, upstream

PUBLIC = "93.184.215.14"
LOOPBACK = ip_address("127.0.0.1")

ADDRESSES = ("127.0.0.1", "169.254.169.254", "0.0.0.0", "10.0.0.7", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]")
NAMES = {
    "public.example": [[PUBLIC]],
    "loopback.example": [["127.0.0.1"]],
    "private.example": [["10.0.0.7"]],
    "metadata.example": [["169.254.169.254"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "rebinds.example": [[PUBLIC], ["127.0.0.1"]],
    "both.example": [["127.0.0.1", PUBLIC]],
}
"""Name -> what each look-up of it answers; the last answer stays."""

PROHIBITED = (403, "destination-ip-prohibited")


class Network:
    """What is outside.

    Attributes:
        asked: names looked up.
        dialled: addresses.
        port, served: of the server that public addresses lead to.
    """

    def __init__(self, server: Upstream) -> None:
        self.asked: list[str] = []
        self.dialled: list[Address] = []
        self.port = server.port
        self.served = server.served

    async def resolve(self, host: str, _port: int) -> Sequence[Address]:
        answers = NAMES.get(host)
        if answers is None:
            raise OSError("unknown")
        found = answers[min(self.asked.count(host), len(answers) - 1)]
        self.asked.append(host)
        return list(map(ip_address, found))

    async def connect(self, address: Address, port: int) -> trio.SocketStream:
        self.dialled.append(address)
        return await connect(LOOPBACK if address == ip_address(PUBLIC) else address, port)


@pytest.fixture
def network() -> Iterator[Network]:
    with upstream() as server:
        yield Network(server)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine() as engine:
        yield engine


@pytest.fixture(params=["python-capabilities", "js-capabilities"])
async def guest(
    request: pytest.FixtureRequest, engine: Engine, guest_path: GuestPath, network: Network
) -> AsyncIterator[Ask]:
    """May reach everything, as far as its manifest goes."""
    dialer = Dialer(resolve=network.resolve, connect=network.connect)
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        client = HttpClient(dialer)
        stack.callback(client.close)
        host = HostConfig(
            grant=Grant(AllowedHosts((parse_host("*://*:*"),)), dialer),
            outgoing=Outgoing(client, nursery),
            limits=dataclasses.replace(GuestLimits(), cpu_s_max=120.0),
        )
        yield await stack.enter_async_context(serving(engine, guest_path(request.param), host))


def sent(url: str) -> tuple[str, bytes]:
    return "/send", json.dumps(["GET", url, ""]).encode()


def followed(url: str) -> tuple[str, bytes]:
    return "/follow", json.dumps(url).encode()


async def test_what_is_public_answers(guest: Ask, network: Network) -> None:
    status, text = await guest(*sent(f"http://public.example:{network.port}/"))
    assert (status, json.loads(text)[::2]) == (200, [200, "secret"])
    assert network.served == ["/"]


@pytest.mark.parametrize("address", ADDRESSES)
async def test_an_address_that_is_not(guest: Ask, network: Network, address: str) -> None:
    assert await guest(*sent(f"http://{address}:{network.port}/")) == PROHIBITED
    assert (network.dialled, network.served) == ([], [])


@pytest.mark.parametrize("name", ["loopback.example", "private.example", "metadata.example", "mapped.example"])
async def test_a_name_that_leads_there(guest: Ask, network: Network, name: str) -> None:
    assert await guest(*sent(f"http://{name}:{network.port}/")) == PROHIBITED
    assert (network.dialled, network.served) == ([], [])


async def test_a_name_that_rebinds_between_look_up_and_connect(guest: Ask, network: Network) -> None:
    url = f"http://rebinds.example:{network.port}/"
    assert (await guest(*sent(url)))[0] == 200
    assert (network.asked, network.dialled) == (["rebinds.example"], [ip_address(PUBLIC)]), (
        "the answer that was checked"
    )
    assert await guest(*sent(url)) == PROHIBITED
    assert network.dialled == [ip_address(PUBLIC)]


async def test_of_both_kinds_of_address_the_public_one_is_dialled(guest: Ask, network: Network) -> None:
    assert (await guest(*sent(f"http://both.example:{network.port}/")))[0] == 200
    assert network.dialled == [ip_address(PUBLIC)]


async def test_a_redirect_to_what_is_public(guest: Ask, network: Network) -> None:
    there = f"http://public.example:{network.port}/there"
    assert await guest(*followed(f"http://public.example:{network.port}/to/{there}")) == (200, "secret")


@pytest.mark.parametrize("host", [*ADDRESSES, "loopback.example", "metadata.example"])
async def test_a_redirect_to_what_is_not(guest: Ask, network: Network, host: str) -> None:
    there = f"http://{host}:{network.port}/there"
    assert await guest(*followed(f"http://public.example:{network.port}/to/{there}")) == PROHIBITED
    assert network.served == [f"/to/{there}"]
