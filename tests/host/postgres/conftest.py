"""What tests of PostgreSQL share: connections to the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from edged.host.postgres.connection import PostgresPool, postgres_pool
from edged.host.postgres.interfaces import SpinPostgres4
from tests.host.fakes import invocation
from tests.host.rdbms.grants import dialer, grant, trusting
from tests.services import SqlServer

Open = Callable[..., Awaitable[Any]]


@pytest.fixture
async def pool(postgres: SqlServer, nursery) -> AsyncIterator[PostgresPool]:
    pool = postgres_pool(dialer(), context_of=trusting(postgres.authority))
    nursery.start_soon(pool.run)
    yield pool
    pool.close()


@pytest.fixture
def connect(postgres: SqlServer, pool: PostgresPool) -> Open:
    """`await connect(SpinPostgres3, user="legacy", query="sslmode=require")`"""

    async def connect(
        interface: type[Any] = SpinPostgres4, user: str = "owner", query: str = "sslmode=disable", call: Any = None
    ) -> Any:
        address = f"postgres://{user}:s3cret@localhost:{postgres.port}/shop?{query}"
        return await interface(grant("postgres://localhost:*"), pool).connection_open(call or invocation(), address)

    return connect
