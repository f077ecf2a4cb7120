"""The way to a fleet: one node that answers, and the next one when it goes away.

Every call that a publisher makes may be made twice, so a call that a node did not answer is made again at the next.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Protocol

from edged.errors import FleetUnreachable, LinkError


class Client(Protocol):
    """One connection to one node, as `edged.fleet.client` has it."""

    async def call(self, name: str, **args: Any) -> Any: ...

    def stream(self, name: str, **args: Any) -> AsyncGenerator[Any, None]: ...


Connect = Callable[[str], AbstractAsyncContextManager[Client]]
"""Connects to an address. Raises LinkError if nobody who belongs to the fleet answers there."""


class Link:
    """Calls to a fleet, by whichever node answers.

    Made by `open_link`. A node that failed is not asked again in the same link, so every call ends.
    """

    def __init__(self, addresses: tuple[str, ...], connect: Connect, on_node: Callable[[str], None]) -> None:
        self._left = list(addresses)
        self._connect = connect
        self._on_node = on_node
        self._client: Client | None = None
        self._stack = AsyncExitStack()
        self._reasons: list[str] = []
        self.address = ""

    async def call(self, name: str, **args: Any) -> Any:
        """What the fleet answers.

        Raises:
            RemoteError: what the node says against it.
            FleetUnreachable: no node is left to ask.
        """
        while True:
            client = await self._connected()
            try:
                return await client.call(name, **args)
            except LinkError as lost:
                await self._drop(client, lost)

    async def stream(self, name: str, **args: Any) -> AsyncGenerator[Any, None]:
        """What the fleet has to say, until the node ends it. When a node goes away, the next one begins anew.

        Raises:
            RemoteError, FleetUnreachable: as `call`.
        """
        while True:
            client = await self._connected()
            try:
                async with aclosing(client.stream(name, **args)) as items:
                    async for item in items:
                        yield item
                return
            except LinkError as lost:
                await self._drop(client, lost)

    async def _connected(self) -> Client:
        while self._client is None:
            if not self._left:
                raise FleetUnreachable("\n".join(["no node of the fleet answers", *self._reasons]))
            address = self._left[0]
            try:
                client = await self._stack.enter_async_context(self._connect(address))
            except LinkError as lost:
                self._reasons.append(f"{address}: {lost.message}")
                self._left.pop(0)
            else:
                # Two callers may have connected at the same time: the second connection is closed with the link.
                if self._client is None:
                    self._client, self.address = client, address
                    self._on_node(address)
        return self._client

    async def _drop(self, client: Client, lost: LinkError) -> None:
        if self._client is not client:
            return  # another caller noticed first
        self._client = None
        self._reasons.append(f"{self.address}: {lost.message}")
        self._left = [address for address in self._left if address != self.address]


@asynccontextmanager
async def open_link(
    addresses: tuple[str, ...], connect: Connect, on_node: Callable[[str], None] = lambda _address: None
) -> AsyncIterator[Link]:
    """A link to a fleet. Connects when it is first used.

    Args:
        addresses: tried in this order.
        on_node: told the address of every node that is asked from then on.
    """
    link = Link(addresses, connect, on_node)
    async with link._stack:
        yield link
