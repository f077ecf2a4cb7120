"""Servers that a MariaDB is not: MySQL 8's logins, and those that cheat."""

from __future__ import annotations

import struct
from functools import partial

import pytest
import trio

from edged.host.mysql.address import MysqlAddress
from edged.host.mysql.connection import mysql_pool
from edged.host.mysql.login import CACHING, NATIVE, prove
from edged.host.mysql.packets import CAPABILITIES, SSL
from edged.host.mysql.wire import Wire
from edged.host.rdbms.failure import ConnectionFailed, ConnectionLost
from tests.host.rdbms.grants import dialer

NONCE = bytes(range(1, 21))
OK = b"\0\0\0\x02\0\0\0"
EOF = b"\xfe\0\0\x02\0"


def handshake(plugin: str = NATIVE, capabilities: int = CAPABILITIES) -> bytes:
    low, high = struct.pack("<H", capabilities & 0xFFFF), struct.pack("<H", capabilities >> 16)
    head = b"\x0a8.0\0" + bytes(4) + NONCE[:8] + b"\0" + low + b"\x2d\x02\0" + high + b"\x15" + bytes(10)
    return head + NONCE[8:] + b"\0" + plugin.encode() + b"\0"


class Server:
    """Says each packet of a script after one of the client's; keeps what it got."""

    def __init__(self, *script: bytes | tuple[bytes, ...]) -> None:
        self.script = script
        self.got: list[bytes] = []

    async def __call__(self, stream: trio.SocketStream) -> None:
        wire = Wire(stream)
        for index, packets in enumerate(self.script):
            if index:
                self.got.append(await wire.receive())
            for packet in (packets,) if isinstance(packets, bytes) else packets:
                await wire.send(packet)
        await stream.aclose()


async def connect(nursery: trio.Nursery, server: Server, has_tls: bool = False):
    (listener,) = await nursery.start(partial(trio.serve_tcp, server, 0, host="127.0.0.1"))
    port = listener.socket.getsockname()[1]
    return await mysql_pool(dialer()).acquire(MysqlAddress("localhost", port, "app", "secret", "", has_tls))


async def test_caching_sha2_with_a_cached_password(nursery) -> None:
    server = Server(handshake(CACHING), (b"\x01\x03", OK))
    (await connect(nursery, server)).close()
    assert prove(CACHING, "secret", NONCE) in server.got[0]
    assert b"secret" not in server.got[0]


async def test_a_switch_to_another_plugin(nursery) -> None:
    other = NONCE[::-1]
    server = Server(handshake("dialog"), b"\xfe" + CACHING.encode() + b"\0" + other + b"\0", (b"\x01\x03", OK))
    (await connect(nursery, server)).close()
    assert server.got[1] == prove(CACHING, "secret", other)


async def test_caching_sha2_without_tls_never_sends_the_password_in_clear(nursery) -> None:
    server = Server(handshake(CACHING), b"\x01\x04", b"\x01not a key")
    with pytest.raises(ConnectionFailed, match="no RSA key"):
        await connect(nursery, server)
    assert server.got[1] == b"\x02"
    assert not [packet for packet in server.got if b"secret" in packet]


async def test_tls_that_the_server_has_not(nursery) -> None:
    with pytest.raises(ConnectionFailed, match="no TLS"):
        await connect(nursery, Server(handshake(capabilities=CAPABILITIES & ~SSL)), has_tls=True)


@pytest.mark.parametrize(
    "script",
    [
        (b"SSH-2.0-x",),
        (b"\x0a",),
        (b"",),
        (handshake(), b"\x55"),
        (handshake(), b"\x01\x04"),
        (handshake(), b"\xfemysql_clear_password\0"),
        (b"\xff\x10\x04Too many connections",),
    ],
)
async def test_servers_that_are_none_or_refuse(nursery, script) -> None:
    with pytest.raises(ConnectionFailed):
        await connect(nursery, Server(*script))


PREPARED = b"\0" + struct.pack("<IHH", 1, 0, 0) + b"\0\0\0"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((b"\xfb/etc/passwd",), "asks for a file"),
        ((b"\x01", b"garbage"), "protocol"),
        ((b"\x01", b"\x03def\0\0\0\x01a\x01a\x0c\x3f\0\0\0\0\0\x08\0\0\0\0\0", EOF, b"\0\0"), "protocol"),
        ((), "closed"),
    ],
)
async def test_answers_that_are_none(nursery, answer, reason) -> None:
    connection = await connect(nursery, Server(handshake(), OK, PREPARED, answer))
    with pytest.raises(ConnectionLost, match=reason):
        await connection.run("SELECT 1", ())
    assert not connection.is_ready
    connection.close()
