"""The way to a fleet: one node that answers, and the next one when it goes away.

Whatever a publisher calls may be called twice, so what a node did not answer is asked again of the next.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from typing import Any, Protocol, Self

import trio

from edged.errors import FleetUnreachable, LinkError
from edged.nursery import plain_errors


class Items(Protocol):
    """A streamed answer."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Any: ...

    async def aclose(self) -> None:
        """No more of it is wanted."""


class Client(Protocol):
    """One connection to one node, as `edged.fleet.client` has it."""

    async def call(self, name: str, /, **args: Any) -> Any: ...

    def stream(self, name: str, /, **args: Any) -> Items: ...


Connect = Callable[[str], AbstractAsyncContextManager[Client]]
"""Connects to an address. Raises LinkError if nobody who belongs to the fleet answers there."""


class Link:
    """Calls to a fleet, by whichever node answers.

    Made by `open_link`. A node that failed is not asked again in the same link, so every call ends.

    Attributes:
        address: of the node that is asked at the moment, "" before the first call.
    """

    def __init__(self, addresses: tuple[str, ...], connect: Connect, nursery: trio.Nursery) -> None:
        self._known = set(addresses)
        self._left = list(addresses)
        self._connect = connect
        self._nursery = nursery
        self._closing = trio.Event()
        self._client: Client | None = None
        self._connecting = trio.Lock()
        self._reasons: list[str] = []
        self.address = ""

    def add(self, addresses: Iterable[str]) -> None:
        """More nodes, asked after those that are known."""
        new = [address for address in dict.fromkeys(addresses) if address not in self._known]
        self._known.update(new)
        self._left += new

    async def call(self, name: str, /, **args: Any) -> Any:
        """What the fleet answers, whoever answers.

        Raises:
            RemoteError: what the node says against it.
            FleetUnreachable: no node is left to ask.
        """
        while True:
            with suppress(LinkError):
                return await self.call_once(name, **args)

    async def call_once(self, name: str, /, **args: Any) -> Any:
        """As `call`, for what only makes sense at the node that was asked before.

        Raises:
            LinkError: it went away. The next call goes to another node.
            RemoteError, FleetUnreachable
        """
        client = await self._connected()
        try:
            return await client.call(name, **args)
        except LinkError as lost:
            self._drop(client, lost)
            raise

    async def stream(self, name: str, /, **args: Any) -> AsyncGenerator[Any, None]:
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
                self._drop(client, lost)

    async def _connected(self) -> Client:
        async with self._connecting:
            while self._client is None:
                if not self._left:
                    raise FleetUnreachable("\n".join(["no node of the fleet answers", *self._reasons]))
                # Who is cancelled on the way has not tried this one: others may.
                self.address = self._left[0]
                try:
                    self._client = await self._nursery.start(self._hold, self.address)
                except LinkError as lost:
                    self._reasons.append(self._reason(lost))
                del self._left[0]
            return self._client

    async def _hold(self, address: str, task_status: trio.TaskStatus[Client]) -> None:
        """A connection is held by a task of its own: whoever needed it first may be cancelled while others go on."""
        async with self._connect(address) as client:
            task_status.started(client)
            await self._closing.wait()

    def close(self) -> None:
        """End all connections."""
        self._closing.set()

    def _drop(self, client: Client, lost: LinkError) -> None:
        if self._client is client:  # else another call noticed first
            self._client = None
            self._reasons.append(self._reason(lost))

    def _reason(self, lost: LinkError) -> str:
        return lost.message if self.address in lost.message else f"{self.address}: {lost.message}"


@asynccontextmanager
async def open_link(addresses: tuple[str, ...], connect: Connect) -> AsyncIterator[Link]:
    """A link to a fleet. Connects when it is first used.

    Args:
        addresses: tried in this order.
    """
    with plain_errors():
        async with trio.open_nursery() as nursery:
            link = Link(addresses, connect, nursery)
            yield link
            link.close()
