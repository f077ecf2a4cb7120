"""The servers that keep one app's state because the operator says so: what the openers of `state` open.

Addresses here come from the runtime config, not from a guest. So no gate is in their way: the operator's own Redis is
on the operator's own network, which is where guests may not go.
"""

from __future__ import annotations

from edged.errors import RuntimeConfigError
from edged.host.key_value.redis import RedisKeyValue, store_prefix
from edged.host.network.dialer import Dialer
from edged.host.network.gate import ANYWHERE
from edged.host.redis.address import parse_address
from edged.host.redis.pool import RedisPool
from edged.host.sqlite import libsql
from edged.host.state import Openers
from edged.runtime_config.model import LibsqlDatabase, RedisStore


class RemoteState:
    """Of one app.

    Args:
        app: its name, which keeps its keys apart from those of other apps on the same server.
        dialer: makes the connections.
    """

    def __init__(self, app: str, dialer: Dialer | None = None) -> None:
        self._app = app
        self._redis = RedisPool(Dialer(ANYWHERE) if dialer is None else dialer)
        self._databases: list[libsql.LibsqlDatabase] = []
        self.openers = Openers({RedisStore: self._open_redis}, {LibsqlDatabase: self._open_libsql})

    async def run(self) -> None:
        """Close connections that nobody has used for long, until cancelled."""
        await self._redis.run()

    def close(self) -> None:
        """Call it when no request is under way."""
        self._redis.close()
        for database in self._databases:
            database.close()

    def _open_redis(self, config: RedisStore, label: str) -> RedisKeyValue:
        """Does not connect.

        Raises:
            RuntimeConfigError: the address is not one of Redis.
        """
        try:
            address = parse_address(config.url)
        except ValueError as error:
            raise RuntimeConfigError(f"the `url` of [key_value_store.{label}] {error}") from None
        return RedisKeyValue(self._redis, address, store_prefix(self._app, label))

    def _open_libsql(self, config: LibsqlDatabase, label: str) -> libsql.LibsqlDatabase:
        """Does not connect.

        Raises:
            RuntimeConfigError: the address is none, or the token cannot be one.
        """
        try:
            database = libsql.LibsqlDatabase(config.url, config.token)
        except ValueError as error:
            raise RuntimeConfigError(f"the `url` of [sqlite_database.{label}] {error}") from None
        self._databases.append(database)
        return database
