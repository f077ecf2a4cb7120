"""What tests of MySQL share: connections to the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from edged.host.mysql.connection import MysqlPool, mysql_pool
from edged.host.mysql.interfaces import Connection, SpinMysql
from tests.host.fakes import invocation
from tests.host.rdbms.grants import dialer, grant, trusting
from tests.services import SqlServer

Open = Callable[..., Awaitable[Connection]]


@pytest.fixture
async def pool(mariadb: SqlServer, nursery) -> AsyncIterator[MysqlPool]:
    pool = mysql_pool(dialer(), context_of=trusting(mariadb.authority))
    nursery.start_soon(pool.run)
    yield pool
    pool.close()


@pytest.fixture
def connect(mariadb: SqlServer, pool: MysqlPool) -> Open:
    """`await connect("shop?ssl-mode=required")`"""

    async def connect(path: str = "shop", call: Any = None) -> Connection:
        address = f"mysql://owner:s3cret@localhost:{mariadb.port}/{path}"
        return await SpinMysql(grant("mysql://localhost:*"), pool).connection_open(call or invocation(), address)

    return connect
