"""`fermyon:spin/redis@2.0.0` and `spin:redis/redis@3.0.0`: connections to the Redis servers that a component may use.

    guest ── RedisConnection ── Connection ── RedisPool ── server

An open connection is the guest's alone until it is dropped, as in Spin, so that MULTI or SELECT work as they do there.
Then the next request may have it, unless `commands.py` says that something of this one might be left on it. Commands
that a guest of WASI 0.3 gives at once go one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import trio

from edged.host.budget import Budget
from edged.host.interface import Err, Interface, Invocation, Resource
from edged.host.network.grant import Grant
from edged.host.redis.address import parse_address
from edged.host.redis.commands import CHANGES_NOTHING, REFUSED
from edged.host.redis.connection import Connection, RedisFailed
from edged.host.redis.pool import PoolExhausted, RedisPool
from edged.host.redis.resp import ErrorReply, Reply, Status, Unsupported

_U32 = range(1 << 32)

RedisParameter = tuple[str, int | bytes]
"""`int64(s64)` or `binary(list<u8>)`."""

RedisResult = str | tuple[str, Any]
"""`nil`, `status(string)`, `int64(s64)` or `binary(list<u8>)`."""


class RedisConnection(Resource):
    """`resource connection`. Errors: `type-error` for a reply of another type than the function's, else `other`."""

    __slots__ = ("_budget", "_connection", "_pool", "_turn")

    def __init__(self, connection: Connection, pool: RedisPool, budget: Budget) -> None:
        self._connection = connection
        self._pool = pool
        self._budget = budget
        self._turn = trio.Lock()

    def drop(self) -> None:
        if self._turn.locked():  # by a command that was cancelled and has not ended yet
            self._connection.close()
        self._pool.release(self._connection)
        self._budget.redis_connections += 1

    async def publish(self, channel: str, payload: bytes) -> None:
        await self._ask("PUBLISH", channel, payload)

    async def get(self, key: str) -> bytes | None:
        reply = await self._ask("GET", key)
        return None if reply is None else _bytes(reply)

    async def set(self, key: str, value: bytes) -> None:
        await self._ask("SET", key, value)

    async def incr(self, key: str) -> int:
        reply = await self._ask("INCR", key)
        if not isinstance(reply, int):
            raise Err("type-error")
        return reply

    async def delete(self, keys: list[str]) -> int:
        return _count(await self._ask("DEL", *keys))

    async def sadd(self, key: str, values: list[str]) -> int:
        return _count(await self._ask("SADD", key, *values))

    async def smembers(self, key: str) -> list[str]:
        """In no order."""
        reply = await self._ask("SMEMBERS", key)
        if not isinstance(reply, list):
            raise Err("type-error")
        try:
            return [_bytes(member).decode() for member in reply]
        except UnicodeDecodeError:
            raise Err("type-error") from None

    async def srem(self, key: str, values: list[str]) -> int:
        return _count(await self._ask("SREM", key, *values))

    async def execute(self, command: str, arguments: list[RedisParameter]) -> Sequence[RedisResult]:
        """The values of the reply, in order; those of arrays inside of it are put into the same list."""
        name = command.upper()
        if name in REFUSED:
            raise Err(("other", f"{name[:20]} is not possible here: there is no way to be given what it sends"))
        if name not in CHANGES_NOTHING:
            self._connection.is_changed = True
        return list(_flat(await self._ask(command, *(value for _, value in arguments))))

    async def _ask(self, *arguments: bytes | str | int) -> Reply:
        try:
            async with self._turn:
                reply = await self._connection.command(*arguments)
        except RedisFailed as failed:
            raise Err(("other", str(failed))) from None
        if isinstance(reply, ErrorReply):
            raise Err(("other", reply.text))
        return reply


setattr(RedisConnection, "del", RedisConnection.delete)  # its name in WIT, which no method can be defined under


class SpinRedis(Interface):
    """`fermyon:spin/redis@2.0.0` of one component.

    Args:
        grant: what it may reach.
        pool: of its app; dials by the grant's dialer.
    """

    wit: ClassVar[str] = "fermyon:spin/redis"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": RedisConnection}

    def __init__(self, grant: Grant, pool: RedisPool | None) -> None:
        self._grant = grant
        self._pool = pool

    async def connection_open(self, invocation: Invocation, text: str) -> RedisConnection:
        """Errors: `invalid-address`, also for one that is not allowed; `too-many-connections`; `other`."""
        try:
            address = parse_address(text)
        except ValueError:
            raise Err("invalid-address") from None
        pool, budget = self._pool, invocation.budget
        if pool is None or not self._grant.allows(address.scheme, address.host, address.port):
            raise Err("invalid-address")
        if budget.redis_connections < 1:
            raise Err("too-many-connections")
        budget.redis_connections -= 1
        try:
            connection = await pool.acquire(address)
        except BaseException as error:
            budget.redis_connections += 1
            if isinstance(error, PoolExhausted):
                raise Err("too-many-connections") from None
            if isinstance(error, RedisFailed):
                raise Err(("other", str(error))) from None
            raise
        return RedisConnection(connection, pool, budget)


class SpinRedis3(SpinRedis):
    """`spin:redis/redis@3.0.0`: the same, by asynchronous functions."""

    wit: ClassVar[str] = "spin:redis/redis"
    versions: ClassVar[tuple[str, ...]] = ("3.0.0",)


def _bytes(reply: Reply) -> bytes:
    match reply:
        case bytes():
            return reply
        case Status():
            return reply.encode()
        case _:
            raise Err("type-error")


def _count(reply: Reply) -> int:
    if not isinstance(reply, int) or reply not in _U32:
        raise Err("type-error")
    return reply


def _flat(reply: Reply) -> Iterator[RedisResult]:
    match reply:
        case None:
            yield "nil"
        case int():
            yield ("int64", reply)
        case bytes():
            yield ("binary", reply)
        case Status():
            yield ("status", str(reply))
        case list():
            for value in reply:
                yield from _flat(value)
        case ErrorReply(text):
            raise Err(("other", text))
        case Unsupported(kind):
            raise Err(("other", f"the reply holds a {kind}, which has no place in the result"))
