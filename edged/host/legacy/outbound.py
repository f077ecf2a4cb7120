"""`fermyon:spin/redis`, `postgres` and `mysql` without a version: each call names the server that it is for.

A connection is taken of the app's pool for each call and given back after it, so that the next call has it again. A
transaction over several calls was never promised, and ends with the call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, TypeVar

from edged.host.interface import Err, Interface, Invocation
from edged.host.mysql.connection import MysqlPool
from edged.host.mysql.interfaces import SpinMysql
from edged.host.network.grant import Grant
from edged.host.postgres.connection import PostgresPool
from edged.host.postgres.interfaces import SpinPostgres2
from edged.host.rdbms.interfaces import RowSet
from edged.host.redis.interfaces import RedisConnection, RedisResult, SpinRedis
from edged.host.redis.pool import RedisPool

T = TypeVar("T")


class Redis1(Interface):
    """`fermyon:spin/redis`. Every error is `error`."""

    wit: ClassVar[str] = "fermyon:spin/redis"
    versions: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self, grant: Grant, pool: RedisPool | None) -> None:
        self._interface = SpinRedis(grant, pool)

    async def publish(self, invocation: Invocation, address: str, channel: str, payload: bytes) -> None:
        await self._with(invocation, address, lambda connection: connection.publish(channel, payload))

    async def get(self, invocation: Invocation, address: str, key: str) -> bytes:
        """Empty for a key that is not there, as in Spin."""
        return await self._with(invocation, address, lambda connection: connection.get(key)) or b""

    async def set(self, invocation: Invocation, address: str, key: str, value: bytes) -> None:
        await self._with(invocation, address, lambda connection: connection.set(key, value))

    async def incr(self, invocation: Invocation, address: str, key: str) -> int:
        return await self._with(invocation, address, lambda connection: connection.incr(key))

    async def delete(self, invocation: Invocation, address: str, keys: list[str]) -> int:
        return await self._with(invocation, address, lambda connection: connection.delete(keys))

    async def sadd(self, invocation: Invocation, address: str, key: str, values: list[str]) -> int:
        return await self._with(invocation, address, lambda connection: connection.sadd(key, values))

    async def smembers(self, invocation: Invocation, address: str, key: str) -> Sequence[str]:
        return await self._with(invocation, address, lambda connection: connection.smembers(key))

    async def srem(self, invocation: Invocation, address: str, key: str, values: list[str]) -> int:
        return await self._with(invocation, address, lambda connection: connection.srem(key, values))

    async def execute(
        self, invocation: Invocation, address: str, command: str, arguments: list[Any]
    ) -> Sequence[RedisResult]:
        return await self._with(invocation, address, lambda connection: connection.execute(command, arguments))

    async def _with(self, invocation: Invocation, address: str, call: Callable[[RedisConnection], Awaitable[T]]) -> T:
        try:
            connection = await self._interface.connection_open(invocation, address)
            try:
                return await call(connection)
            finally:
                connection.drop()
        except Err:
            raise Err("error") from None


setattr(Redis1, "del", Redis1.delete)  # its name in WIT, which no method can be defined under


class Postgres1(Interface):
    """`fermyon:spin/postgres`. Errors: those of version 2; what it calls `other` is `other-error`."""

    wit: ClassVar[str] = "fermyon:spin/postgres"
    versions: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self, grant: Grant, pool: PostgresPool | None) -> None:
        self._interface = SpinPostgres2(grant, pool)

    async def query(self, invocation: Invocation, address: str, statement: str, params: list[Any]) -> RowSet:
        return await _run(self._interface, invocation, address, lambda each: each.query(statement, params))

    async def execute(self, invocation: Invocation, address: str, statement: str, params: list[Any]) -> int:
        """The number of rows that were affected."""
        return await _run(self._interface, invocation, address, lambda each: each.execute(statement, params))


class Mysql1(Interface):
    """`fermyon:spin/mysql`. Errors: as `Postgres1`."""

    wit: ClassVar[str] = "fermyon:spin/mysql"
    versions: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self, grant: Grant, pool: MysqlPool | None) -> None:
        self._interface = SpinMysql(grant, pool)

    async def query(self, invocation: Invocation, address: str, statement: str, params: list[Any]) -> RowSet:
        return await _run(self._interface, invocation, address, lambda each: each.query(statement, params))

    async def execute(self, invocation: Invocation, address: str, statement: str, params: list[Any]) -> None:
        await _run(self._interface, invocation, address, lambda each: each.execute(statement, params))


async def _run(
    interface: SpinPostgres2 | SpinMysql,
    invocation: Invocation,
    address: str,
    call: Callable[[Any], Awaitable[T]],
) -> T:
    try:
        connection = await interface.connection_open(invocation, address)
        try:
            return await call(connection)
        finally:
            connection.drop()
    except Err as err:
        case, message = err.value
        raise Err(("other-error" if case == "other" else case, message)) from None
